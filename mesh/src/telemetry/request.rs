//! The span of a request that an edge serves, named and described by
//! OpenTelemetry's conventions for HTTP servers.

use http::{HeaderValue, Method};
use opentelemetry::trace::TraceContextExt as _;
use tonic::Code;
use tracing::{Span, field::Empty};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use super::span::{is_exporting, place_of, remote, server_fault};
use crate::trace::Trace;

/// The span of a request from outside. It ends when the request is answered, or
/// dropped.
#[derive(Debug)]
pub struct RequestSpan(Span);

impl RequestSpan {
    /// Where a request is in its trace, and its span, which is made only when the
    /// trace is recorded and somebody receives it.
    ///
    /// That is below what its `traceparent` says, or else at the start of a new
    /// trace, which is recorded with this probability.
    #[must_use]
    pub fn begin(
        method: &Method,
        path: &str,
        traceparent: Option<&HeaderValue>,
        ratio: f64,
    ) -> (Trace, Option<Self>) {
        let place = Trace::of(traceparent, ratio);
        if !place.sampled || !is_exporting() {
            return (place, None);
        }
        let span = tracing::info_span!(
            parent: None,
            "http",
            otel.name = name(method),
            otel.kind = "server",
            http.request.method = known(method).unwrap_or("_OTHER"),
            url.path = path,
            url.scheme = "http",
            http.route = Empty,
            http.response.status_code = Empty,
            rpc.grpc.status_code = Empty,
            otel.status_code = Empty,
        );
        if traceparent.is_some_and(|given| Trace::parse(given.as_bytes()).is_some()) {
            // Refused only when the span has begun to export, which it has not.
            let _ = span.set_parent(remote(place));
        }
        (place_of(&span).unwrap_or(place), Some(Self(span)))
    }

    /// The request was answered like this. `route` is the template that its path matched, if
    /// any did, `code` that of a call over gRPC.
    pub fn answered(self, method: &Method, route: Option<&str>, status: u16, code: Option<Code>) {
        let Self(span) = self;
        if let Some(route) = route {
            // A field would not do: it names only what has no place in its trace yet.
            span.context().span().update_name(format!("{} {route}", name(method)));
            span.record("http.route", route);
        }
        span.record("http.response.status_code", status);
        if let Some(code) = code {
            span.record("rpc.grpc.status_code", code as i32);
        }
        if status >= 500 || code.is_some_and(server_fault) {
            span.record("otel.status_code", "ERROR");
            span.set_attribute("error.type", status.to_string());
        }
    }
}

/// The first part of the name, one of a few whatever clients send.
fn name(method: &Method) -> &str {
    known(method).unwrap_or("HTTP")
}

fn known(method: &Method) -> Option<&str> {
    let known = [
        Method::GET,
        Method::HEAD,
        Method::POST,
        Method::PUT,
        Method::PATCH,
        Method::DELETE,
        Method::OPTIONS,
        Method::CONNECT,
        Method::TRACE,
    ];
    known.contains(method).then(|| method.as_str())
}
