//! The one outcome of a served call: metrics, trace and access log, told once.

use std::{
    net::SocketAddr,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use tokio::time::Instant;
use tonic::Code;
use tracing::Span;

use super::{InFlight, Shared, payload::Payload};
use crate::{
    call::Call,
    contract::Method,
    settings::Setting,
    telemetry::{
        metrics::{OTHER, STATUS},
        span::{self, server_fault},
    },
    trace::Trace,
};

/// `access_log`: which calls have a line in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AccessLog {
    /// None.
    Off,
    /// Those that this process could not serve. What a caller did wrong and what
    /// was turned away under load would fill the log when it helps least;
    /// metrics count it.
    Errors,
    /// Every call.
    All,
}

impl Setting for AccessLog {
    fn parse(text: &str) -> Result<Self, &'static str> {
        match text {
            "off" => Ok(Self::Off),
            "errors" => Ok(Self::Errors),
            "all" => Ok(Self::All),
            _ => Err("off, errors or all"),
        }
    }
}

impl AccessLog {
    fn has(self, code: Code) -> bool {
        let unserved = matches!(code, Code::DeadlineExceeded | Code::Unavailable);
        match self {
            Self::Off => false,
            Self::Errors => unserved || server_fault(code),
            Self::All => true,
        }
    }
}

/// Tells how a call ended; one that nobody decided was cancelled.
#[derive(Debug)]
pub(super) struct Outcome<'a> {
    shared: &'a Shared,
    method: Option<&'a Method>,
    /// Of a call that no contract knows.
    path: String,
    peer: SocketAddr,
    /// Once it is admitted.
    pub(super) call: Option<Arc<Call>>,
    /// Messages of the answer.
    pub(super) sent: Payload,
    span: Span,
    place: Trace,
    started: Instant,
    code: Option<Code>,
    ended: Option<Instant>,
    _in_flight: InFlight<'a>,
}

impl<'a> Outcome<'a> {
    pub(super) fn new(
        shared: &'a Shared,
        method: Option<&'a Arc<Method>>,
        path: &str,
        peer: SocketAddr,
        span: Span,
        place: Trace,
        started: Instant,
    ) -> Self {
        method.map_or(&OTHER, |method| &method.served).start();
        let _in_flight = InFlight::begin(shared);
        let path = if method.is_some() { String::new() } else { path.to_owned() };
        let (method, call, sent) = (method.map(AsRef::as_ref), None, Payload::default());
        Self {
            shared,
            method,
            path,
            peer,
            call,
            sent,
            span,
            place,
            started,
            code: None,
            ended: None,
            _in_flight,
        }
    }

    /// The first decision stands.
    pub(super) fn decide(&mut self, code: Code) {
        self.code.get_or_insert(code);
    }

    /// When the call has ended: at the first moment that this is told or asked.
    pub(super) fn ended(&mut self, now: impl FnOnce() -> Instant) -> Instant {
        *self.ended.get_or_insert_with(now)
    }

    fn received(&self) -> u64 {
        self.call.as_ref().map_or(0, |call| call.received.load(Relaxed))
    }

    /// One line for the call, at the level of its failure.
    fn log(&self, code: Code, took: Duration) {
        let took_micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let caller = self.call.as_ref().map(|call| call.caller.actor()).unwrap_or_default();
        let path = self.method.map_or(&self.path, |method| &method.path);
        let (status, sent, received) = (STATUS[code as usize], self.sent.bytes(), self.received());
        let (trace, peer) = (format_args!("{:032x}", self.place.id), self.peer);
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(
                    target: "mesh::access",
                    %path, status, took_micros, sent, received, caller, %trace, %peer, "served"
                )
            };
        }
        if server_fault(code) { line!(warn) } else { line!(info) }
    }
}

impl Drop for Outcome<'_> {
    fn drop(&mut self) {
        let code = self.code.unwrap_or(Code::Cancelled);
        let took = self.ended(Instant::now).saturating_duration_since(self.started);
        let metrics = self.method.map_or(&OTHER, |method| &method.served);
        let recorded = (!self.span.is_none()).then_some(self.place);
        metrics.finish_served(code, took, self.sent.bytes(), self.received(), recorded);
        span::outcome(&self.span, code, server_fault(code));
        if self.shared.limits.access_log.has(code) {
            self.log(code, took);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_process_could_not_serve_has_a_line_by_default() {
        for (code, errors) in [
            (Code::Ok, false),
            (Code::Cancelled, false),
            (Code::NotFound, false),
            (Code::ResourceExhausted, false),
            (Code::Unknown, true),
            (Code::Internal, true),
            (Code::DeadlineExceeded, true),
            (Code::Unavailable, true),
        ] {
            assert_eq!(AccessLog::Errors.has(code), errors, "{code:?}");
            assert!(AccessLog::All.has(code) && !AccessLog::Off.has(code));
        }
        assert!(AccessLog::parse("some").is_err());
    }
}
