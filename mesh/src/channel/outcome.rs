//! The one outcome of a call, told exactly once: when it is decided or, for a
//! call that nobody waits for any more, as cancelled.

use std::sync::Arc;

use tokio::time::Instant;
use tonic::Code;
use tracing::Span;

use crate::{contract::Method, telemetry::span};

/// Tells metrics and trace how a call ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    method: Option<Arc<Method>>,
    span: Span,
    started: Instant,
    code: Option<Code>,
}

impl Outcome {
    pub(crate) fn new(method: Option<Arc<Method>>, span: Span) -> Self {
        if let Some(method) = &method {
            method.called.start();
        }
        Self { method, span, started: Instant::now(), code: None }
    }

    /// The first decision stands.
    pub(crate) fn decide(&mut self, code: Code) {
        self.code.get_or_insert(code);
    }
}

impl Drop for Outcome {
    fn drop(&mut self) {
        let code = self.code.unwrap_or(Code::Cancelled);
        if let Some(method) = &self.method {
            method.called.finish(code, self.started.elapsed());
        }
        span::outcome(&self.span, code, code != Code::Ok);
    }
}
