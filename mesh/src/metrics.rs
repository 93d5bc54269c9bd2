//! Metrics of what is built on the mesh, on the page of the process.

use std::{
    fmt::Display,
    sync::{Mutex, PoisonError},
};

use crate::telemetry::page::Page;

type Write = fn(&mut Part<'_>);

static PARTS: Mutex<Vec<Write>> = Mutex::new(Vec::new());

/// A part of the page while it is written.
#[derive(Debug)]
pub struct Part<'p>(&'p mut Page);

impl Part<'_> {
    /// A gauge with one label, by its values. Names are lower case with units in
    /// them, as Prometheus has it; values of the label are of bounded number and
    /// have neither quotes nor line ends.
    pub fn gauge<V: Display>(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        values: impl IntoIterator<Item = (impl AsRef<str>, V)>,
    ) {
        self.0.head(name, "gauge", help);
        for (of, value) in values {
            self.0.line(format_args!("{name}{{{label}=\"{}\"}} {value}", of.as_ref()));
        }
    }
}

/// Adds a part to the page that `/metrics` shows. Its metrics have names that no
/// other part has. It is written whenever the page is read, so it only reads what
/// is there.
pub fn add(write: fn(&mut Part<'_>)) {
    PARTS.lock().unwrap_or_else(PoisonError::into_inner).push(write);
}

/// Writes what was added, in the order in which it was.
pub(crate) fn page(page: &mut Page) {
    let parts = PARTS.lock().unwrap_or_else(PoisonError::into_inner).clone();
    for write in parts {
        write(&mut Part(page));
    }
}
