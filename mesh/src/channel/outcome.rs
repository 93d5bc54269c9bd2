//! The one outcome of a call, told exactly once: when it is decided or, for a
//! call that nobody waits for any more, as cancelled.

use std::sync::Arc;

use tokio::time::Instant;
use tonic::Code;
use tracing::Span;

use super::bulkhead::Place;
use crate::{contract::Method, telemetry::span};

/// Tells metrics and trace how a call ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    method: Option<Arc<Method>>,
    span: Span,
    started: Instant,
    ended: Option<(Code, Option<Instant>)>,
    /// The call's place in the bulkhead of its destination.
    place: Option<Place>,
}

impl Outcome {
    pub(crate) fn new(method: Option<Arc<Method>>, span: Span, started: Instant) -> Self {
        if let Some(method) = &method {
            method.called.start();
        }
        Self { method, span, started, ended: None, place: None }
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
        if let Some(method) = &self.method {
            let at = at.unwrap_or_else(Instant::now);
            method.called.finish(code, at.saturating_duration_since(self.started));
        }
        span::outcome(&self.span, code, code != Code::Ok);
    }
}
