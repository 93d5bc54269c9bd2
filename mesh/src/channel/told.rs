//! What one attempt tells: metrics by gRFC A66 and, in a trace that is recorded,
//! a span below its call's. It is told once, when the attempt is dropped.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::time::Instant;
use tonic::Code;
use tracing::Span;

use super::{failure::Failure, payload::Payload};
use crate::{
    server::payload::Payload as Counter,
    telemetry::{
        client::{Calls, Repetitions},
        span,
    },
    trace::Trace,
};

/// What a call tells of its attempts.
pub(super) struct Told {
    calls: Arc<Calls>,
    /// The call's span, when it is recorded.
    span: Option<Span>,
    place: Trace,
    /// When the call began, until its first attempt does.
    began: Option<Instant>,
    pub(super) repetitions: Repetitions,
    /// The attempt repeats what was proved not to have been processed.
    transparent: bool,
}

/// An attempt that is under way.
#[derive(Debug)]
pub(crate) struct Attempt {
    calls: Arc<Calls>,
    span: Span,
    place: Trace,
    began: Instant,
    deadline: Option<Instant>,
    sent: Sent,
    received: Counter,
    ended: Option<(Code, Option<Instant>)>,
}

/// Bytes of messages that were sent.
#[derive(Debug)]
enum Sent {
    Now(u64),
    /// A task of its own sends them.
    Over(Arc<AtomicU64>),
}

impl Told {
    pub(super) fn new(calls: Arc<Calls>, span: &Span, place: Trace, began: Instant) -> Self {
        let span = (!span.is_none()).then(|| span.clone());
        let repetitions = Repetitions::default();
        Self { calls, span, place, began: Some(began), repetitions, transparent: false }
    }

    /// Of an attempt that begins, after so many others of the same call.
    pub(super) fn attempt(
        &mut self,
        path: &str,
        previous: u32,
        deadline: Option<Instant>,
    ) -> Attempt {
        let recorded = match &self.span {
            None => (Span::none(), self.place),
            Some(call) => span::attempt(call, path, self.place, previous, self.transparent),
        };
        let began = self.began.take().unwrap_or_else(Instant::now);
        Attempt::begin(&self.calls, recorded, began, deadline)
    }

    /// What has not been processed is sent again.
    pub(super) fn transparently(&mut self) {
        self.transparent = true;
        self.repetitions.transparent += 1;
    }

    /// The call is retried after this time.
    pub(super) fn retries_after(&mut self, wait: Duration) {
        self.transparent = false;
        self.repetitions.retries += 1;
        self.repetitions.delay += wait;
    }
}

impl Attempt {
    /// Begins before the choice of an instance. `span` and `place` are its own.
    pub(super) fn begin(
        calls: &Arc<Calls>,
        (span, place): (Span, Trace),
        began: Instant,
        deadline: Option<Instant>,
    ) -> Self {
        calls.start_attempt();
        Self {
            calls: calls.clone(),
            span,
            place,
            began,
            deadline,
            sent: Sent::Now(0),
            received: Counter::default(),
            ended: None,
        }
    }

    /// When it began.
    pub(super) fn began(&self) -> Instant {
        self.began
    }

    /// What the server is told.
    pub(super) fn place(&self) -> Trace {
        self.place
    }

    /// An instance was chosen.
    pub(super) fn at(&self, address: &str) {
        span::at(&self.span, address);
    }

    /// This goes out.
    pub(super) fn sends(&mut self, payload: &Payload) {
        match payload {
            Payload::Whole(message) => {
                let mut counter = Counter::default();
                counter.add(message);
                self.sent = Sent::Now(counter.bytes());
            }
            Payload::Stream(streamed) => self.sent = Sent::Over(streamed.sent.clone()),
            Payload::Spent => {}
        }
    }

    /// Bytes of the response's messages, with their prefixes.
    pub(super) fn received(&mut self, data: &[u8]) {
        self.received.add(data);
    }

    /// It ends with a failure.
    pub(super) fn failed(&mut self, failure: Failure) -> Failure {
        self.decide(failure.status.code(), None);
        failure
    }

    /// The first decision stands.
    pub(super) fn decide(&mut self, code: Code, at: Option<Instant>) {
        self.ended.get_or_insert((code, at));
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        let at = self.ended.and_then(|(_, at)| at).unwrap_or_else(Instant::now);
        let late = self.deadline.is_some_and(|deadline| deadline <= at);
        let given_up = if late { Code::DeadlineExceeded } else { Code::Cancelled };
        let code = self.ended.map_or(given_up, |(code, _)| code);
        let sent = match &self.sent {
            Sent::Now(bytes) => *bytes,
            Sent::Over(bytes) => bytes.load(Relaxed),
        };
        let took = at.saturating_duration_since(self.began);
        let recorded = (!self.span.is_none()).then_some(self.place);
        self.calls.finish_attempt(code, took, [sent, self.received.bytes()], recorded);
        span::outcome(&self.span, code, code != Code::Ok);
    }
}
