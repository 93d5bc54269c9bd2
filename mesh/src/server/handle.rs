//! One call on the server's side: what is checked before the handler, what
//! surrounds it, and how its answer is sent.

use std::{net::SocketAddr, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::FutureExt as _;
use h2::{Reason, RecvStream, SendStream, server::SendResponse};
use http::{HeaderMap, HeaderValue, Request, Response, header};
use http_body::Body as _;
use tokio::time::Instant;
use tonic::{Code, Status, body::Body};
use tracing::Instrument as _;

use super::{Shared, drained, outcome::Outcome, overload::Place, request::RequestBody};
use crate::{
    Criticality, access,
    call::{self, Call, Caller},
    channel::{code_of, deadline_exceeded, payload::send_data},
    compression::{self, Accepted, Encoding},
    contract::Method,
    deadline,
    identity::{self, TokenError, process},
    status,
    telemetry::span,
    trace::{self, Trace},
};

const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");

/// Serves a call from its first header to its last trailer.
pub(super) async fn call(
    shared: Arc<Shared>,
    peer: SocketAddr,
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
) {
    if let Some(refusal) = not_grpc(&request) {
        // The peer may be gone already; then there is nobody to tell.
        let _ = respond.send_response(refusal, true);
        return;
    }
    let path = request.uri().path().to_owned();
    let method = shared.contracts.method(&path).cloned();
    let parent = Trace::from_headers(request.headers());
    let (span, place) = span::serving(&path, parent, shared.trace_ratio);
    let mut outcome = Outcome::new(&shared, method.clone(), path, peer, span.clone(), place);

    let served = serve(&shared, method, place, request, &mut respond, &mut outcome);
    served.instrument(span).await;
}

async fn serve(
    shared: &Shared,
    method: Option<Arc<Method>>,
    place: Trace,
    request: Request<RecvStream>,
    respond: &mut SendResponse<Bytes>,
    outcome: &mut Outcome,
) {
    let admitted = admit(shared, method.as_deref(), place, request.headers()).await;
    let (call, encoding) = match admitted {
        Ok(admitted) => admitted,
        Err(status) => return refuse(respond, outcome, &status),
    };
    outcome.caller(&call.caller);
    let terms = Terms {
        deadline: call.deadline,
        class: call.criticality.unwrap_or_default(),
        method: method.clone(),
    };
    let (head, stream) = request.into_parts();
    let body = RequestBody::new(stream, method, encoding, shared.limits.max_message_bytes);
    let mut request = Request::from_parts(head, body);
    // Unpacked here; the handler's codec must not look for what is gone.
    request.headers_mut().remove(compression::ENCODING);

    call::handling(call, answer(shared, terms, request, respond, outcome)).await;
}

/// On which a call is worked on.
struct Terms {
    deadline: Option<Instant>,
    class: Criticality,
    method: Option<Arc<Method>>,
}

/// A place among the calls at work, once the request is there.
async fn place<'a>(
    shared: &'a Shared,
    terms: &Terms,
    body: &mut RequestBody,
) -> Result<Place<'a>, Status> {
    let Some(overload) = &shared.overload else {
        return Ok(Place::Free);
    };
    if terms.method.as_ref().is_some_and(|method| !method.client_streaming) {
        body.arrive().await?;
    }
    overload.enter(terms.method.as_ref(), terms.class).await
}

/// Everything that is decided by headers alone.
async fn admit(
    shared: &Shared,
    method: Option<&Method>,
    place: Trace,
    headers: &HeaderMap,
) -> Result<(Arc<Call>, Option<Encoding>), Status> {
    let deadline = deadline_of(method, headers)?;
    let encoding = compression::encoding(headers)?;
    let (caller, token) = authenticate(shared, headers).await?;
    if let Some(method) = method {
        access::admit(&method.access, &caller, token.as_ref())?;
    }
    let own = method.map(|method| method.criticality).unwrap_or_default();
    let asked = Criticality::from_headers(headers);
    let class = Criticality::admitted(asked, own, caller.service.is_some());
    let passed = |name| {
        let value: Option<&HeaderValue> = headers.get(name);
        value.filter(|value| value.len() <= trace::MAX_PASSED_BYTES).cloned()
    };
    let call = Call {
        deadline,
        trace: place,
        // Only what verified here is passed on.
        authorization: caller.user.is_some().then(|| passed(header::AUTHORIZATION)).flatten(),
        tracestate: passed(trace::TRACESTATE),
        baggage: passed(trace::BAGGAGE),
        criticality: Some(class),
        repeated: headers.contains_key("grpc-previous-rpc-attempts"),
        caller,
    };
    Ok((Arc::new(call), encoding))
}

fn deadline_of(method: Option<&Method>, headers: &HeaderMap) -> Result<Option<Instant>, Status> {
    let asked = deadline::parse(headers).map_err(|error| {
        status::refuse(Code::InvalidArgument, "INVALID_TIMEOUT", error.to_string())
    })?;
    let allowed = method.and_then(|method| method.deadline);
    let timeout = [asked, allowed].into_iter().flatten().min();
    if timeout == Some(Duration::ZERO) {
        return Err(deadline_exceeded());
    }
    Ok(timeout.map(|timeout| Instant::now() + timeout))
}

/// Who calls, and what is wrong with the token when no user does. A token that
/// does not verify is only fatal where a user is asked for.
async fn authenticate(
    shared: &Shared,
    headers: &HeaderMap,
) -> Result<(Caller, Option<TokenError>), Status> {
    let service = match (headers.get(&process::HEADER), &shared.mesh_key) {
        (Some(proof), Some(key)) => Some(key.verify(proof, identity::unix_now())?),
        _ => None,
    };
    let user = match (identity::bearer(headers), &shared.verifier) {
        (Ok(token), Some(verifier)) => verifier.verify(token).await,
        (Ok(_), None) => Err(TokenError::Invalid("this process knows no issuer of tokens")),
        (Err(error), _) => Err(error),
    };
    Ok(match user {
        Ok(user) => (Caller { user: Some(user), service }, None),
        Err(error) => (Caller { user: None, service }, Some(error)),
    })
}

/// Runs the handler and sends what it answers, until the deadline passes or the
/// caller goes away.
async fn answer(
    shared: &Shared,
    terms: Terms,
    mut request: Request<RequestBody>,
    respond: &mut SendResponse<Bytes>,
    outcome: &mut Outcome,
) {
    let mut expiry = std::pin::pin!(expiry(terms.deadline, shared));
    let place = tokio::select! {
        biased;
        place = place(shared, &terms, request.body_mut()) => place,
        status = &mut expiry => Err(status),
        _ = std::future::poll_fn(|cx| respond.poll_reset(cx)) => return,
    };
    let place = match place {
        Ok(place) => place,
        Err(status) => return refuse(respond, outcome, &status),
    };
    let path = request.uri().path();
    let service = path.split('/').nth(1).unwrap_or_default().to_owned();
    let accepted = Accepted::by(request.headers());
    let Some(handler) = shared.routes.call(&service, request) else {
        let message = format!("this process does not serve {service}");
        let status = status::refuse(Code::Unimplemented, "UNKNOWN_SERVICE", message);
        return refuse(respond, outcome, &status);
    };
    let response = tokio::select! {
        biased;
        response = AssertUnwindSafe(handler).catch_unwind() => response,
        status = &mut expiry => return refuse(respond, outcome, &status),
        _ = std::future::poll_fn(|cx| respond.poll_reset(cx)) => return,
    };
    let response = match response {
        Ok(response) => response,
        Err(panic) => return refuse(respond, outcome, &panicked(&*panic)),
    };
    let (mut head, body) = response.into_parts();
    let body = compression::pack_response(&mut head, body, &accepted, shared.limits.compress_from);
    head.version = http::Version::HTTP_2;
    let refusal = code_of(&head.headers);
    let _place = place.answered(refusal.is_none_or(|code| code == Code::Ok));
    let ends = body.is_end_stream();
    let Ok(mut stream) = respond.send_response(Response::from_parts(head, ()), ends) else {
        return;
    };
    if ends {
        return outcome.decide(refusal.unwrap_or(Code::Unknown));
    }
    let sent = tokio::select! {
        biased;
        sent = AssertUnwindSafe(send(body, &mut stream)).catch_unwind() => sent,
        status = &mut expiry => Ok(Err(Unsent::Late(status))),
    };
    match sent {
        Ok(Ok(code)) => outcome.decide(code),
        Ok(Err(Unsent::Gone)) => {}
        Ok(Err(Unsent::Late(status))) => end(&mut stream, outcome, &status),
        Err(panic) => end(&mut stream, outcome, &panicked(&*panic)),
    }
}

/// Returns when a call has lasted long enough, with the status that ends it: at
/// its deadline or, for a call without one such as a subscription, when the
/// process drains; its caller then goes on with another instance.
async fn expiry(deadline: Option<Instant>, shared: &Shared) -> Status {
    match deadline {
        Some(deadline) => {
            tokio::time::sleep_until(deadline).await;
            deadline_exceeded()
        }
        None => {
            drained(&mut shared.draining.subscribe()).await;
            status::refuse(Code::Unavailable, "DRAINING", "this process is about to end")
        }
    }
}

/// Why an answer was not sent to its end.
enum Unsent {
    /// The caller has gone away.
    Gone,
    /// It has lasted long enough.
    Late(Status),
}

/// Sends messages and trailers as the caller's window allows.
async fn send(mut body: Body, stream: &mut SendStream<Bytes>) -> Result<Code, Unsent> {
    loop {
        let next = tokio::select! {
            biased;
            next = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)) => next,
            // A stream that has nothing to send must still notice.
            _ = std::future::poll_fn(|cx| stream.poll_reset(cx)) => return Err(Unsent::Gone),
        };
        let frame = match next {
            Some(Ok(frame)) => frame,
            Some(Err(status)) => {
                send_trailers(stream, trailers(&status));
                return Ok(status.code());
            }
            None => {
                stream.send_reset(Reason::INTERNAL_ERROR);
                return Ok(Code::Unknown);
            }
        };
        match frame.into_data() {
            Ok(data) => send_data(stream, data).await.map_err(|_| Unsent::Gone)?,
            Err(frame) => {
                let trailers = frame.into_trailers().unwrap_or_default();
                let code = code_of(&trailers).unwrap_or(Code::Unknown);
                send_trailers(stream, trailers);
                return Ok(code);
            }
        }
    }
}

fn send_trailers(stream: &mut SendStream<Bytes>, trailers: HeaderMap) {
    // An error means that the caller has gone away.
    let _ = stream.send_trailers(trailers);
}

fn trailers(status: &Status) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    if status.add_header(&mut trailers).is_err() {
        trailers.insert("grpc-status", HeaderValue::from(status.code() as i32));
    }
    trailers
}

fn end(stream: &mut SendStream<Bytes>, outcome: &mut Outcome, status: &Status) {
    outcome.decide(status.code());
    send_trailers(stream, trailers(status));
}

/// A status without a message before it: headers and trailers in one.
fn refuse(respond: &mut SendResponse<Bytes>, outcome: &mut Outcome, status: &Status) {
    outcome.decide(status.code());
    let mut response = Response::new(());
    *response.version_mut() = http::Version::HTTP_2;
    *response.headers_mut() = trailers(status);
    response.headers_mut().insert(header::CONTENT_TYPE, GRPC);
    // An error means that the caller has gone away.
    let _ = respond.send_response(response, true);
}

/// What the HTTP specification of gRPC asks to be refused as HTTP.
fn not_grpc(request: &Request<RecvStream>) -> Option<Response<()>> {
    let content_type = request.headers().get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    let grpc = content_type.is_some_and(|value| {
        value.starts_with(b"application/grpc") && matches!(value.get(16), None | Some(b'+' | b';'))
    });
    let status = if !grpc {
        http::StatusCode::UNSUPPORTED_MEDIA_TYPE
    } else if request.method() != http::Method::POST {
        http::StatusCode::METHOD_NOT_ALLOWED
    } else {
        return None;
    };
    let mut response = Response::new(());
    *response.status_mut() = status;
    *response.version_mut() = http::Version::HTTP_2;
    Some(response)
}

/// A handler that panics fails its own call and nothing else.
fn panicked(panic: &(dyn std::any::Any + Send)) -> Status {
    let text = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a value that is no text".to_owned());
    status::internal(&Panic(text))
}

#[derive(Debug, thiserror::Error)]
#[error("a handler panicked: {0}")]
struct Panic(String);
