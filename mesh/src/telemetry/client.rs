//! What a process counts of its calls, by method, application called and status,
//! under the names of gRFC A66 and, for repetitions, A96.
//!
//! The handles stand in the method's record, one for each application that it was
//! called at: nearly always there is one, so that finding it is one comparison.
//! Names are bounded by the contracts and by [`Destinations`].

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tonic::Code;

use super::{
    destinations::{Destination, Destinations},
    histogram::{ByCode, Counts, Durations, Sizes},
    page::Page,
};
use crate::{contract::Method, trace::Trace};

/// One method at each application that it was called at. It only grows, so that
/// it is read without a lock; each application appears once.
#[derive(Debug, Default)]
pub(crate) struct Called(OnceLock<Box<Entry>>);

#[derive(Debug)]
struct Entry {
    destination: Arc<Destination>,
    calls: Arc<Calls>,
    next: Called,
}

impl Called {
    /// The calls at one application.
    pub(crate) fn at(&self, destination: &Arc<Destination>) -> &Arc<Calls> {
        let mut here = self;
        loop {
            let entry = here.0.get_or_init(|| {
                let destination = destination.clone();
                Box::new(Entry { destination, calls: Arc::default(), next: Self::default() })
            });
            if Arc::ptr_eq(&entry.destination, destination) {
                return &entry.calls;
            }
            here = &entry.next;
        }
    }

    fn entries(&self) -> impl Iterator<Item = &Entry> {
        let first = self.0.get().map(AsRef::as_ref);
        std::iter::successors(first, |entry| entry.next.0.get().map(AsRef::as_ref))
    }
}

/// The calls of one method at one application.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    started: AtomicU64,
    ended: ByCode<Durations>,
    attempts: AtomicU64,
    attempted: ByCode<Attempted>,
    /// Made by the first call that is repeated or hedged.
    repeated: OnceLock<Box<Repeated>>,
}

#[derive(Debug, Default)]
struct Attempted {
    duration: Durations,
    sent: Sizes,
    received: Sizes,
}

#[derive(Debug, Default)]
struct Repeated {
    retries: Counts,
    transparent: Counts,
    delay: Durations,
    hedges: Counts,
}

/// The repetitions of one call.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Repetitions {
    /// By the contract's policy.
    pub(crate) retries: u32,
    /// Of what was proved not to have been processed.
    pub(crate) transparent: u32,
    /// Waited for in between.
    pub(crate) delay: Duration,
}

impl Calls {
    pub(crate) fn start(&self) {
        self.started.fetch_add(1, Relaxed);
    }

    pub(crate) fn finish(&self, code: Code, took: Duration, recorded: Option<Trace>) {
        self.ended.of(code).add(took, recorded);
    }

    pub(crate) fn start_attempt(&self) {
        self.attempts.fetch_add(1, Relaxed);
    }

    /// An attempt has ended; its messages had so many bytes, compressed.
    pub(crate) fn finish_attempt(
        &self,
        code: Code,
        took: Duration,
        [sent, received]: [u64; 2],
        recorded: Option<Trace>,
    ) {
        let of = self.attempted.of(code);
        of.duration.add(took, recorded);
        of.sent.add(sent);
        of.received.add(received);
    }

    /// A call was repeated. As A96 has it, a call that was not reports no zeros.
    pub(crate) fn repeated(&self, of: Repetitions) {
        let repeated = self.repeated.get_or_init(Box::default);
        if of.retries > 0 {
            repeated.retries.add(of.retries);
        }
        if of.transparent > 0 {
            repeated.transparent.add(of.transparent);
        }
        repeated.delay.add(of.delay, None);
    }

    /// A call has ended that was hedged so often, which is at least once.
    pub(crate) fn hedged(&self, hedges: u32) {
        self.repeated.get_or_init(Box::default).hedges.add(hedges);
    }

    /// Reading them one after the other may find an end whose start it has missed.
    fn in_flight(&self) -> u64 {
        let ended: u64 = self.ended.used().map(|(_, durations)| durations.total()).sum();
        self.started.load(Relaxed).saturating_sub(ended)
    }
}

/// The labels of a method at an application, and its calls.
type Used<'a> = Vec<(String, &'a Calls)>;

/// Adds the client's side to the page.
pub(super) fn write(page: &mut Page, methods: &[&Method], destinations: &Destinations) {
    let others = destinations.all();
    let mut used = Used::new();
    let label = |method: &str, app: &str| format!("grpc_method=\"{method}\",grpc_target=\"{app}\"");
    for method in methods {
        for entry in method.called.entries() {
            let own = others.iter().find(|(_, of)| Arc::ptr_eq(of, &entry.destination));
            if let Some((app, _)) = own {
                used.push((label(&method.path[1..], app), &entry.calls));
            }
        }
    }
    for (app, destination) in &others {
        if destination.other.started.load(Relaxed) > 0 {
            used.push((label("other", app), &destination.other));
        }
    }
    numbers(page, &used);
    durations(page, &used);
    sizes(page, &used);
    repetitions(page, &used);
}

fn numbers(page: &mut Page, used: &Used<'_>) {
    type Number = fn(&Calls) -> u64;
    let all: [(&str, &str, &str, Number); 3] = [
        ("grpc_client_call_started_total", "counter", "Calls started.", |of| {
            of.started.load(Relaxed)
        }),
        ("grpc_client_calls_in_flight", "gauge", "Calls that have not finished.", Calls::in_flight),
        ("grpc_client_attempt_started_total", "counter", "Attempts started.", |of| {
            of.attempts.load(Relaxed)
        }),
    ];
    for (name, kind, help, number) in all {
        page.head(name, kind, help);
        for (labels, calls) in used {
            page.line(format_args!("{name}{{{labels}}} {}", number(calls)));
        }
    }
}

fn durations(page: &mut Page, used: &Used<'_>) {
    let name = "grpc_client_call_duration_seconds";
    page.head(name, "histogram", "Time from a call's begin to its last trailer, all attempts.");
    for (labels, calls) in used {
        for (status, of) in calls.ended.used() {
            of.write(page, name, &format!("{labels},grpc_status=\"{status}\""));
        }
    }
    let name = "grpc_client_attempt_duration_seconds";
    page.head(name, "histogram", "Time of an attempt, the choice of an instance included.");
    for (labels, calls) in used {
        for (status, of) in calls.attempted.used() {
            of.duration.write(page, name, &format!("{labels},grpc_status=\"{status}\""));
        }
    }
}

fn sizes(page: &mut Page, used: &Used<'_>) {
    type Way = fn(&Attempted) -> &Sizes;
    for (way, sizes) in [("sent", (|of| &of.sent) as Way), ("rcvd", |of| &of.received)] {
        let name = format!("grpc_client_attempt_{way}_total_compressed_message_size_bytes");
        page.head(&name, "histogram", "Bytes of an attempt's messages.");
        for (labels, calls) in used {
            for (status, of) in calls.attempted.used() {
                sizes(of).write(page, &name, &format!("{labels},grpc_status=\"{status}\""));
            }
        }
    }
}

fn repetitions(page: &mut Page, used: &Used<'_>) {
    let repeated = || used.iter().filter_map(|(labels, of)| Some((labels, of.repeated.get()?)));
    let name = "grpc_client_call_retries";
    page.head(name, "histogram", "Retries of a call that was retried.");
    repeated().for_each(|(labels, of)| of.retries.write(page, name, labels));
    let name = "grpc_client_call_transparent_retries";
    page.head(name, "histogram", "Repetitions of what had not been processed.");
    repeated().for_each(|(labels, of)| of.transparent.write(page, name, labels));
    let name = "grpc_client_call_hedges";
    page.head(name, "histogram", "Hedges of a call that was hedged.");
    repeated().for_each(|(labels, of)| of.hedges.write(page, name, labels));
    let name = "grpc_client_call_retry_delay_seconds";
    page.head(name, "histogram", "Time without an attempt in a call that was repeated.");
    repeated().for_each(|(labels, of)| of.delay.write(page, name, labels));
}
