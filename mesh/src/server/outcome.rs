//! The one outcome of a served call: metrics, trace and access log, told once.

use std::{net::SocketAddr, sync::Arc};

use tokio::time::Instant;
use tonic::Code;
use tracing::Span;

use super::{InFlight, Shared};
use crate::{
    call::Caller,
    contract::Method,
    telemetry::{metrics::STATUS, span},
    trace::Trace,
};

/// Tells how a call ended; one that nobody decided was cancelled.
#[derive(Debug)]
pub(super) struct Outcome<'a> {
    method: Option<&'a Method>,
    /// Of a call that no contract knows.
    path: String,
    peer: SocketAddr,
    actor: String,
    span: Span,
    place: Trace,
    started: Instant,
    code: Option<Code>,
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
        if let Some(method) = &method {
            method.served.start();
        }
        let _in_flight = InFlight::begin(shared);
        let path = if method.is_some() { String::new() } else { path.to_owned() };
        let (method, actor) = (method.map(AsRef::as_ref), String::new());
        Self { method, path, peer, actor, span, place, started, code: None, _in_flight }
    }

    pub(super) fn caller(&mut self, caller: &Caller) {
        if tracing::enabled!(tracing::Level::DEBUG) {
            self.actor = caller.actor();
        }
    }

    /// The first decision stands.
    pub(super) fn decide(&mut self, code: Code) {
        self.code.get_or_insert(code);
    }
}

/// What tells of a fault of this server rather than of its caller.
fn server_fault(code: Code) -> bool {
    matches!(code, Code::Unknown | Code::Internal | Code::DataLoss)
}

impl Drop for Outcome<'_> {
    fn drop(&mut self) {
        let code = self.code.unwrap_or(Code::Cancelled);
        let took = self.started.elapsed();
        if let Some(method) = &self.method {
            method.served.finish(code, took);
        }
        span::outcome(&self.span, code, server_fault(code));
        let path = self.method.map_or(&self.path, |method| &method.path);
        if server_fault(code) {
            let status = STATUS[code as usize];
            let trace = format_args!("{:032x}", self.place.id);
            tracing::warn!(%path, status, %trace, peer = %self.peer, "a call failed here");
        } else {
            tracing::debug!(
                %path,
                status = STATUS[code as usize],
                took_micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
                trace = format_args!("{:032x}", self.place.id),
                actor = %self.actor,
                peer = %self.peer,
                "served"
            );
        }
    }
}
