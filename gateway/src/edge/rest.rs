//! A REST request as a unary gRPC call, and its answer as JSON.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body::Body as _;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use tonic::{Code, body::Body};
use transcode::{
    ReadOptions, WriteOptions,
    bind::{Body as BodyRule, RequestOptions},
    route::{Captures, Path, PathError},
    routes::Found,
};

use super::{Edge, coding, cors, deadline, exchange::Exchange, frame, headers, validator};
use crate::{
    error::{Failure, method_list},
    schema::{Route, Rpc, Target},
};

/// Media type of every answer but raw bodies.
const JSON: &str = "application/json";
/// For a client to send its whole body: 4 MiB in this time is 140 kB/s, and a
/// slower one would hold memory for nothing.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// Deepest JSON of a request; services decode no deeper than 100, and contracts
/// have a few levels.
const MAX_DEPTH: usize = 64;
/// Most values in the JSON of a request: an element of two bytes can become a
/// message with all that it costs the service that decodes it.
const MAX_VALUES: usize = 250_000;

impl Edge {
    pub(super) async fn rest(
        &self,
        exchange: &Exchange,
        request: Request<Incoming>,
    ) -> Result<Response<Body>, Failure> {
        let (head, body) = request.into_parts();
        let path = Path::parse(head.uri.path()).map_err(refuse_path)?;
        match exchange.snapshot.find(head.method.as_str(), path) {
            Found::Route(route, captures) => {
                super::log::route(route.binding.template());
                self.call(exchange, route, captures, &head, body).await
            }
            Found::NotAllowed(allow) => {
                let allow: Vec<_> = allow.iter().filter_map(|name| name.parse().ok()).collect();
                if head.method == Method::OPTIONS {
                    return Ok(self.options(&head.headers, &head.method, &allow));
                }
                Err(Failure::not_allowed(&head.method, &allow))
            }
            Found::Nothing => {
                Err(Failure::new(Code::NotFound, "ROUTE_NOT_FOUND", "nothing is at this path"))
            }
        }
    }

    fn options(&self, request: &HeaderMap, method: &Method, allow: &[Method]) -> Response<Body> {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        response.headers_mut().insert(header::ALLOW, method_list(allow));
        if cors::is_preflight(method, request) {
            self.cors.preflight(request, allow, response.headers_mut());
        }
        response
    }

    async fn call(
        &self,
        exchange: &Exchange,
        route: &Route,
        captures: Captures<'_>,
        head: &http::request::Parts,
        body: Incoming,
    ) -> Result<Response<Body>, Failure> {
        let target = &route.target;
        if !target.rpc.is_unary() {
            let message = "streaming methods are served over gRPC only";
            return Err(Failure::new(Code::Unimplemented, "STREAMING_OVER_REST", message));
        }
        let body = self.read_body(route, &head.headers, body).await?;
        let request = transcode::bind::Request {
            captures,
            query: head.uri.query().unwrap_or_default(),
            body: &body,
            content_type: content_type(&head.headers).unwrap_or_default(),
        };
        let mut message = frame::begin(body.len() + head.uri.path().len());
        let options = self.request_options();
        route.binding.request(&request, &options, &mut message).map_err(Failure::invalid)?;
        let conditional = !head.method.is_safe() && expect(target, &head.headers, &mut message)?;

        let answered = self.unary(exchange, &target.rpc, &head.headers, message).await;
        let (metadata, message) = answered.map_err(|failure| match failure.code() {
            // The service found another version than the client expects.
            Code::Aborted if conditional => failure.with_http(StatusCode::PRECONDITION_FAILED),
            _ => failure,
        })?;
        let version = target.shows.as_ref().and_then(|etag| etag.read(&message)).map(str::to_owned);
        let rendered = render(route, &message)?;
        Ok(respond(head, &metadata, rendered, version.as_deref()).await)
    }

    fn request_options(&self) -> RequestOptions {
        let limits = transcode::Limits {
            // It was bounded when it arrived, and again when it was unpacked.
            input: self.limits.max_body_bytes,
            depth: MAX_DEPTH,
            elements: MAX_VALUES,
            ..transcode::Limits::default()
        };
        let read = ReadOptions { limits, ..ReadOptions::default() };
        RequestOptions { read, ..RequestOptions::default() }
    }

    /// The body, when its type and size are what the route takes.
    async fn read_body(
        &self,
        route: &Route,
        headers: &HeaderMap,
        body: Incoming,
    ) -> Result<Bytes, Failure> {
        if body.is_end_stream() {
            return Ok(Bytes::new());
        }
        if body.size_hint().lower() > self.limits.max_body_bytes as u64 {
            return Err(too_large(self.limits.max_body_bytes));
        }
        if route.binding.body() != BodyRule::None && !route.binding.takes_http_body() {
            check_content_type(headers)?;
        }
        let read = Limited::new(body, self.limits.max_body_bytes).collect();
        match tokio::time::timeout(BODY_TIMEOUT, read).await {
            Ok(Ok(collected)) => {
                coding::unpack(collected.to_bytes(), headers, self.limits.max_body_bytes)
            }
            Ok(Err(error)) if error.is::<LengthLimitError>() => {
                Err(too_large(self.limits.max_body_bytes))
            }
            Ok(Err(_)) => {
                Err(Failure::new(Code::Cancelled, "BODY_ABORTED", "the body did not arrive"))
            }
            Err(_) => {
                let late = Failure::new(Code::DeadlineExceeded, "BODY_TIMEOUT", "the body is late");
                Err(late.with_http(StatusCode::REQUEST_TIMEOUT))
            }
        }
    }

    /// Makes the call; within its deadline, whatever the service does.
    async fn unary(
        &self,
        exchange: &Exchange,
        rpc: &Rpc,
        headers: &HeaderMap,
        message: Vec<u8>,
    ) -> Result<(HeaderMap, Bytes), Failure> {
        let limit = rpc.policy.deadline.or(Some(deadline::DEFAULT));
        let timeout = deadline::of(headers, limit)?;
        let frame = Full::new(frame::finish(message)).map_err(|never| match never {});
        let mut request = Request::new(Body::new(frame));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = rpc.path.clone().into();
        *request.headers_mut() = headers::from_rest(headers, exchange.peer);
        request.headers_mut().insert(super::exchange::REQUEST_ID, exchange.id.clone());
        if let Some(timeout) = timeout {
            request.headers_mut().insert(mesh::deadline::HEADER, mesh::deadline::format(timeout));
        }
        let answer = self.upstream.call(&rpc.app, request).await;
        let read = match answer {
            Ok(response) => frame::read_unary(response).await,
            Err(status) => Err(status),
        };
        read.map_err(|status| Failure::from(status).of_request(rpc.method.input()))
    }
}

fn refuse_path(error: PathError) -> Failure {
    let failure = Failure::new(Code::InvalidArgument, "INVALID_PATH", error.to_string());
    match error {
        PathError::TooLong => failure.with_http(StatusCode::URI_TOO_LONG),
        _ => failure,
    }
}

/// The body of a response.
struct Rendered {
    content_type: HeaderValue,
    body: Bytes,
    is_json: bool,
}

fn render(route: &Route, message: &Bytes) -> Result<Rendered, Failure> {
    let malformed = |error: &dyn std::fmt::Display| {
        let rpc = route.rpc();
        tracing::error!(method = rpc, %error, "a response contradicts its contract");
        Failure::new(Code::Internal, "INVALID_RESPONSE", "the service's answer is malformed")
    };
    if route.binding.gives_http_body() {
        let download = route.binding.download(message).map_err(|error| malformed(&error))?;
        let content_type = HeaderValue::from_str(download.content_type)
            .unwrap_or(HeaderValue::from_static("application/octet-stream"));
        return Ok(Rendered { content_type, body: message.slice(download.data), is_json: false });
    }
    // JSON is mostly less than twice as long as the message.
    let mut body = Vec::with_capacity(2 * message.len() + 64);
    let options = WriteOptions::default();
    route.binding.response(message, &options, &mut body).map_err(|error| malformed(&error))?;
    let content_type = HeaderValue::from_static(JSON);
    Ok(Rendered { content_type, body: body.into(), is_json: true })
}

/// Adds the version that `If-Match` names to the request; tells whether it does.
fn expect(target: &Target, headers: &HeaderMap, frame: &mut Vec<u8>) -> Result<bool, Failure> {
    let refuse = |http, reason, why: &str| {
        Err(Failure::new(Code::InvalidArgument, reason, why).with_http(http))
    };
    let version = match validator::expected(headers) {
        Ok(Some(version)) => version,
        Ok(None) => return Ok(false),
        Err(why) => return refuse(StatusCode::BAD_REQUEST, "INVALID_IF_MATCH", why),
    };
    let Some(etag) = &target.expects else {
        // What cannot be compared must not be done (RFC 9110 §13.1.1).
        let why = "this method compares no versions";
        return refuse(StatusCode::PRECONDITION_FAILED, "IF_MATCH_UNSUPPORTED", why);
    };
    if etag.read(frame::message(frame)).is_some_and(|given| given != version) {
        let why = "If-Match and the request's `etag` differ";
        return refuse(StatusCode::BAD_REQUEST, "CONFLICTING_ETAG", why);
    }
    etag.append(frame, &version);
    Ok(true)
}

async fn respond(
    request: &http::request::Parts,
    metadata: &HeaderMap,
    rendered: Rendered,
    version: Option<&str>,
) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.headers_mut() = headers::to_rest(metadata);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, rendered.content_type);
    let tag = request.method.is_safe().then(|| validator::tag(version, &rendered.body));
    let body = match rendered.is_json {
        true => coding::pack(rendered.body, coding::accepted(&request.headers), headers).await,
        false => rendered.body,
    };
    headers.insert(header::CONTENT_LENGTH, body.len().into());
    // HEAD has the headers of GET and no body, on HTTP/2 as well.
    if request.method != Method::HEAD {
        *response.body_mut() = Body::new(Full::new(body).map_err(|never| match never {}));
    }
    match tag {
        Some(tag) => validator::validated(&request.headers, response, &tag),
        None => response,
    }
}

fn content_type(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::CONTENT_TYPE)?.to_str().ok()
}

pub(super) fn too_large(limit: usize) -> Failure {
    let message = format!("the body is larger than {limit} bytes");
    Failure::new(Code::ResourceExhausted, "BODY_TOO_LARGE", message)
        .with_http(StatusCode::PAYLOAD_TOO_LARGE)
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
    let text = content_type(headers).ok_or_else(refuse)?.to_ascii_lowercase();
    let mut parts = text.split(';').map(str::trim);
    let kind = parts.next().unwrap_or_default();
    let json =
        kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json"));
    let utf8 = parts.all(|parameter| {
        parameter
            .strip_prefix("charset=")
            .is_none_or(|charset| matches!(charset.trim_matches('"'), "utf-8" | "utf8"))
    });
    if json && utf8 { Ok(()) } else { Err(refuse()) }
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
