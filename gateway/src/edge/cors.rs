//! Cross-origin requests (Fetch, "HTTP-CORS protocol"). Off by default: a
//! browser then lets only pages of the edge's own origin read its answers.
//! Methods are those of the route table; credentials are never allowed, since
//! tokens travel in a header that scripts set themselves.

use http::{HeaderMap, HeaderName, HeaderValue, Method, header};

use crate::error::method_list;

/// How long a browser may remember an answer to a preflight. Routes may change
/// under it, so not long.
const MAX_AGE_SECS: HeaderValue = HeaderValue::from_static("600");

/// Response headers that scripts may read beside the basic ones.
const EXPOSED: HeaderValue = HeaderValue::from_static(
    "etag, grpc-message, grpc-status, location, retry-after, traceparent, www-authenticate, \
     x-request-id",
);

/// Longest list of header names that a preflight may ask for.
const MAX_REQUESTED_BYTES: usize = 1024;

/// Which origins may read the edge's answers.
#[derive(Clone, Debug, Default)]
pub(super) struct Cors {
    any: bool,
    origins: Vec<String>,
}

impl Cors {
    pub(super) fn new(origins: &[String]) -> Cors {
        Cors { any: origins.iter().any(|origin| origin == "*"), origins: origins.to_vec() }
    }

    /// Adds what every answer to this origin carries.
    pub(super) fn decorate(&self, origin: Option<&HeaderValue>, headers: &mut HeaderMap) {
        if self.origins.is_empty() {
            return;
        }
        if !self.any {
            headers.append(header::VARY, HeaderValue::from_static("origin"));
        }
        let Some(allowed) = origin.and_then(|origin| self.allowed(origin)) else { return };
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    }

    /// Answers a preflight for a path that has these methods.
    pub(super) fn preflight(
        &self,
        request: &HeaderMap,
        methods: &[Method],
        headers: &mut HeaderMap,
    ) {
        let origin = request.get(header::ORIGIN).and_then(|origin| self.allowed(origin));
        if origin.is_none() {
            return;
        }
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, method_list(methods));
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, MAX_AGE_SECS);
        if let Some(names) = requested(request) {
            headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, names);
        }
    }

    fn allowed(&self, origin: &HeaderValue) -> Option<HeaderValue> {
        if self.any {
            return Some(HeaderValue::from_static("*"));
        }
        self.origins
            .iter()
            .any(|known| known.as_bytes() == origin.as_bytes())
            .then(|| origin.clone())
    }
}

/// A preflight is exactly this; any other OPTIONS is the client's own.
pub(super) fn is_preflight(method: &Method, headers: &HeaderMap) -> bool {
    method == Method::OPTIONS
        && headers.contains_key(header::ORIGIN)
        && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

/// What reaches a service is decided when it is sent; a name that is none, or of
/// the mesh, is not repeated to the browser.
fn requested(request: &HeaderMap) -> Option<HeaderValue> {
    let asked = request.get(header::ACCESS_CONTROL_REQUEST_HEADERS)?.to_str().ok()?;
    if asked.len() > MAX_REQUESTED_BYTES {
        return None;
    }
    let names: Vec<String> = asked
        .split(',')
        .filter_map(|name| name.trim().parse::<HeaderName>().ok())
        .map(|name| name.as_str().to_owned())
        .filter(|name| !name.starts_with("titan-") && !name.starts_with("x-titan-"))
        .collect();
    HeaderValue::from_str(&names.join(", ")).ok().filter(|names| !names.is_empty())
}
