//! What the sagas of this process did, for `/metrics`.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use mesh::metrics::Part;

use super::{Status, machine::Outcome};
use crate::meter::{BOUNDS, Durations, Family};

/// By definition.
#[derive(Debug, Default)]
struct Counts {
    started: AtomicU64,
    steps: Durations,
}

static DEFINITIONS: Family<Counts> = Family::new(page);
static FINISHED: Family<AtomicU64> = Family::new(finished_page);
static ATTEMPTS: Family<AtomicU64> = Family::new(attempts_page);

pub(super) fn started(definition: &str) {
    DEFINITIONS.of(definition).started.fetch_add(1, Relaxed);
}

pub(super) fn attempted(definition: &str, outcome: Outcome, took: std::time::Duration) {
    DEFINITIONS.of(definition).steps.add(took);
    let outcome = match outcome {
        Outcome::Done => "done",
        Outcome::Refused => "refused",
        Outcome::Unknown => "unknown",
    };
    ATTEMPTS.of(outcome).fetch_add(1, Relaxed);
}

/// Counts a saga that has just ended.
pub(super) fn finished(status: Status) {
    FINISHED.of(status.word()).fetch_add(1, Relaxed);
}

fn page(page: &mut Part<'_>) {
    let all = DEFINITIONS.all();
    let started = all.iter().map(|(of, counts)| (of, counts.started.load(Relaxed)));
    let help = "Sagas that were started in transactions that may have failed since.";
    page.counter("durable_saga_started_total", help, "definition", started);
    let steps = all.iter().map(|(of, counts)| (of, counts.steps.buckets()));
    let (name, help) = ("durable_saga_step_duration_seconds", "Attempts at steps.");
    page.histogram(name, help, "definition", &BOUNDS, steps);
}

fn finished_page(page: &mut Part<'_>) {
    let finished = FINISHED.all();
    let finished = finished.iter().map(|(of, count)| (of, count.load(Relaxed)));
    page.counter("durable_saga_finished_total", "Sagas that ended here.", "status", finished);
}

fn attempts_page(page: &mut Part<'_>) {
    let attempts = ATTEMPTS.all();
    let attempts = attempts.iter().map(|(of, count)| (of, count.load(Relaxed)));
    let help = "Attempts at steps; after an unknown outcome the step is repeated.";
    page.counter("durable_saga_attempts_total", help, "outcome", attempts);
}
