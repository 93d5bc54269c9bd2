//! What the edge notes about a request before it looks at it: an id, a place in
//! a trace, whether there is a token, and which further headers are worth a look.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, Method, request::Parts};
use mesh::{RequestSpan, call::Trace};

use super::{
    client::{Client, Turn},
    log::{self, Entry},
};
use crate::schema::{Route, Snapshot};

/// The header with the id of a request.
pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// W3C Trace Context.
pub(super) const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Longest id that is taken from a client: it goes into every log line.
const MAX_ID_BYTES: usize = 128;

/// A request in the edge's hands.
#[derive(Debug)]
pub(super) struct Exchange {
    /// The schema that this request is served by, to its end.
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) turn: Turn,
    pub(super) head: Parts,
    /// The client's place in a trace, or the begin of a new one.
    pub(super) trace: Trace,
    pub(super) noted: Noted,
    /// What is told of it when it has ended, unless nobody listens.
    pub(super) entry: Option<Box<Entry>>,
}

/// What the headers of a request say to the edge itself, found in one pass: to look
/// up what is mostly not there costs more.
#[derive(Debug, Default)]
pub(super) struct Noted {
    /// The id that the client gave.
    pub(super) id: Option<HeaderValue>,
    /// The page that sent it, if a page did.
    pub(super) origin: Option<HeaderValue>,
    /// Whether the request has an `authorization`.
    pub(super) token: bool,
    /// Whether refusals are to be problems (RFC 9457).
    pub(super) wants_problem: bool,
    /// Whether it says how long it may take.
    pub(super) timeout: bool,
    /// Whether it says how an answer may be packed.
    pub(super) accept_encoding: bool,
    /// Whether it is a call of gRPC.
    pub(super) grpc: bool,
}

impl Exchange {
    pub(super) fn begin(
        snapshot: Arc<Snapshot>,
        turn: Turn,
        head: Parts,
        trace_ratio: f64,
    ) -> Exchange {
        let (noted, place) = Noted::of(&head.headers);
        let path = log::shown(head.uri.path());
        let (trace, span) = RequestSpan::begin(&head.method, path, place, trace_ratio);
        let entry = Entry::of(&head, span);
        Exchange { snapshot, turn, head, trace, noted, entry }
    }

    pub(super) fn client(&self) -> &Arc<Client> {
        self.turn.client()
    }

    /// The client's own id, or that of the trace.
    pub(super) fn id(&self) -> HeaderValue {
        self.noted.id.clone().unwrap_or_else(|| self.trace.id())
    }

    /// The metadata of the call that it becomes, of those of its headers that pass.
    /// An id that the client gave goes with it; otherwise the trace says it.
    pub(super) fn metadata(&self, pass: fn(&HeaderMap, HeaderValue) -> HeaderMap) -> HeaderMap {
        let mut metadata = pass(&self.head.headers, self.client().forwarded.clone());
        if let Some(id) = &self.noted.id {
            metadata.insert(REQUEST_ID, id.clone());
        }
        metadata
    }

    /// It is served by this route.
    pub(super) fn note_route(&self, route: &Route) {
        if let Some(entry) = &self.entry {
            // It is served by one route.
            let _ = entry.route.set(route.binding.template().text().clone());
        }
    }

    pub(super) fn method(&self) -> &Method {
        &self.head.method
    }

    pub(super) fn headers(&self) -> &HeaderMap {
        &self.head.headers
    }
}

impl Noted {
    /// Besides what is noted, the place in a trace that the client says.
    fn of(headers: &HeaderMap) -> (Noted, Option<&HeaderValue>) {
        let (mut noted, mut place, mut typed) = (Noted::default(), None, false);
        for (name, value) in headers {
            match name.as_str() {
                "accept" => noted.wants_problem |= wants_problem(value),
                "accept-encoding" => noted.accept_encoding = true,
                "authorization" => noted.token = true,
                "content-type" if !std::mem::replace(&mut typed, true) => {
                    noted.grpc = super::grpc::is_call(value);
                }
                "grpc-timeout" | "x-server-timeout" => noted.timeout = true,
                "origin" if noted.origin.is_none() => noted.origin = Some(value.clone()),
                "traceparent" if place.is_none() => place = Some(value),
                "x-request-id" if noted.id.is_none() && is_id(value) => {
                    noted.id = Some(value.clone());
                }
                _ => {}
            }
        }
        (noted, place)
    }
}

/// Named, since `*/*` is what programs send that know of no problems.
fn wants_problem(accepted: &HeaderValue) -> bool {
    let mut ranges = accepted.to_str().unwrap_or_default().split(',');
    ranges.any(|range| {
        let name = range.split(';').next().unwrap_or_default();
        name.trim().eq_ignore_ascii_case(crate::error::PROBLEM)
    })
}

/// Whether a client's id can stand in a log.
fn is_id(id: &HeaderValue) -> bool {
    (1..=MAX_ID_BYTES).contains(&id.len()) && id.as_bytes().iter().all(u8::is_ascii_graphic)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noted(pairs: &[(&'static str, &str)]) -> Noted {
        let pair = |(name, value): &(&'static str, &str)| {
            (HeaderName::from_static(name), HeaderValue::from_bytes(value.as_bytes()).unwrap())
        };
        Noted::of(&pairs.iter().map(pair).collect()).0
    }

    #[test]
    fn a_clients_id_is_kept_when_it_can_stand_in_a_log() {
        let id = |text| noted(&[("x-request-id", text)]).id;
        assert_eq!(id("a-1").unwrap(), "a-1");
        let long = "x".repeat(129);
        for bad in ["", "a b", "é", &long] {
            assert_eq!(id(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_client_that_knows_problems_names_them() {
        let wants = |text| noted(&[("accept", text)]).wants_problem;
        assert!(wants("text/html, Application/Problem+JSON;q=0.1"));
        assert!(!wants("*/*") && !wants("application/json"));
        let twice = [("accept", "application/problem+json"), ("accept", "*/*")];
        assert!(noted(&twice).wants_problem && !noted(&[]).wants_problem);
    }

    #[test]
    fn what_is_not_there_is_not_looked_for() {
        let bare = noted(&[("host", "a"), ("content-type", "application/grpc-web")]);
        assert!(!bare.token && !bare.timeout && !bare.accept_encoding && !bare.grpc);
        let full = noted(&[
            ("authorization", "Bearer x"),
            ("grpc-timeout", "1S"),
            ("accept-encoding", "gzip"),
            ("content-type", "application/grpc+proto"),
        ]);
        assert!(full.token && full.timeout && full.accept_encoding && full.grpc);
        assert!(noted(&[("x-server-timeout", "1")]).timeout);
    }
}
