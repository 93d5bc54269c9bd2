//! Metrics of what is built on the mesh, on the page of the process.

use std::{
    fmt::Display,
    sync::{Mutex, PoisonError},
};

use crate::telemetry::page::Page;

/// A histogram as it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Buckets {
    /// How many there are in each bucket, not cumulated; one more than there are
    /// bounds, the last for all above them.
    pub counts: Vec<u64>,
    /// Of all values.
    pub sum: f64,
}

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
        self.family("gauge", name, help, label, values);
    }

    /// A counter with one label, as [`Part::gauge`]; its name ends in `_total`.
    pub fn counter(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        values: impl IntoIterator<Item = (impl AsRef<str>, u64)>,
    ) {
        self.family("counter", name, help, label, values);
    }

    fn family<V: Display>(
        &mut self,
        kind: &str,
        name: &str,
        help: &str,
        label: &str,
        values: impl IntoIterator<Item = (impl AsRef<str>, V)>,
    ) {
        self.0.head(name, kind, help);
        for (of, value) in values {
            self.0.line(format_args!("{name}{{{label}=\"{}\"}} {value}", of.as_ref()));
        }
    }

    /// A histogram with one label, as [`Part::gauge`]; `bounds` rise, in the unit
    /// that its name says.
    pub fn histogram(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        bounds: &[f64],
        values: impl IntoIterator<Item = (impl AsRef<str>, Buckets)>,
    ) {
        self.0.head(name, "histogram", help);
        for (of, Buckets { counts, sum }) in values {
            let of = of.as_ref();
            let mut count = 0;
            let bounds = bounds.iter().map(|bound| self.0.bound(*bound));
            let bounds: Vec<String> = bounds.chain(["+Inf".to_owned()]).collect();
            for (bound, more) in bounds.iter().zip(counts) {
                count += more;
                let bucket =
                    format_args!("{name}_bucket{{{label}=\"{of}\",le=\"{bound}\"}} {count}");
                self.0.line(bucket);
            }
            self.0.line(format_args!("{name}_sum{{{label}=\"{of}\"}} {sum}"));
            self.0.line(format_args!("{name}_count{{{label}=\"{of}\"}} {count}"));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::page::Format;

    #[test]
    fn counters_and_histograms_are_as_prometheus_has_them() {
        let mut page = Page::new(Format::Prometheus);
        let mut part = Part(&mut page);
        part.counter("a_total", "A.", "of", [("x", 3)]);
        let buckets = Buckets { counts: vec![1, 0, 2], sum: 7.5 };
        part.histogram("b_seconds", "B.", "of", &[0.5, 1.0], [("x", buckets)]);
        let expected = "# HELP a_total A.\n# TYPE a_total counter\na_total{of=\"x\"} 3\n\
            # HELP b_seconds B.\n# TYPE b_seconds histogram\n\
            b_seconds_bucket{of=\"x\",le=\"0.5\"} 1\nb_seconds_bucket{of=\"x\",le=\"1\"} 1\n\
            b_seconds_bucket{of=\"x\",le=\"+Inf\"} 3\nb_seconds_sum{of=\"x\"} 7.5\n\
            b_seconds_count{of=\"x\"} 3\n";
        assert_eq!(page.finish(), expected);
    }
}
