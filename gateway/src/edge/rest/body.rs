//! The body of a REST request that becomes one message: of the right type, within
//! the limit, without its coding.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use http_body::Body as _;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::Incoming;
use tonic::Code;
use transcode::bind::Body as BodyRule;

use crate::{
    edge::{coding, upload},
    error::Failure,
    schema::Route,
};

/// For a client to send its whole body: 4 MiB in this time is 140 kB/s, and a
/// slower one would hold memory for nothing.
const TIMEOUT: Duration = Duration::from_secs(30);
/// What HTML sends without being told otherwise.
const FORM: &str = "application/x-www-form-urlencoded";

/// The body, when its type and size are what the route takes.
pub(super) async fn read(
    route: &Route,
    headers: &HeaderMap,
    body: Incoming,
    max_bytes: usize,
) -> Result<Bytes, Failure> {
    if body.size_hint().lower() > max_bytes as u64 {
        return Err(too_large(max_bytes));
    }
    let takes_json = route.binding.body() != BodyRule::None && !route.binding.takes_http_body();
    if takes_json && !is_form(route, headers) {
        check_content_type(headers)?;
    }
    let read = Limited::new(body, max_bytes).collect();
    match tokio::time::timeout(TIMEOUT, read).await {
        Ok(Ok(collected)) => coding::unpack(collected.to_bytes(), headers, max_bytes),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large(max_bytes)),
        Ok(Err(_)) => Err(upload::aborted()),
        Err(_) => Err(upload::late()),
    }
}

pub(super) fn content_type(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::CONTENT_TYPE)?.to_str().ok()
}

pub(in crate::edge) fn too_large(limit: usize) -> Failure {
    let message = format!("the body is larger than {limit} bytes");
    Failure::new(Code::ResourceExhausted, "BODY_TOO_LARGE", message)
        .with_http(StatusCode::PAYLOAD_TOO_LARGE)
}

/// Whether the body is a form, and the route takes forms.
pub(super) fn is_form(route: &Route, headers: &HeaderMap) -> bool {
    let is_form = || Media::of(content_type(headers)?).filter(|media| media.kind == FORM);
    route.target.rpc.policy.form && route.binding.takes_form() && is_form().is_some()
}

/// A media type in UTF-8, in lower case.
struct Media {
    kind: String,
}

impl Media {
    fn of(text: &str) -> Option<Media> {
        let text = text.to_ascii_lowercase();
        let mut parts = text.split(';').map(str::trim);
        let kind = parts.next().unwrap_or_default().to_owned();
        let utf8 = parts.all(|parameter| {
            parameter
                .strip_prefix("charset=")
                .is_none_or(|charset| matches!(charset.trim_matches('"'), "utf-8" | "utf8"))
        });
        utf8.then_some(Media { kind })
    }
}

/// JSON in UTF-8 only. A form or text would pass from any page without a CORS
/// preflight; for the same reason a page must name the type, and only other
/// programs may leave it out.
fn check_content_type(headers: &HeaderMap) -> Result<(), Failure> {
    let refuse = || {
        let message = "the body must be `application/json` in UTF-8";
        Failure::new(Code::InvalidArgument, "UNSUPPORTED_MEDIA_TYPE", message)
            .with_http(StatusCode::UNSUPPORTED_MEDIA_TYPE)
    };
    if !headers.contains_key(header::CONTENT_TYPE) {
        return if headers.contains_key(header::ORIGIN) { Err(refuse()) } else { Ok(()) };
    }
    let media = content_type(headers).and_then(Media::of).ok_or_else(refuse)?;
    let kind = media.kind.as_str();
    let json =
        kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json"));
    if json { Ok(()) } else { Err(refuse()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_json_in_utf8_is_taken() {
        let taken = |pairs: &[(&'static str, &str)]| {
            let headers = pairs
                .iter()
                .map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap()))
                .collect();
            check_content_type(&headers).is_ok()
        };
        let typed = |value: &str| taken(&[("content-type", value)]);
        for good in [
            "application/json",
            "Application/JSON",
            "application/json; charset=utf-8",
            "application/json;charset=\"UTF-8\"; x=y",
            "application/merge-patch+json",
        ] {
            assert!(typed(good), "{good}");
        }
        for bad in [
            "",
            "text/plain",
            "text/json",
            "application/jsonx",
            "application/x-www-form-urlencoded",
            "multipart/form-data",
            "application/json; charset=latin1",
            "text/plain; application/json",
        ] {
            assert!(!typed(bad), "{bad}");
        }
        assert!(taken(&[]));
        assert!(!taken(&[("origin", "https://evil.example")]));
    }
}
