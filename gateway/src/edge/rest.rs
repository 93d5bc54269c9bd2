//! A REST request as a gRPC call, and its answer: JSON for one message each way,
//! and raw bodies, which may be streams.

mod answer;
pub(super) mod body;

use bytes::Bytes;
use http::{HeaderMap, Method, Response, StatusCode, header, request::Parts};
use hyper::body::{Body as _, Incoming};
use mesh::{Forwarded, Outgoing, ResponseBody};
use tonic::{Code, Status, body::Body};
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

/// What a request that is no call is answered.
type Answer = Box<Result<Response<Sent>, Failure>>;

impl Edge {
    /// The rule that serves a request.
    pub(super) fn route<'e>(
        &self,
        exchange: &'e Exchange,
    ) -> Result<(&'e Route, Captures<'e>), Answer> {
        let head = &exchange.head;
        let path = Path::parse(head.uri.path()).map_err(|error| refused(refuse_path(error)))?;
        match exchange.snapshot.find(head.method.as_str(), path) {
            Found::Route(route, captures) => {
                exchange.note_route(route);
                Ok((route, captures))
            }
            Found::NotAllowed(allow) => {
                let allow: Vec<_> = allow.iter().filter_map(|name| name.parse().ok()).collect();
                if head.method == Method::OPTIONS {
                    return Err(Box::new(Ok(self.options(&head.headers, &head.method, &allow))));
                }
                Err(refused(Failure::not_allowed(&head.method, &allow)))
            }
            Found::Nothing => {
                let why = "nothing is at this path";
                Err(refused(Failure::new(Code::NotFound, "ROUTE_NOT_FOUND", why)))
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

    /// Serves a request by a rule. The states that are rare are boxed, or each
    /// request would have room for them.
    pub(super) async fn call(
        &self,
        exchange: &Exchange,
        route: &Route,
        captures: Captures<'_>,
        body: Incoming,
    ) -> Result<Response<Sent>, Failure> {
        let (rpc, head) = (&route.target.rpc, &exchange.head);
        if !is_served(route) {
            let message = "streams of messages are served over gRPC only";
            return Err(Failure::new(Code::Unimplemented, "STREAMING_OVER_REST", message));
        }
        let (sending, conditional, cause) = if rpc.takes_stream {
            let (upload, cause) = Box::pin(self.upload(route, captures, head, body)).await?;
            (Outgoing::Messages(Body::new(upload)), false, Some(cause))
        } else {
            let mut content = Bytes::new();
            if !body.is_end_stream() {
                let read = body::read(route, &head.headers, body, self.limits.max_body_bytes);
                content = Box::pin(read).await?;
            }
            let (message, conditional) = self.message(route, captures, head, &content)?;
            (Outgoing::Message(message), conditional, None)
        };
        let answered = match self.upstream.call(rpc, forwarded(exchange, rpc, sending)?).await {
            Ok(response) => self.answer(exchange, route, response).await,
            Err(status) => Err(refusal(route, status)),
        };
        answered.map_err(|failure| match cause.as_ref().and_then(|cause| cause.get()) {
            // The service was told no more than that the call is off.
            Some(cause) => cause.clone(),
            // The service found another version than the client expects.
            None if conditional && failure.code() == Code::Aborted => {
                failure.with_http(StatusCode::PRECONDITION_FAILED)
            }
            None => failure,
        })
    }

    /// A request of one message, with its prefix; besides it, whether it names the
    /// version that is to be changed.
    fn message(
        &self,
        route: &Route,
        captures: Captures<'_>,
        head: &Parts,
        body: &[u8],
    ) -> Result<(Bytes, bool), Failure> {
        let mut message = frame::begin(body.len() + head.uri.path().len());
        let is_form = body::is_form(route, &head.headers);
        let request = transcode::bind::Request { is_form, ..request(captures, head, body) };
        let options = self.request_options();
        route.binding.request(&request, &options, &mut message).map_err(Failure::invalid)?;
        let conditional =
            !head.method.is_safe() && expect(&route.target, &head.headers, &mut message)?;
        Ok((frame::finish(message), conditional))
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
    ) -> Result<(Upload, Cause), Failure> {
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
        Ok((upload, cause))
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

    /// The answer of a call.
    async fn answer(
        &self,
        exchange: &Exchange,
        route: &Route,
        response: Response<ResponseBody>,
    ) -> Result<Response<Sent>, Failure> {
        if route.target.rpc.gives_stream {
            return Box::pin(self.download(exchange, route, response)).await;
        }
        let (metadata, mut body) = response.into_parts();
        let message = frame::read_unary(&metadata, &mut body).await;
        // The call has ended, which its body tells when it is dropped.
        drop(body);
        let message = message.map_err(|status| refusal(route, status))?;
        answer::message(exchange, route, &metadata.headers, &message).await
    }

    /// The answer of a call that gives a stream.
    async fn download(
        &self,
        exchange: &Exchange,
        route: &Route,
        response: Response<ResponseBody>,
    ) -> Result<Response<Sent>, Failure> {
        let refused = |status| refusal(route, status);
        let (metadata, mut messages) = Messages::open(response).map_err(refused)?;
        let length = headers::length(&metadata);
        let opener = route.binding.opener();
        // Nothing was said to the client yet: a refusal still has its own status.
        let first = messages.next().await.map_err(refused)?;
        let (media_type, data) = match &first {
            None => (None, Bytes::new()),
            Some(message) => {
                let opened = opener.open(message);
                let opened = opened.map_err(|error| answer::malformed(exchange, route, &error))?;
                (Some(answer::media_type(opened.content_type)), message.slice(opened.data))
            }
        };
        let download = Box::new(Download::new(messages, opener, data, length));
        answer::raw(exchange, route, &metadata, media_type, Content::Stream(download))
    }
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
fn forwarded(exchange: &Exchange, rpc: &Rpc, body: Outgoing) -> Result<Forwarded, Failure> {
    let timeout = match exchange.noted.timeout {
        true => deadline::of(exchange.headers(), rpc.allowance)?,
        false => rpc.allowance,
    };
    let (path, metadata) = (rpc.path.clone(), exchange.metadata(headers::from_rest));
    Ok(Forwarded { path, metadata, body, trace: exchange.trace, timeout })
}

/// What a service's refusal of a request says to its client.
fn refusal(route: &Route, status: Status) -> Failure {
    Failure::from(status).of_request(route.target.rpc.method.input())
}

fn refused(failure: Failure) -> Answer {
    Box::new(Err(failure))
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
