//! What the edge notes about a request before it looks at it: an id, a place in
//! a trace, and whether there is a token.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::client::Client;
use crate::schema::Snapshot;

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
    pub(super) client: Arc<Client>,
    /// The template of the route that serves the request, once it is known.
    pub(super) route: OnceLock<Arc<str>>,
    /// The client's own id, or a new one.
    pub(super) id: HeaderValue,
    /// The client's place in a trace, or the begin of a new one.
    pub(super) traceparent: HeaderValue,
    /// Whether the request has an `authorization`.
    pub(super) has_token: bool,
    /// Whether refusals are to be problems (RFC 9457).
    pub(super) wants_problem: bool,
    /// The page that sent it, if a page did.
    pub(super) origin: Option<HeaderValue>,
}

impl Exchange {
    pub(super) fn begin(
        snapshot: Arc<Snapshot>,
        headers: &HeaderMap,
        client: Arc<Client>,
        trace_ratio: f64,
    ) -> Exchange {
        let (id, traceparent) = names(headers, trace_ratio);
        Exchange {
            snapshot,
            client,
            route: OnceLock::new(),
            id,
            traceparent,
            has_token: headers.contains_key(header::AUTHORIZATION),
            wants_problem: wants_problem(headers),
            origin: headers.get(header::ORIGIN).cloned(),
        }
    }
}

/// Named, since `*/*` is what programs send that know of no problems.
fn wants_problem(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let mut ranges = accepted.flat_map(|value| value.split(','));
    ranges.any(|range| {
        let name = range.split(';').next().unwrap_or_default();
        name.trim().eq_ignore_ascii_case(crate::error::PROBLEM)
    })
}

/// Digits of a request's own id, and of its place in a trace.
const ID: usize = 32;
const PLACE: usize = 55;

/// The request's id and its place in a trace: what the client says of them, or
/// else new ones, which share one allocation.
fn names(headers: &HeaderMap, trace_ratio: f64) -> (HeaderValue, HeaderValue) {
    let (id, place) = (given_id(headers), given_place(headers));
    if let (Some(id), Some(place)) = (id, place) {
        return (id.clone(), place.clone());
    }
    let mut text = Vec::with_capacity(ID + PLACE);
    text.resize(ID, 0);
    put_hex(&mut text, fastrand::u128(..));
    text.extend_from_slice(&begun(trace_ratio));
    let text = Bytes::from(text);
    let value = |part| HeaderValue::from_maybe_shared(part).expect("digits are a header value");
    let new_id = || value(text.slice(..ID));
    let new_place = || value(text.slice(ID..));
    (id.cloned().unwrap_or_else(new_id), place.cloned().unwrap_or_else(new_place))
}

fn given_id(headers: &HeaderMap) -> Option<&HeaderValue> {
    headers.get(REQUEST_ID).filter(|id| {
        (1..=MAX_ID_BYTES).contains(&id.len()) && id.as_bytes().iter().all(u8::is_ascii_graphic)
    })
}

fn given_place(headers: &HeaderMap) -> Option<&HeaderValue> {
    headers.get(TRACEPARENT).filter(|given| is_traceparent(given.as_bytes()))
}

/// The begin of a trace.
fn begun(ratio: f64) -> [u8; PLACE] {
    let sampled = u8::from(fastrand::f64() < ratio);
    let (trace, span) = (fastrand::u128(1..), fastrand::u64(1..));
    let mut text = *b"00-................................-................-00";
    put_hex(&mut text[3..35], trace);
    put_hex(&mut text[36..52], span.into());
    put_hex(&mut text[53..], sampled.into());
    text
}

/// Version 00, with ids that are not zero (W3C Trace Context §3.2.2).
fn is_traceparent(text: &[u8]) -> bool {
    let hex = |part: &[u8]| part.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let id = |part: &[u8]| hex(part) && part.iter().any(|byte| *byte != b'0');
    text.len() == 55
        && text.starts_with(b"00-")
        && id(&text[3..35])
        && text[35] == b'-'
        && id(&text[36..52])
        && text[52] == b'-'
        && hex(&text[53..])
}

/// Writes the last digits of a number, by hand: every request has three of them.
pub(super) fn put_hex(digits: &mut [u8], mut number: u128) {
    for digit in digits.iter_mut().rev() {
        *digit = b"0123456789abcdef"[(number & 15) as usize];
        number >>= 4;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_bytes(value.as_bytes()).unwrap())])
    }

    fn request_id(headers: &HeaderMap) -> HeaderValue {
        names(headers, 0.0).0
    }

    fn traceparent(headers: &HeaderMap, ratio: f64) -> HeaderValue {
        names(headers, ratio).1
    }

    #[test]
    fn a_clients_id_is_kept_when_it_can_stand_in_a_log() {
        assert_eq!(request_id(&with(REQUEST_ID, "a-1")), "a-1");
        let long = "x".repeat(129);
        for bad in ["", "a b", "é", &long] {
            assert_eq!(request_id(&with(REQUEST_ID, bad)).len(), 32, "{bad}");
        }
        assert_ne!(request_id(&HeaderMap::new()), request_id(&HeaderMap::new()));
    }

    #[test]
    fn a_trace_is_continued_or_begun() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(traceparent(&with(TRACEPARENT, good), 0.0), good);
        for bad in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            let begun = traceparent(&with(TRACEPARENT, bad), 1.0);
            assert!(is_traceparent(begun.as_bytes()) && begun != bad, "{bad}");
            assert!(begun.as_bytes().ends_with(b"-01"));
        }
        assert!(traceparent(&HeaderMap::new(), 0.0).as_bytes().ends_with(b"-00"));
    }
}
