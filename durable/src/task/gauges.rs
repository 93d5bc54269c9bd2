//! What the worker of this process does, for `/metrics`.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use mesh::metrics::Part;

use crate::meter::Family;

/// By kind.
#[derive(Debug, Default)]
struct Counts {
    attempts: AtomicU64,
    failures: AtomicU64,
    running: AtomicU64,
}

static KINDS: Family<Counts> = Family::new(page);

/// An attempt, until it is dropped.
pub(super) struct Attempt(Arc<Counts>);

impl Attempt {
    pub(super) fn begin(kind: &str) -> Self {
        let counts = KINDS.of(kind);
        counts.attempts.fetch_add(1, Relaxed);
        counts.running.fetch_add(1, Relaxed);
        Self(counts)
    }

    pub(super) fn failed(&self) {
        self.0.failures.fetch_add(1, Relaxed);
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Relaxed);
    }
}

fn page(page: &mut Part<'_>) {
    let all = KINDS.all();
    let of = |value: fn(&Counts) -> &AtomicU64| {
        all.iter().map(move |(kind, counts)| (kind, value(counts).load(Relaxed)))
    };
    let help = "Attempts that were begun here.";
    page.counter("durable_task_attempts_total", help, "kind", of(|counts| &counts.attempts));
    let help = "Attempts that failed here.";
    page.counter("durable_task_failures_total", help, "kind", of(|counts| &counts.failures));
    let help = "Attempts that run here.";
    page.gauge("durable_tasks_running", help, "kind", of(|counts| &counts.running));
}
