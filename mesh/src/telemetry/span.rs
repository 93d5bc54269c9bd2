//! Spans of calls: one per call on each side, and one per attempt, made only when the trace is
//! sampled and somebody receives it.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use opentelemetry::{
    Context, KeyValue, SpanId, TraceFlags, TraceId,
    trace::{Link, SpanContext, SpanKind, TraceContextExt as _, TraceState},
};
use opentelemetry_sdk::trace::{Sampler, SamplingDecision, SamplingResult, ShouldSample};
use tonic::Code;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use super::metrics::STATUS;
use crate::{call, trace::Trace};

/// Whether this process exports spans. Read once per call, so that a mesh
/// without a collector does no work for spans at all.
static EXPORTING: AtomicBool = AtomicBool::new(false);

pub(crate) fn exporting(yes: bool) {
    EXPORTING.store(yes, Relaxed);
}

pub(super) fn is_exporting() -> bool {
    EXPORTING.load(Relaxed)
}

/// The span of a call that this process serves, and the place in the trace that
/// the handling has. `parent` is what the caller said.
pub(crate) fn serving(path: &str, parent: Option<Trace>, ratio: f64) -> (Span, Trace) {
    let place = parent.unwrap_or_else(|| Trace::root(fastrand::f64() < ratio));
    if !place.sampled || !is_exporting() {
        return (Span::none(), place);
    }
    let (service, method) = split(path);
    let span = tracing::info_span!(
        parent: None,
        "rpc",
        otel.name = &path[1..],
        otel.kind = "server",
        rpc.system = "grpc",
        rpc.service = service,
        rpc.method = method,
        rpc.grpc.status_code = tracing::field::Empty,
        otel.status_code = tracing::field::Empty,
    );
    if parent.is_some() {
        // Refused only when the span has begun to export, which it has not.
        let _ = span.set_parent(remote(place));
    }
    let place = place_of(&span).unwrap_or(place);
    (span, place)
}

/// The span of a call that this process makes, and the place in the trace that
/// the server is told. `inherited` is the place of the call that is being handled.
pub(crate) fn calling(
    path: &str,
    app: &str,
    inherited: Option<Trace>,
    ratio: f64,
) -> (Span, Trace) {
    let place = inherited.unwrap_or_else(|| Trace::root(fastrand::f64() < ratio));
    if !place.sampled || !is_exporting() {
        return (Span::none(), place);
    }
    let (service, method) = split(path);
    let span = tracing::info_span!(
        "rpc",
        otel.name = &path[1..],
        otel.kind = "client",
        rpc.system = "grpc",
        rpc.service = service,
        rpc.method = method,
        server.address = app,
        rpc.grpc.status_code = tracing::field::Empty,
        otel.status_code = tracing::field::Empty,
    );
    // A handler's own spans are parents by themselves; an effect of an event has
    // only the place in its cause's trace.
    if inherited.is_some() && Span::current().is_none() {
        let _ = span.set_parent(remote(place));
    }
    let place = place_of(&span).unwrap_or(place);
    (span, place)
}

/// The span of an attempt below its call's, after so many others, and the place in
/// the trace that the server is told. Attributes of attempts have the names of
/// gRFC A72, the others those of OpenTelemetry.
pub(crate) fn attempt(
    call: &Span,
    path: &str,
    place: Trace,
    previous: u32,
    transparent: bool,
) -> (Span, Trace) {
    let (service, method) = split(path);
    let span = tracing::info_span!(
        parent: call,
        "attempt",
        otel.name = %format_args!("Attempt.{}", &path[1..]),
        otel.kind = "client",
        rpc.system = "grpc",
        rpc.service = service,
        rpc.method = method,
        "previous-rpc-attempts" = previous,
        "transparent-retry" = transparent,
        server.address = tracing::field::Empty,
        server.port = tracing::field::Empty,
        rpc.grpc.status_code = tracing::field::Empty,
        otel.status_code = tracing::field::Empty,
    );
    let place = place_of(&span).unwrap_or(place);
    (span, place)
}

/// Writes into an attempt's span where it goes to.
pub(crate) fn at(span: &Span, address: &str) {
    if span.is_none() {
        return;
    }
    let (host, port) = address.rsplit_once(':').unwrap_or((address, ""));
    span.record("server.address", host.trim_matches(['[', ']']));
    if let Ok(port) = port.parse::<u16>() {
        span.record("server.port", port);
    }
}

/// Writes the outcome into the span.
pub(crate) fn outcome(span: &Span, code: Code, failed: bool) {
    if span.is_none() {
        return;
    }
    span.record("rpc.grpc.status_code", code as i32);
    if failed {
        span.record("otel.status_code", "ERROR");
        span.set_attribute("error.type", STATUS[code as usize]);
    }
}

/// What tells of a fault of this server rather than of its caller.
pub(crate) fn server_fault(code: Code) -> bool {
    matches!(code, Code::Unknown | Code::Internal | Code::DataLoss)
}

fn split(path: &str) -> (&str, &str) {
    path.trim_start_matches('/').split_once('/').unwrap_or((path, ""))
}

pub(super) fn remote(place: Trace) -> Context {
    Context::new().with_remote_span_context(SpanContext::new(
        TraceId::from_bytes(place.id.to_be_bytes()),
        SpanId::from_bytes(place.span.to_be_bytes()),
        if place.sampled { TraceFlags::SAMPLED } else { TraceFlags::default() },
        true,
        TraceState::default(),
    ))
}

pub(super) fn place_of(span: &Span) -> Option<Trace> {
    let context = span.context();
    let context = context.span().span_context().clone();
    context.is_valid().then(|| Trace {
        id: u128::from_be_bytes(context.trace_id().to_bytes()),
        span: u64::from_be_bytes(context.span_id().to_bytes()),
        sampled: context.is_sampled(),
    })
}

/// Follows the parent. Without one: spans of calls are made only when the mesh
/// has decided to sample, and what a handler traces on its own account follows
/// its call.
#[derive(Clone, Debug)]
pub(crate) struct ByCall {
    pub(crate) ratio: f64,
}

impl ShouldSample for ByCall {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        trace_id: TraceId,
        name: &str,
        kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        let has_parent = parent.is_some_and(|parent| parent.span().span_context().is_valid());
        let decided = if has_parent {
            Sampler::ParentBased(Box::new(Sampler::AlwaysOff))
        } else if matches!(kind, SpanKind::Server | SpanKind::Client) {
            Sampler::AlwaysOn
        } else if call::sampled() == Some(false) {
            return SamplingResult {
                decision: SamplingDecision::Drop,
                attributes: Vec::new(),
                trace_state: TraceState::default(),
            };
        } else {
            Sampler::TraceIdRatioBased(self.ratio)
        };
        decided.should_sample(parent, trace_id, name, kind, attributes, links)
    }
}
