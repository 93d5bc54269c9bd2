//! What the headers of a request say to the mesh, read in one pass: a look-up of
//! each would hash a name, and most of them find nothing.

use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use tonic::Status;

use crate::{
    Criticality,
    compression::{self, Accepted, Encoding},
    deadline::{self, InvalidTimeout},
    trace::Trace,
};

/// Of a header that came more than once, the first counts.
pub(super) struct Head {
    /// Whether it is a call of gRPC at all, by its content type.
    pub(super) grpc: bool,
    pub(super) timeout: Result<Option<Duration>, InvalidTimeout>,
    /// Where in a trace the caller is.
    pub(super) parent: Option<Trace>,
    pub(super) asked: Option<Criticality>,
    /// How the messages of the request are packed.
    pub(super) encoding: Result<Option<Encoding>, Status>,
    pub(super) accepted: Accepted,
    pub(super) proof: Option<HeaderValue>,
    /// Whether there are these, which few calls have.
    pub(super) authorization: bool,
    pub(super) tracestate: bool,
    pub(super) baggage: bool,
    /// Whether the call was tried before (gRFC A6).
    pub(super) repeated: bool,
}

#[derive(Default)]
struct Found<'a> {
    content_type: Option<&'a HeaderValue>,
    timeout: Option<&'a HeaderValue>,
    traceparent: Option<&'a HeaderValue>,
    criticality: Option<&'a HeaderValue>,
    encoding: Option<&'a HeaderValue>,
    accept_encoding: Option<&'a HeaderValue>,
    proof: Option<&'a HeaderValue>,
    authorization: Option<&'a HeaderValue>,
    tracestate: Option<&'a HeaderValue>,
    baggage: Option<&'a HeaderValue>,
    previous_attempts: Option<&'a HeaderValue>,
}

impl<'a> Found<'a> {
    fn of(headers: &'a HeaderMap) -> Self {
        let mut found = Self::default();
        for (name, value) in headers {
            let place = match name.as_str() {
                "content-type" => &mut found.content_type,
                "grpc-timeout" => &mut found.timeout,
                "traceparent" => &mut found.traceparent,
                "titan-criticality" => &mut found.criticality,
                "grpc-encoding" => &mut found.encoding,
                "grpc-accept-encoding" => &mut found.accept_encoding,
                "titan-service" => &mut found.proof,
                "authorization" => &mut found.authorization,
                "tracestate" => &mut found.tracestate,
                "baggage" => &mut found.baggage,
                "grpc-previous-rpc-attempts" => &mut found.previous_attempts,
                _ => continue,
            };
            place.get_or_insert(value);
        }
        found
    }
}

impl Head {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let found = Found::of(headers);
        Self {
            grpc: found.content_type.is_some_and(is_grpc),
            timeout: found.timeout.map(deadline::read).transpose(),
            parent: found.traceparent.and_then(|value| Trace::parse(value.as_bytes())),
            asked: found.criticality.and_then(Criticality::read),
            encoding: compression::read(found.encoding),
            accepted: Accepted::by(found.accept_encoding),
            proof: found.proof.cloned(),
            authorization: found.authorization.is_some(),
            tracestate: found.tracestate.is_some(),
            baggage: found.baggage.is_some(),
            repeated: found.previous_attempts.is_some(),
        }
    }
}

fn is_grpc(content_type: &HeaderValue) -> bool {
    let value = content_type.as_bytes();
    value.starts_with(b"application/grpc") && matches!(value.get(16), None | Some(b'+' | b';'))
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, header};

    use super::*;
    use crate::{criticality, identity::process, trace};

    fn head(headers: impl IntoIterator<Item = (HeaderName, &'static str)>) -> Head {
        let headers = headers.into_iter();
        Head::of(&headers.map(|(name, value)| (name, HeaderValue::from_static(value))).collect())
    }

    #[test]
    fn each_header_is_found_by_its_name() {
        let head = head([
            (header::CONTENT_TYPE, "application/grpc+proto"),
            (deadline::HEADER, "20m"),
            (trace::TRACEPARENT, "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
            (criticality::HEADER, "SHEDDABLE"),
            (compression::ENCODING, "gzip"),
            (compression::ACCEPT_ENCODING, "zstd"),
            (process::HEADER, "v1"),
            (header::AUTHORIZATION, "Bearer a"),
            (trace::TRACESTATE, "a=1"),
            (trace::BAGGAGE, "b=2"),
            (HeaderName::from_static("grpc-previous-rpc-attempts"), "1"),
        ]);
        assert!(head.grpc && head.repeated);
        assert_eq!(head.timeout, Ok(Some(Duration::from_millis(20))));
        assert!(head.parent.unwrap().sampled);
        assert_eq!(head.asked, Some(Criticality::Sheddable));
        assert_eq!(head.encoding.unwrap(), Some(Encoding::Gzip));
        assert_eq!(head.accepted.best(None), Some(Encoding::Zstd));
        assert_eq!(head.proof.unwrap(), "v1");
        assert!(head.authorization && head.tracestate && head.baggage);
    }

    #[test]
    fn nothing_is_found_where_nothing_is() {
        let head = head([]);
        assert!(!head.grpc && !head.repeated && head.parent.is_none() && head.asked.is_none());
        assert_eq!((head.timeout, head.encoding.unwrap()), (Ok(None), None));
        assert_eq!(head.accepted.best(None), None);
        assert!(!head.authorization && !head.tracestate && !head.baggage && head.proof.is_none());
    }

    #[test]
    fn the_first_of_a_header_counts() {
        let head = head([(deadline::HEADER, "20m"), (deadline::HEADER, "90S")]);
        assert_eq!(head.timeout, Ok(Some(Duration::from_millis(20))));
    }

    #[test]
    fn only_names_and_forms_of_grpc_are_grpc() {
        for (content_type, expected) in [
            ("application/grpc", true),
            ("application/grpc+proto", true),
            ("application/grpc;charset=utf-8", true),
            ("application/grpc-web", false),
            ("application/json", false),
        ] {
            assert_eq!(head([(header::CONTENT_TYPE, content_type)]).grpc, expected);
        }
    }
}
