//! One call: its deadline, its headers, and its attempts.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Request, Response, header,
    request::Parts,
    uri::{PathAndQuery, Scheme},
};
use tokio::time::Instant;
use tonic::{Code, Status, body::Body};
use tracing::Instrument as _;

use super::{
    Carried, Shared,
    failure::{self, Failure, Pushback, Sent},
    key::{self, Keyed},
    outcome::Outcome,
    payload::Payload,
    permit::{Ask, Permit, Shape},
    pool::Unpicked,
    response::{Incoming, ResponseBody, Upload, code_of},
};
use crate::{
    backoff::Backoff,
    call::{self, Call},
    compression,
    contract::{Method, Retry},
    criticality, deadline,
    identity::process,
    status,
    telemetry::span,
    trace,
};

/// Attempts before this one (gRFC A6).
const PREVIOUS_ATTEMPTS: HeaderName = HeaderName::from_static("grpc-previous-rpc-attempts");
const USER_AGENT: HeaderValue =
    HeaderValue::from_static(concat!("titan-mesh/", env!("CARGO_PKG_VERSION")));

/// Kept back from a deadline that is passed on, so that the answer of a call
/// that ran out of time still reaches the one who waits for it.
pub(super) const SLACK: Duration = Duration::from_millis(1);

/// Requests that the peer proved not to have looked at are repeated this often
/// without counting as attempts.
pub(super) const MAX_REFUSED: u32 = 3;

/// Makes a call.
pub(super) async fn run(
    shared: Arc<Shared>,
    carried: Carried,
    request: Request<Body>,
) -> Result<Response<ResponseBody>, Status> {
    let (mut head, body) = request.into_parts();
    let path = head.uri.path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/"));
    let method = shared.common.contracts.load().method(path.path()).cloned();
    let handled = call::current();

    let (span, place) = span::calling(path.path(), shared.common.trace_ratio);
    let now = Instant::now();
    let mut outcome = Outcome::new(method.clone(), span.clone(), now);
    let shape = Shape::of(method.as_deref());
    let Some(room) = shared.bulkhead.enter(shape != Shape::Unary) else {
        outcome.decide(Code::ResourceExhausted);
        return Err(shared.full());
    };
    outcome.hold(room);
    let deadline = deadline_of(&head.headers, method.as_deref(), handled.as_deref(), now);
    address(&mut head, &shared, path);
    describe(&mut head.headers, &shared, carried, handled.as_deref(), place);

    let limit = compression::accept(&mut head.headers).then_some(shared.common.max_message_bytes);
    let body = compression::pack_request(&mut head, body);
    let (key, keyed) = key::of(method.as_deref(), &head.headers, shared.common.max_message_bytes);
    let attempts = Attempts {
        repeatable: method.as_ref().is_some_and(|method| method.idempotency.repeatable())
            && !handled.as_ref().is_some_and(|call| call.repeated),
        retry: method.as_ref().map(|method| method.retry).unwrap_or_default(),
        shared: &shared,
        ask: Ask { key, ..Ask::new(deadline, shape) },
        keyed,
        head,
    };
    let made = attempts.make(body).instrument(span);
    let made = match deadline {
        // Everything is within: the wait for an instance, all attempts, waits.
        Some(deadline) => tokio::time::timeout_at(deadline, made)
            .await
            .unwrap_or_else(|_| Err(failure::deadline_exceeded())),
        None => made.await,
    };
    match made {
        Ok(Answer { response, permit, upload }) => {
            let (mut parts, stream) = response.into_parts();
            let incoming = Incoming::of(&mut parts.headers, limit)
                .inspect_err(|status| outcome.decide(status.code()))?;
            let headers = &parts.headers;
            let body =
                ResponseBody::new(stream, headers, incoming, deadline, outcome, permit, upload);
            Ok(Response::from_parts(parts, body))
        }
        Err(status) => {
            outcome.decide(status.code());
            if let Some(handled) = handled.filter(|_| attempts.repeatable) {
                handled.failed_below(status.code());
            }
            Err(status)
        }
    }
}

/// The least of what the caller asks, the contract allows, and the handled call
/// has left.
fn deadline_of(
    headers: &HeaderMap,
    method: Option<&Method>,
    handled: Option<&Call>,
    now: Instant,
) -> Option<Instant> {
    // A header that does not parse is our own caller's mistake, which the
    // server refuses by name.
    let asked = deadline::parse(headers).ok().flatten().map(|timeout| now + timeout);
    let allowed = method.and_then(|method| method.deadline).map(|timeout| now + timeout);
    let left = handled.and_then(|call| call.deadline).map(|deadline| deadline - SLACK);
    [asked, allowed, left].into_iter().flatten().min()
}

fn address(head: &mut Parts, shared: &Shared, path: PathAndQuery) {
    let mut uri = http::uri::Parts::default();
    uri.scheme = Some(Scheme::HTTP);
    uri.authority = Some(shared.authority.clone());
    uri.path_and_query = Some(path);
    head.uri = http::Uri::from_parts(uri).expect("scheme, authority and path make a URI");
    head.version = http::Version::HTTP_2;
}

/// Adds what a call carries beside its own metadata.
fn describe(
    headers: &mut HeaderMap,
    shared: &Shared,
    carried: Carried,
    handled: Option<&Call>,
    place: trace::Trace,
) {
    headers.entry(header::USER_AGENT).or_insert(USER_AGENT);
    headers.insert(trace::TRACEPARENT, place.header());
    let inherited = handled.and_then(|call| call.authorization.clone());
    if let Some(token) = carried.authorization.or(inherited) {
        headers.entry(header::AUTHORIZATION).or_insert(token);
    }
    if let Some(call) = handled {
        for (name, value) in
            [(trace::TRACESTATE, &call.tracestate), (trace::BAGGAGE, &call.baggage)]
        {
            if let Some(value) = value {
                headers.entry(name).or_insert_with(|| value.clone());
            }
        }
    }
    if carried.outsider {
        headers.remove(criticality::HEADER);
    }
    let inherited = handled.and_then(|call| call.criticality);
    if let Some(class) = carried.criticality.or(inherited) {
        headers.entry(criticality::HEADER).or_insert_with(|| class.header());
    }
    if let Some(prover) = shared.common.prover.as_ref().filter(|_| !carried.outsider) {
        headers.entry(process::HEADER).or_insert_with(|| prover.proof());
    }
}

/// A response whose body has not been read.
struct Answer {
    response: Response<h2::RecvStream>,
    permit: Permit,
    upload: Option<Upload>,
}

struct Attempts<'a> {
    shared: &'a Shared,
    head: Parts,
    ask: Ask,
    keyed: Option<Keyed>,
    repeatable: bool,
    retry: Retry,
}

impl Attempts<'_> {
    async fn make(&self, body: Body) -> Result<Answer, Status> {
        let mut payload = Payload::of(body).await?;
        let mut backoff = Backoff::new(self.retry.initial_backoff, self.retry.max_backoff);
        let mut attempts = 1;
        let mut refused = 0;
        let mut ask = self.ask;
        if let Some(keyed) = &self.keyed {
            ask.key = payload.message().and_then(|message| keyed.read(message));
        }
        self.shared.budget.earn();
        loop {
            let failure = match self.attempt(&mut payload, &mut ask, attempts - 1).await {
                Ok(answer) if !self.asks_to_repeat(&answer.response) => return Ok(answer),
                Ok(answer) => Failure::declared(answer.response.headers()),
                Err(failure) => failure,
            };
            match failure.sent {
                // The pool has dropped that connection, so this ends when no
                // instance is left, at the latest.
                Sent::No if payload.repeatable() => {}
                Sent::Refused if payload.repeatable() && refused < MAX_REFUSED => refused += 1,
                Sent::Maybe if self.may_repeat(&failure, &payload, attempts) => {
                    attempts += 1;
                    let wait = match failure.pushback {
                        Pushback::After(wait) => wait,
                        _ => backoff.wait(),
                    };
                    tokio::time::sleep(wait).await;
                }
                _ => return Err(failure.status),
            }
        }
    }

    fn may_repeat(&self, failure: &Failure, payload: &Payload, attempts: u32) -> bool {
        self.repeatable
            && failure.status.code() == Code::Unavailable
            && failure.pushback != Pushback::Never
            && payload.repeatable()
            && attempts < self.retry.max_attempts
            && self.shared.budget.spend()
    }

    fn asks_to_repeat(&self, response: &Response<h2::RecvStream>) -> bool {
        self.repeatable && code_of(response.headers()) == Some(Code::Unavailable)
    }

    /// Sends the request once and waits for the response's headers.
    async fn attempt(
        &self,
        payload: &mut Payload,
        ask: &mut Ask,
        previous: u32,
    ) -> Result<Answer, Failure> {
        let picked = self.shared.pool.pick(ask, &self.shared.bulkhead).await;
        let mut permit = picked.map_err(|why| self.unpicked(why))?;
        ask.avoid.add(permit.instance());
        let mut sender = permit.connection.sender();
        if let Err(error) = std::future::poll_fn(|cx| sender.poll_ready(cx)).await {
            permit.connection.retire();
            return Err(Failure::unsent(&error));
        }
        let sending = payload.take().expect("an attempt is made only with something to send");
        let (response, stream) = match sender.send_request(self.request(previous), false) {
            Ok(opened) => opened,
            Err(error) => {
                permit.connection.retire();
                payload.restore(sending);
                return Err(Failure::unsent(&error));
            }
        };
        let upload = send(sending, stream);
        match response.await {
            Ok(response) => {
                permit.answered(&response);
                Ok(Answer { response, permit, upload })
            }
            Err(error) => {
                permit.broke(&error, Instant::now());
                Err(Failure::of_stream(&error))
            }
        }
    }

    fn unpicked(&self, why: Unpicked) -> Failure {
        if why == Unpicked::Crowded {
            return Failure::new(self.shared.full(), Sent::Nowhere);
        }
        let message = format!("no instance of {} can be reached", self.shared.app);
        let status = status::refuse(Code::Unavailable, "NO_INSTANCE", message);
        Failure::new(status, Sent::Nowhere)
    }

    fn request(&self, previous: u32) -> Request<()> {
        let mut request = Request::new(());
        *request.uri_mut() = self.head.uri.clone();
        *request.method_mut() = self.head.method.clone();
        *request.version_mut() = self.head.version;
        *request.headers_mut() = self.head.headers.clone();
        let headers = request.headers_mut();
        // As late as possible: what was spent waiting is not left to the server.
        if let Some(deadline) = self.ask.deadline {
            let left = deadline.saturating_duration_since(Instant::now());
            headers.insert(deadline::HEADER, deadline::format(left));
        }
        if previous > 0 {
            headers.insert(PREVIOUS_ATTEMPTS, HeaderValue::from(previous));
        }
        request
    }
}

fn send(payload: Payload, mut stream: h2::SendStream<Bytes>) -> Option<Upload> {
    match payload {
        Payload::Whole(message) => {
            // An error means that the stream is gone, which the response tells.
            let _ = stream.send_data(message, true);
            None
        }
        Payload::Stream(streamed) => {
            let task = tokio::spawn(streamed.send(stream));
            Some(Upload(task.abort_handle()))
        }
        Payload::Spent => None,
    }
}
