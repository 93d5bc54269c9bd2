//! A REST request as a gRPC call, and its answer: JSON for one message each way,
//! and raw bodies, which may be streams.

mod answer;
pub(super) mod body;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, header, request::Parts};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use mesh::ResponseBody;
use tonic::{Code, body::Body};
use transcode::{
    ReadOptions,
    bind::RequestOptions,
    route::{Captures, Path, PathError},
    routes::Found,
};

use self::answer::Content;
use super::{
    Edge, coding, cors, deadline,
    download::Download,
    exchange::Exchange,
    frame, headers,
    messages::Messages,
    sent::Sent,
    upload::{Arriving, Cause, Upload},
    validator,
};
use crate::{
    error::{Failure, method_list},
    schema::{Route, Rpc, Target, is_served},
};

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
    ) -> Result<Response<Sent>, Failure> {
        let (head, body) = request.into_parts();
        let path = Path::parse(head.uri.path()).map_err(refuse_path)?;
        match exchange.snapshot.find(head.method.as_str(), path) {
            Found::Route(route, captures) => {
                // It is served by one route.
                let _ = exchange.route.set(route.binding.template().text().clone());
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

    fn options(&self, request: &HeaderMap, method: &Method, allow: &[Method]) -> Response<Sent> {
        let mut response = Response::new(Sent::EMPTY);
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
        head: &Parts,
        body: Incoming,
    ) -> Result<Response<Sent>, Failure> {
        if !is_served(route) {
            let message = "streams of messages are served over gRPC only";
            return Err(Failure::new(Code::Unimplemented, "STREAMING_OVER_REST", message));
        }
        let sending = if route.target.rpc.takes_stream {
            Box::pin(self.upload(route, captures, head, body)).await?
        } else {
            self.message(route, captures, head, body).await?
        };
        let answered = self.answered(exchange, route, head, sending.body).await;
        answered.map_err(|failure| match (failure.code(), sending.cause.get()) {
            // The service was told no more than that the call is off.
            (_, Some(cause)) => cause.clone(),
            // The service found another version than the client expects.
            (Code::Aborted, _) if sending.conditional => {
                failure.with_http(StatusCode::PRECONDITION_FAILED)
            }
            _ => failure,
        })
    }

    /// A request of one message.
    async fn message(
        &self,
        route: &Route,
        captures: Captures<'_>,
        head: &Parts,
        body: Incoming,
    ) -> Result<Sending, Failure> {
        let body = body::read(route, &head.headers, body, self.limits.max_body_bytes).await?;
        let mut message = frame::begin(body.len() + head.uri.path().len());
        let is_form = body::is_form(route, &head.headers);
        let request = transcode::bind::Request { is_form, ..request(captures, head, &body) };
        let options = self.request_options();
        route.binding.request(&request, &options, &mut message).map_err(Failure::invalid)?;
        let conditional =
            !head.method.is_safe() && expect(&route.target, &head.headers, &mut message)?;
        let frame = Full::new(frame::finish(message)).map_err(|never| match never {});
        Ok(Sending { body: Body::new(frame), conditional, cause: Cause::default() })
    }

    /// A request of messages that come as the client sends its body. The first
    /// piece is waited for: what path and query say goes with it, and a mistake in
    /// them is told without a call.
    async fn upload(
        &self,
        route: &Route,
        captures: Captures<'_>,
        head: &Parts,
        body: Incoming,
    ) -> Result<Sending, Failure> {
        coding::refuse_coded(&head.headers)?;
        if head.headers.contains_key(header::IF_MATCH) {
            return Err(incomparable());
        }
        let mut message = frame::begin(head.uri.path().len());
        let (request, options) = (request(captures, head, &[]), self.request_options());
        let mut arriving = Arriving::new(body, self.limits.idle_timeout);
        let first = arriving.piece().await?;
        let written = route.binding.upload(&request, &options, first.len(), &mut message);
        written.map_err(Failure::invalid)?;
        let message = frame::finish_before(message, first.len());
        let upload = Upload::new(message, first, arriving, route.binding.pieces());
        let cause = upload.cause();
        Ok(Sending { body: Body::new(upload), conditional: false, cause })
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

    async fn answered(
        &self,
        exchange: &Exchange,
        route: &Route,
        head: &Parts,
        body: Body,
    ) -> Result<Response<Sent>, Failure> {
        let rpc = &route.target.rpc;
        let refused = |status| Failure::from(status).of_request(rpc.method.input());
        let request = upstream_request(exchange, rpc, &head.headers, body)?;
        let response = self.upstream.call(rpc, request).await.map_err(refused)?;
        if rpc.gives_stream {
            return Box::pin(self.download(head, route, response)).await;
        }
        let (metadata, message) = frame::read_unary(response).await.map_err(refused)?;
        answer::message(head, route, &metadata, &message).await
    }

    /// The answer of a call that gives a stream.
    async fn download(
        &self,
        head: &Parts,
        route: &Route,
        response: Response<ResponseBody>,
    ) -> Result<Response<Sent>, Failure> {
        let input = route.target.rpc.method.input();
        let refused = |status| Failure::from(status).of_request(input.clone());
        let (metadata, mut messages) = Messages::open(response).map_err(refused)?;
        let length = headers::length(&metadata);
        let opener = route.binding.opener();
        // Nothing was said to the client yet: a refusal still has its own status.
        let first = messages.next().await.map_err(refused)?;
        let (media_type, data) = match &first {
            None => (None, Bytes::new()),
            Some(message) => {
                let opened = opener.open(message);
                let opened = opened.map_err(|error| answer::malformed(route, &error))?;
                (Some(answer::media_type(opened.content_type)), message.slice(opened.data))
            }
        };
        let download = Box::new(Download::new(messages, opener, data, length));
        answer::raw(head, route, &metadata, media_type, Content::Stream(download))
    }
}

/// What a call sends.
struct Sending {
    body: Body,
    /// Whether it names the version that is to be changed.
    conditional: bool,
    /// Why its body has failed, if it has.
    cause: Cause,
}

fn request<'a>(
    captures: Captures<'a>,
    head: &'a Parts,
    body: &'a [u8],
) -> transcode::bind::Request<'a> {
    transcode::bind::Request {
        captures,
        query: head.uri.query().unwrap_or_default(),
        body,
        content_type: body::content_type(&head.headers).unwrap_or_default(),
        is_form: false,
    }
}

/// The call; within its deadline, whatever the service does.
fn upstream_request(
    exchange: &Exchange,
    rpc: &Rpc,
    headers: &HeaderMap,
    body: Body,
) -> Result<Request<Body>, Failure> {
    let mut request = Request::new(body);
    *request.method_mut() = Method::POST;
    *request.uri_mut() = rpc.path.clone().into();
    *request.headers_mut() = headers::from_rest(headers, exchange.client.forwarded.clone());
    request.headers_mut().insert(super::exchange::REQUEST_ID, exchange.id.clone());
    if let Some(timeout) = deadline::header(headers, &rpc.allowance)? {
        request.headers_mut().insert(mesh::deadline::HEADER, timeout);
    }
    Ok(request)
}

fn refuse_path(error: PathError) -> Failure {
    let failure = Failure::new(Code::InvalidArgument, "INVALID_PATH", error.to_string());
    match error {
        PathError::TooLong => failure.with_http(StatusCode::URI_TOO_LONG),
        _ => failure,
    }
}

/// Adds the version that `If-Match` names to the request; tells whether it does.
fn expect(target: &Target, headers: &HeaderMap, frame: &mut Vec<u8>) -> Result<bool, Failure> {
    let refuse = |reason, why| Err(Failure::new(Code::InvalidArgument, reason, why));
    let version = match validator::expected(headers) {
        Ok(Some(version)) => version,
        Ok(None) => return Ok(false),
        Err(why) => return refuse("INVALID_IF_MATCH", why),
    };
    let Some(etag) = &target.expects else {
        return Err(incomparable());
    };
    if etag.read(frame::message(frame)).is_some_and(|given| given != version) {
        let why = "If-Match and the request's `etag` differ";
        return refuse("CONFLICTING_ETAG", why);
    }
    etag.append(frame, &version);
    Ok(true)
}

/// What cannot be compared must not be done (RFC 9110 §13.1.1).
fn incomparable() -> Failure {
    let why = "this method compares no versions";
    Failure::new(Code::InvalidArgument, "IF_MATCH_UNSUPPORTED", why)
        .with_http(StatusCode::PRECONDITION_FAILED)
}
