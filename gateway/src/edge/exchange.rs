//! What the edge notes about a request before it looks at it: an id, a place in
//! a trace, and whether there is a token.

use std::sync::{Arc, OnceLock};

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
        Exchange {
            snapshot,
            client,
            route: OnceLock::new(),
            id: request_id(headers),
            traceparent: mesh::call::trace_of(headers.get(TRACEPARENT), trace_ratio),
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

fn request_id(headers: &HeaderMap) -> HeaderValue {
    let given = headers.get(REQUEST_ID).filter(|id| {
        (1..=MAX_ID_BYTES).contains(&id.len()) && id.as_bytes().iter().all(u8::is_ascii_graphic)
    });
    given.cloned().unwrap_or_else(|| {
        let mut text = [0; 32];
        put_hex(&mut text, fastrand::u128(..));
        HeaderValue::from_bytes(&text).expect("digits are a header value")
    })
}

/// Writes the last digits of a number, by hand: every request has one.
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

    #[test]
    fn a_clients_id_is_kept_when_it_can_stand_in_a_log() {
        assert_eq!(request_id(&with(REQUEST_ID, "a-1")), "a-1");
        let long = "x".repeat(129);
        for bad in ["", "a b", "é", &long] {
            assert_eq!(request_id(&with(REQUEST_ID, bad)).len(), 32, "{bad}");
        }
        assert_ne!(request_id(&HeaderMap::new()), request_id(&HeaderMap::new()));
    }
}
