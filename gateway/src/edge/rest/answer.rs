//! The answer to a REST request: status and headers by the call's metadata, the
//! conditions and the part that its client asked for, and a body.

use std::fmt::Display;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header, request::Parts};
use tonic::{Code, body::Body};
use transcode::WriteOptions;

use crate::{
    edge::{
        coding,
        download::Download,
        exchange::Exchange,
        headers::{self, Kind},
        range::{self, Asked},
        sent::Sent,
        validator,
    },
    error::Failure,
    schema::Route,
};

/// Media type of every answer but raw bodies.
const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// Of a raw body whose service says none that could stand in a header.
const UNKNOWN: HeaderValue = HeaderValue::from_static("application/octet-stream");

/// A message of the service that is not what its contract says.
pub(super) fn malformed(exchange: &Exchange, route: &Route, error: &dyn Display) -> Failure {
    let (rpc, trace) = (route.rpc(), exchange.trace.id());
    let trace_id = trace.to_str().unwrap_or_default();
    tracing::error!(method = rpc, trace_id, %error, "a response contradicts its contract");
    Failure::new(Code::Internal, "INVALID_RESPONSE", "the service's answer is malformed")
}

/// Answers with one message.
pub(super) async fn message(
    exchange: &Exchange,
    route: &Route,
    metadata: &HeaderMap,
    message: &Bytes,
) -> Result<Response<Sent>, Failure> {
    let etag = route.target.shows.as_ref().and_then(|etag| etag.read(message));
    if route.binding.gives_http_body() {
        let opened = route.binding.download(message);
        let opened = opened.map_err(|error| malformed(exchange, route, &error))?;
        let content = Content::Whole(message.slice(opened.data));
        let media_type = media_type(opened.content_type);
        return raw(exchange, route, metadata, Some(media_type), content);
    }
    // JSON is mostly less than twice as long as the message.
    let mut body = Vec::with_capacity(2 * message.len() + 64);
    let options = WriteOptions::default();
    let written = route.binding.response(message, &options, &mut body);
    written.map_err(|error| malformed(exchange, route, &error))?;
    let mut response = begin(exchange, metadata, Kind::Json);
    let (request, mut body) = (&exchange.head, Bytes::from(body));
    let tag = is_kept(request, &response).then(|| validator::tag(etag, &body));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, JSON);
    headers.append(header::VARY, coding::VARY);
    let mut packed = false;
    if exchange.noted.accept_encoding
        && let Some(coding) = coding::accepted(&request.headers)
    {
        (body, packed) = Box::pin(coding::pack(body, coding, headers)).await;
    }
    let cache = route.target.rpc.policy.cache.as_ref();
    if tag.is_some() && validator::validate(&request.headers, headers, tag, cache, packed) {
        return Ok(not_modified(response));
    }
    // What is sent tells its length by itself.
    if request.method == Method::HEAD {
        headers.insert(header::CONTENT_LENGTH, body.len().into());
    }
    Ok(finish(request, response, || Sent::Whole(body)))
}

/// The content of a `google.api.HttpBody`.
pub(super) enum Content {
    Whole(Bytes),
    Stream(Box<Download>),
}

impl Content {
    fn length(&self) -> Option<u64> {
        match self {
            Content::Whole(bytes) => Some(bytes.len() as u64),
            Content::Stream(download) => download.length(),
        }
    }

    /// Those bytes of it; a part lies within its length.
    fn part(self, part: std::ops::Range<u64>) -> Content {
        match self {
            Content::Whole(bytes) => {
                let at = |at| usize::try_from(at).expect("a part lies within the bytes");
                Content::Whole(bytes.slice(at(part.start)..at(part.end)))
            }
            Content::Stream(download) => Content::Stream(Box::new(download.only(part))),
        }
    }

    fn into_body(self) -> Sent {
        match self {
            Content::Whole(bytes) => Sent::Whole(bytes),
            Content::Stream(download) => Sent::Stream(Body::new(download)),
        }
    }
}

/// Answers with content as it is.
///
/// # Errors
/// When the client asks for bytes that it does not have.
pub(super) fn raw(
    exchange: &Exchange,
    route: &Route,
    metadata: &HeaderMap,
    content_type: Option<HeaderValue>,
    mut content: Content,
) -> Result<Response<Sent>, Failure> {
    let mut response = begin(exchange, metadata, Kind::Raw);
    let request = &exchange.head;
    let kept = is_kept(request, &response);
    let headers = response.headers_mut();
    if let Some(content_type) = content_type {
        headers.insert(header::CONTENT_TYPE, content_type);
    }
    if kept {
        // Of a stream no digest can be told before it was sent.
        let tag = match &content {
            Content::Whole(bytes) => Some(validator::tag(None, bytes)),
            Content::Stream(_) => None,
        };
        let cache = route.target.rpc.policy.cache.as_ref();
        if validator::validate(&request.headers, headers, tag, cache, false) {
            return Ok(not_modified(response));
        }
        content = ranged(request, &mut response, content)?;
    }
    if let Some(length) = content_length(&response, &content) {
        response.headers_mut().insert(header::CONTENT_LENGTH, length.into());
    }
    Ok(finish(request, response, || content.into_body()))
}

/// The part that is asked for. Content of unknown length has no parts: which
/// bytes are the last ones, and whether the first asked for one exists, is known
/// when all of it was read, and a range may always be ignored (RFC 9110 §14.2).
fn ranged(
    request: &Parts,
    response: &mut Response<Sent>,
    content: Content,
) -> Result<Content, Failure> {
    let headers = response.headers_mut();
    let Some(length) = content.length() else {
        headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("none"));
        return Ok(content);
    };
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    // "… range handling is only defined for GET": HEAD tells of the whole.
    if request.method != Method::GET {
        return Ok(content);
    }
    match range::asked(&request.headers, length, headers.get(header::ETAG)) {
        Asked::All => Ok(content),
        Asked::Part(part) => {
            headers.insert(header::CONTENT_RANGE, range::content_range(Some(&part), length));
            headers.insert(header::CONTENT_LENGTH, (part.end - part.start).into());
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            Ok(content.part(part))
        }
        Asked::Outside => {
            let message = format!("there are {length} bytes");
            Err(Failure::new(Code::OutOfRange, "RANGE_NOT_SATISFIABLE", message)
                .with_http(StatusCode::RANGE_NOT_SATISFIABLE)
                .with_header(header::CONTENT_RANGE, range::content_range(None, length)))
        }
    }
}

/// Of a part, what was said of it; of the whole, its own.
fn content_length(response: &Response<Sent>, content: &Content) -> Option<u64> {
    match response.headers().contains_key(header::CONTENT_LENGTH) {
        true => None,
        false => content.length(),
    }
}

/// Status and headers by a call's metadata.
fn begin(exchange: &Exchange, metadata: &HeaderMap, kind: Kind) -> Response<Sent> {
    let mut response = Response::new(Sent::EMPTY);
    *response.status_mut() = headers::status(metadata, &exchange.trace);
    *response.headers_mut() = headers::to_rest(metadata, kind);
    response
}

/// Whether an answer may be kept and asked for again by its tag.
fn is_kept(request: &Parts, response: &Response<Sent>) -> bool {
    request.method.is_safe() && response.status() == StatusCode::OK
}

/// The body, where there is one: HEAD has the headers of GET and no body, on
/// HTTP/2 as well, and some statuses never have any (RFC 9110 §15.3.5, §15.4.5).
fn finish(
    request: &Parts,
    mut response: Response<Sent>,
    body: impl FnOnce() -> Sent,
) -> Response<Sent> {
    let status = response.status();
    if matches!(status, StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT) {
        let headers = response.headers_mut();
        headers.remove(header::CONTENT_TYPE);
        headers.remove(header::CONTENT_ENCODING);
        headers.remove(header::CONTENT_LENGTH);
    } else if status == StatusCode::NOT_MODIFIED {
        return not_modified(response);
    } else if request.method != Method::HEAD {
        *response.body_mut() = body();
    }
    response
}

fn not_modified(mut response: Response<Sent>) -> Response<Sent> {
    for gone in [header::CONTENT_TYPE, header::CONTENT_LENGTH, header::CONTENT_ENCODING] {
        response.headers_mut().remove(gone);
    }
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    response
}

/// A service's media type, when it can stand in a header.
pub(super) fn media_type(name: &str) -> HeaderValue {
    HeaderValue::from_str(name).unwrap_or(UNKNOWN)
}
