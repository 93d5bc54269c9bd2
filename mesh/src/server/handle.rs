//! One call on the server's side: what is checked before the handler, what
//! surrounds it, and how its answer is sent.

use std::{
    future::poll_fn,
    net::SocketAddr,
    panic::AssertUnwindSafe,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_util::{FutureExt as _, future::BoxFuture};
use h2::{RecvStream, server::SendResponse};
use http::{Request, Response};
use http_body::Body as _;
use tokio::time::Instant;
use tonic::{Code, Status};
use tracing::{Instrument as _, Span};

use super::{
    Shared,
    admit::admit,
    answer::{Unsent, end, refuse, repeat_once, send, shorten},
    drained,
    head::Head,
    outcome::Outcome,
    overload::Place,
    request::RequestBody,
    routes::{Answer, Route, service_of},
};
use crate::{
    Criticality,
    call::{self, Call},
    channel::{code_of, deadline_exceeded},
    compression,
    contract::Method,
    status,
    telemetry::span,
    trace::Trace,
    workers,
};

/// Serves a call from its first header, which is there `now`, to its last trailer,
/// and tells when that was sent.
pub(super) async fn call(
    shared: Arc<Shared>,
    peer: SocketAddr,
    request: Request<RecvStream>,
    respond: SendResponse<Bytes>,
    now: Instant,
) -> Instant {
    let Some((mut work, span)) = Work::begin(&shared, peer, request, respond, now) else {
        return now;
    };

    // The span surrounds the handler even when nobody records it: its own spans
    // would otherwise be children of the connection's.
    work.serve().instrument(span).await;
    work.outcome.ended(Instant::now)
}

/// A call at work. What its steps share stands here and not in their futures,
/// each of which would have room for it.
struct Work<'a> {
    shared: &'a Shared,
    route: Route<'a>,
    head: Head,
    place: Trace,
    started: Instant,
    /// Until the handler has it.
    request: Option<Request<RequestBody>>,
    respond: SendResponse<Bytes>,
    outcome: Outcome<'a>,
}

/// On which a call is worked on.
struct Terms {
    deadline: Option<Instant>,
    class: Criticality,
}

impl<'a> Work<'a> {
    /// Up to the first wait; `None` when the request is no call and has been
    /// refused. No `async`: what is borrowed here would stay in the task.
    fn begin(
        shared: &'a Shared,
        peer: SocketAddr,
        request: Request<RecvStream>,
        mut respond: SendResponse<Bytes>,
        started: Instant,
    ) -> Option<(Self, Span)> {
        let head = Head::of(request.headers());
        if let Some(refusal) = not_grpc(&head, request.method()) {
            // The peer may be gone already; then there is nobody to tell.
            let _ = respond.send_response(refusal, true);
            return None;
        }
        let path = request.uri().path();
        let route = shared.routes.route(path);
        let (span, place) = span::serving(path, head.parent, shared.trace_ratio);
        let outcome = Outcome::new(shared, route.method, path, peer, span.clone(), place, started);
        let most = shared.limits.max_message_bytes;
        let method = route.method.map(AsRef::as_ref);
        let request = request.map(|stream| RequestBody::new(stream, method, most));
        let request = Some(request);
        Some((Self { shared, route, head, place, started, request, respond, outcome }, span))
    }

    async fn serve(&mut self) {
        let (terms, call) = match self.admit().await {
            Ok(admitted) => admitted,
            Err(status) => return self.refuse(&status),
        };
        call::handling(call, self.answer(terms)).await;
    }

    async fn admit(&mut self) -> Result<(Terms, Arc<Call>), Status> {
        let request = self.request.as_mut().expect("no handler has it yet");
        if let Some(encoding) = self.head.encoding.clone()? {
            request.body_mut().packed_with(encoding);
            // Unpacked here; the handler's codec must not look for what is gone.
            request.headers_mut().remove(compression::ENCODING);
        }
        let method = self.route.method.map(AsRef::as_ref);
        let call =
            admit(self.shared, method, self.place, &self.head, request.headers(), self.started)
                .await?;
        request.body_mut().belongs_to(call.clone());
        self.outcome.call = Some(call.clone());
        let terms = Terms { deadline: call.deadline, class: call.criticality.unwrap_or_default() };
        Ok((terms, call))
    }

    fn hand_over(&mut self) -> Result<Answer, Status> {
        let request = self.request.take().expect("no handler has it yet");
        match self.route.service {
            Some(service) => Ok(service.call(request)),
            None => {
                let name = service_of(request.uri().path());
                let message = format!("this process does not serve {name}");
                Err(status::refuse(Code::Unimplemented, "UNKNOWN_SERVICE", message))
            }
        }
    }

    fn refuse(&mut self, status: &Status) {
        refuse(&mut self.respond, &mut self.outcome, status);
    }

    /// Runs the handler and sends what it answers, until the deadline passes or
    /// the caller goes away. What is ready at once registers no timer and no
    /// waker: each is polled only after what it waits beside.
    async fn answer(&mut self, terms: Terms) {
        let mut expiry = Expiry { deadline: terms.deadline, shared: self.shared, timer: None };
        let body = self.request.as_mut().expect("no handler has it yet").body_mut();
        // To verify a user's token may take its time; nothing else has so far.
        let began = if self.head.authorization { Instant::now() } else { self.started };
        let place = tokio::select! {
            biased;
            place = place(self.shared, self.route.method, terms.class, body, began) => place,
            status = &mut expiry => Err(status),
            _ = poll_fn(|cx| self.respond.poll_reset(cx)) => return,
        };
        let place = match place {
            Ok(place) => place,
            Err(status) => return self.refuse(&status),
        };
        let handler = match self.hand_over() {
            Ok(handler) => handler,
            Err(status) => return self.refuse(&status),
        };
        let response = tokio::select! {
            biased;
            response = AssertUnwindSafe(held(self.route.method, handler)).catch_unwind() => response,
            status = &mut expiry => return self.refuse(&status),
            _ = poll_fn(|cx| self.respond.poll_reset(cx)) => return,
        };
        let response = match response {
            Ok(Ok(response)) => response,
            Ok(Err(never)) => match never {},
            Err(panic) => return self.refuse(&panicked(&*panic)),
        };
        let (mut head, body) = response.into_parts();
        let from = self.shared.limits.compress_from;
        let body = compression::pack_response(&mut head, body, &self.head.accepted, from);
        head.version = http::Version::HTTP_2;
        let ends = body.is_end_stream();
        // Before messages there is no status.
        let refusal = if ends { code_of(&head.headers) } else { None };
        let well = refusal.is_none_or(|code| code == Code::Ok);
        if ends {
            shorten(&mut head.headers);
        }
        if refusal == Some(Code::Unavailable) {
            repeat_once(&mut head.headers);
        }
        let response = Response::from_parts(head, ());
        let Ok(mut stream) = self.respond.send_response(response, ends) else {
            return;
        };
        if ends {
            let _place = place.answered(well, self.outcome.ended(Instant::now));
            return self.outcome.decide(refusal.unwrap_or(Code::Unknown));
        }
        let (sent, at_once) = {
            let sending = AssertUnwindSafe(send(body, &mut stream, &mut self.outcome.sent));
            let mut sending = pin!(sending.catch_unwind());
            // Most answers leave at once: then work and call end at the same moment.
            let sent = poll_fn(|cx| Poll::Ready(sending.as_mut().poll(cx))).await;
            let now = Instant::now();
            let _place = place.answered(well, now);
            match sent {
                Poll::Ready(sent) => (sent, Some(now)),
                Poll::Pending => tokio::select! {
                    biased;
                    sent = sending => (sent, None),
                    status = &mut expiry => (Ok(Err(Unsent::Late(status))), None),
                },
            }
        };
        if let Some(now) = at_once {
            self.outcome.ended(|| now);
        }
        match sent {
            Ok(Ok(code)) => self.outcome.decide(code),
            Ok(Err(Unsent::Gone)) => {}
            Ok(Err(Unsent::Late(status))) => end(&mut stream, &mut self.outcome, &status),
            Err(panic) => end(&mut stream, &mut self.outcome, &panicked(&*panic)),
        }
    }
}

/// A handler that the watchdog can name while it has the thread.
fn held(
    method: Option<&Arc<Method>>,
    mut handler: Answer,
) -> impl Future<Output = <Answer as Future>::Output> {
    poll_fn(move |cx| {
        let _holding = workers::hold(method);
        handler.poll_unpin(cx)
    })
}

/// A place among the calls at work, once the request of a call that began `now` is
/// there.
async fn place<'a>(
    shared: &'a Shared,
    method: Option<&'a Arc<Method>>,
    class: Criticality,
    body: &mut RequestBody,
    mut now: Instant,
) -> Result<Place<'a>, Status> {
    let Some(overload) = &shared.overload else {
        return Ok(Place::Free);
    };
    if method.is_some_and(|method| !method.client_streaming) {
        let waited = body.arrive().await?;
        if waited {
            now = Instant::now();
        }
    }
    overload.enter(method, class, now).await
}

/// Completes when a call has lasted long enough, with the status that ends it:
/// at its deadline or, for a call without one such as a subscription, when the
/// process drains; its caller then goes on with another instance.
struct Expiry<'a> {
    deadline: Option<Instant>,
    shared: &'a Shared,
    /// Made when it is first waited for: most calls are answered before.
    timer: Option<BoxFuture<'a, Status>>,
}

impl Future for Expiry<'_> {
    type Output = Status;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Status> {
        let (deadline, shared) = (self.deadline, self.shared);
        let timer = self.timer.get_or_insert_with(|| Box::pin(expiry(deadline, shared)));
        timer.as_mut().poll(cx)
    }
}

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

/// What the HTTP specification of gRPC asks to be refused as HTTP.
fn not_grpc(head: &Head, method: &http::Method) -> Option<Response<()>> {
    let status = if !head.grpc {
        http::StatusCode::UNSUPPORTED_MEDIA_TYPE
    } else if method != http::Method::POST {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn size_of_task<A, B, C, D, E, F>(_: fn(A, B, C, D, E) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn a_call_at_work_takes_little_memory() {
        // It is copied once when it begins, and stays for as long as a stream does.
        let size = size_of_task(call);
        assert!(size <= 2_560, "{size} bytes");
    }
}
