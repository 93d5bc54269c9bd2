//! The one outcome of a call, told exactly once: when it is decided or, for a
//! call that nobody waits for any more, as cancelled.

use std::sync::Arc;

use tokio::time::Instant;
use tonic::Code;
use tracing::Span;

use super::{bulkhead::Place, told::Attempt};
use crate::{
    telemetry::{
        client::{Calls, Repetitions},
        span,
    },
    trace::Trace,
};

/// Tells metrics and trace how a call ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    calls: Arc<Calls>,
    span: Span,
    trace: Trace,
    started: Instant,
    ended: Option<(Code, Option<Instant>)>,
    /// The call's place in the bulkhead of its destination.
    place: Option<Place>,
    /// The attempt that has the answer.
    attempt: Option<Attempt>,
}

impl Outcome {
    pub(crate) fn new(calls: Arc<Calls>, (span, trace): (Span, Trace), started: Instant) -> Self {
        calls.start();
        Self { calls, span, trace, started, ended: None, place: None, attempt: None }
    }

    /// The call was answered, or has failed, after these repetitions.
    pub(crate) fn repeated(&self, repetitions: Repetitions) {
        if repetitions.retries + repetitions.transparent > 0 {
            self.calls.repeated(repetitions);
        }
    }

    /// The attempt that was answered ends with the call.
    pub(crate) fn carry(&mut self, attempt: Attempt) {
        self.attempt = Some(attempt);
    }

    /// Bytes of the answer, with the prefixes of messages.
    pub(crate) fn received(&mut self, data: &[u8]) {
        if let Some(attempt) = &mut self.attempt {
            attempt.received(data);
        }
    }

    /// The call's span, when it is recorded.
    pub(crate) fn span(&self) -> Option<&Span> {
        (!self.span.is_none()).then_some(&self.span)
    }

    /// Holds a place in the bulkhead until the call has ended.
    pub(crate) fn hold(&mut self, place: Place) {
        self.place = Some(place);
    }

    /// The first decision stands.
    pub(crate) fn decide(&mut self, code: Code) {
        self.ended.get_or_insert((code, None));
    }

    /// As [`Outcome::decide`], at a moment that is known.
    pub(crate) fn decide_at(&mut self, code: Code, now: Instant) {
        self.ended.get_or_insert((code, Some(now)));
    }
}

impl Drop for Outcome {
    fn drop(&mut self) {
        let (code, at) = self.ended.unwrap_or((Code::Cancelled, None));
        let at = at.unwrap_or_else(Instant::now);
        if let Some(attempt) = &mut self.attempt {
            attempt.decide(code, Some(at));
        }
        let recorded = (!self.span.is_none()).then_some(self.trace);
        self.calls.finish(code, at.saturating_duration_since(self.started), recorded);
        span::outcome(&self.span, code, code != Code::Ok);
    }
}
