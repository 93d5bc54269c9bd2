//! Which headers pass between a client and a service. From a REST client only
//! those that mean something to a service; from a gRPC client its metadata; and
//! from neither what only the mesh itself may say.

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use mesh::call::Trace;

use super::spare;

/// Who calls, as the services' logs and limits see it: the address of the edge's
/// own peer, since nobody vouches for what a client writes there.
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Headers that the edge and the mesh add to a call: type, `te`, peer, time, trace,
/// and codings. A map that grows is made twice.
const ADDED: usize = 6;

/// Headers of a REST request that are metadata of the call. Not its id, which may
/// be none that can be passed on.
const REST_METADATA: [&str; 6] =
    ["accept-language", "authorization", "baggage", "idempotency-key", "tracestate", "user-agent"];

/// Connection headers (RFC 9110 §7.6.1), which describe one hop.
const HOP_BY_HOP: [&str; 9] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// What processes of the mesh tell each other about themselves; a client that
/// sends it pretends to be one.
fn is_of_the_mesh(name: &str) -> bool {
    name.starts_with("titan-") || name.starts_with("x-titan-")
}

fn is_hop_by_hop(name: &str) -> bool {
    HOP_BY_HOP.contains(&name)
}

/// The metadata of a call for a REST request.
pub(super) fn from_rest(headers: &HeaderMap, forwarded: HeaderValue) -> HeaderMap {
    let mut metadata = pick(headers, |name| {
        let custom = name.starts_with("x-") && !name.starts_with("x-forwarded-");
        (custom || REST_METADATA.contains(&name))
            && !is_of_the_mesh(name)
            && !matches!(name, "x-real-ip" | "x-request-id" | "x-server-timeout")
    });
    metadata.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    metadata.insert(header::TE, HeaderValue::from_static("trailers"));
    metadata.insert(FORWARDED_FOR, forwarded);
    metadata
}

/// The metadata of a call for a gRPC request: everything but what belongs to the
/// hop, to the edge, or to the mesh.
pub(super) fn from_grpc(headers: &HeaderMap, forwarded: HeaderValue) -> HeaderMap {
    let mut metadata = pick(headers, |name| {
        !is_hop_by_hop(name)
            && !is_of_the_mesh(name)
            && !name.starts_with("x-forwarded-")
            && !matches!(
                name,
                "host"
                    | "content-length"
                    | "cookie"
                    | "expect"
                    | "grpc-timeout"
                    | "grpc-previous-rpc-attempts"
                    | "traceparent"
                    | "x-real-ip"
                    | "x-request-id"
                    | "x-server-timeout"
            )
    });
    metadata.insert(header::TE, HeaderValue::from_static("trailers"));
    metadata.insert(FORWARDED_FOR, forwarded);
    metadata
}

/// The HTTP status of an answer that its service chooses, from 200 to 399: what is
/// an error is said by the call's status, and by nothing else.
const CODE: &str = "x-http-code";
/// How many bytes a streamed download has in all. `content-length` would be
/// HTTP/2's own word on the stream of the call.
const LENGTH: &str = "x-http-content-length";
/// Headers of HTTP that a service may set by metadata of these names.
const REST_HEADERS: [&str; 14] = [
    "cache-control",
    "content-disposition",
    "content-language",
    "content-location",
    "deprecation",
    "etag",
    "expires",
    "last-modified",
    "link",
    "location",
    "retry-after",
    "sunset",
    "vary",
    "warning",
];
/// The same about bytes that the edge does not make.
const RAW_HEADERS: [&str; 3] = ["accept-ranges", "content-encoding", "content-range"];

/// What the body of a response is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// JSON that the edge writes.
    Json,
    /// What the service has sent.
    Raw,
}

/// The headers of a REST response from a call's metadata: those of HTTP that are
/// listed, and those that begin with `x-`. Cookies are not among them: whoever
/// sets one for the edge's host speaks for every service behind it.
pub(super) fn to_rest(metadata: &HeaderMap, kind: Kind) -> HeaderMap {
    answer(metadata, |name| {
        let custom = name.starts_with("x-") && !name.starts_with("x-http-");
        (custom && !is_of_the_mesh(name))
            || REST_HEADERS.contains(&name)
            || (kind == Kind::Raw && RAW_HEADERS.contains(&name))
    })
}

/// The HTTP status that a service asks for; 200 when it asks for none that it may.
pub(super) fn status(metadata: &HeaderMap, trace: &Trace) -> StatusCode {
    // Answers have few headers: to compare each is less work than to hash the name.
    let asked = metadata.iter().find(|(name, _)| name.as_str() == CODE);
    let Some((_, asked)) = asked else { return StatusCode::OK };
    let status = StatusCode::from_bytes(asked.as_bytes()).ok();
    status.filter(|status| (200..400).contains(&status.as_u16())).unwrap_or_else(|| {
        let trace = trace.id();
        let trace_id = trace.to_str().unwrap_or_default();
        tracing::warn!(trace_id, ?asked, "a service asks for a status that an answer cannot have");
        StatusCode::OK
    })
}

/// The length that a service promises of a download.
pub(super) fn length(metadata: &HeaderMap) -> Option<u64> {
    metadata.get(LENGTH)?.to_str().ok()?.parse().ok()
}

/// The headers of a gRPC response.
pub(super) fn to_grpc(metadata: &HeaderMap) -> HeaderMap {
    answer(metadata, |name| {
        !is_hop_by_hop(name) && !is_of_the_mesh(name) && !matches!(name, "content-length" | "date")
    })
}

/// Those of a request's headers that pass, with room for what is added.
fn pick(headers: &HeaderMap, passes: impl Fn(&str) -> bool) -> HeaderMap {
    let passing = || headers.iter().filter(|(name, _)| passes(name.as_str()));
    let mut picked = HeaderMap::with_capacity(passing().count() + ADDED);
    picked.extend(passing().map(|(name, value)| (name.clone(), value.clone())));
    picked
}

/// Those of a call's metadata that pass.
fn answer(metadata: &HeaderMap, passes: impl Fn(&str) -> bool) -> HeaderMap {
    let mut picked = spare::take();
    let passing = metadata.iter().filter(|(name, _)| passes(name.as_str()));
    picked.extend(passing.map(|(name, value)| (name.clone(), value.clone())));
    picked
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(headers: &HeaderMap) -> Vec<&str> {
        let mut names: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        names
    }

    fn of(names: &[&'static str]) -> HeaderMap {
        let pair = |name: &&'static str| (HeaderName::from_static(name), "v".parse().unwrap());
        names.iter().map(pair).collect()
    }

    const SENT: [&str; 22] = [
        "host",
        "connection",
        "te",
        "content-length",
        "content-type",
        "cookie",
        "origin",
        "authorization",
        "idempotency-key",
        "x-custom",
        "x-request-id",
        "x-server-timeout",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-real-ip",
        "titan-service",
        "titan-anything",
        "x-titan-user",
        "grpc-timeout",
        "grpc-encoding",
        "custom-bin",
        "traceparent",
    ];

    #[test]
    fn a_rest_client_passes_what_means_something_to_a_service() {
        let peer = HeaderValue::from_static("192.0.2.7");
        let metadata = from_rest(&of(&SENT), peer);
        assert_eq!(
            names(&metadata),
            [
                "authorization",
                "content-type",
                "idempotency-key",
                "te",
                "x-custom",
                "x-forwarded-for",
            ]
        );
        assert_eq!(metadata["x-forwarded-for"], "192.0.2.7");
        assert_eq!(metadata["content-type"], "application/grpc");
    }

    #[test]
    fn a_grpc_client_passes_its_metadata_but_not_the_words_of_the_mesh() {
        let peer = HeaderValue::from_static("::1");
        let metadata = from_grpc(&of(&SENT), peer);
        assert_eq!(
            names(&metadata),
            [
                "authorization",
                "content-type",
                "custom-bin",
                "grpc-encoding",
                "idempotency-key",
                "origin",
                "te",
                "x-custom",
                "x-forwarded-for",
            ]
        );
        assert_eq!(metadata["x-forwarded-for"], "::1");
    }

    #[test]
    fn a_rest_response_has_what_a_service_may_say() {
        let metadata = of(&[
            "content-type",
            "content-encoding",
            "grpc-status",
            "grpc-encoding",
            "titan-load",
            "x-titan-user",
            "x-http-code",
            "x-http-content-length",
            "date",
            "server",
            "set-cookie",
            "strict-transport-security",
            "www-authenticate",
            "x-custom",
            "location",
            "access-control-allow-origin",
            "trailer",
        ]);
        assert_eq!(names(&to_rest(&metadata, Kind::Json)), ["location", "x-custom"]);
        assert_eq!(
            names(&to_rest(&metadata, Kind::Raw)),
            ["content-encoding", "location", "x-custom"]
        );
    }

    #[test]
    fn a_service_chooses_among_the_statuses_of_success() {
        let trace = Trace::of(None, 0.0);
        let asked = |code: &str| {
            let code = (HeaderName::from_static(CODE), code.parse().unwrap());
            status(&HeaderMap::from_iter([code]), &trace)
        };
        for code in [200, 201, 202, 204, 206, 303, 308, 399] {
            assert_eq!(asked(&code.to_string()), code);
        }
        for bad in ["", "0", "99", "100", "199", "400", "404", "500", "2e2", "+200", "0200", "x"] {
            assert_eq!(asked(bad), 200, "{bad}");
        }
        assert_eq!(status(&HeaderMap::new(), &trace), 200);
    }
}
