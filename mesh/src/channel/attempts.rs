//! One call: its deadline, its headers, and how often it is attempted.

use std::{
    pin::{Pin, pin},
    sync::Arc,
    task::Poll,
    time::Duration,
};

use http::{HeaderMap, Request, Response, uri::PathAndQuery};
use tokio::time::Instant;
use tonic::{Code, Status, body::Body};
use tracing::Instrument as _;

use super::{
    Carried, Forwarded, Outgoing, Shared,
    attempt::Answer,
    failure::{self, Failure, Pushback, Sent, UNPROCESSED},
    head::{Context, Head},
    hedging::Hedged,
    key::{self, Keyed},
    outcome::Outcome,
    payload::Payload,
    permit::{Ask, Shape},
    response::{Incoming, ResponseBody, code_of},
    told::Told,
};
use crate::{
    backoff::Backoff,
    call, compression,
    contract::{Method, Retry},
    deadline,
    telemetry::span,
    trace::Trace,
};

/// Kept back from a deadline that is passed on, so that the answer of a call
/// that ran out of time still reaches the one who waits for it.
pub(super) const SLACK: Duration = Duration::from_millis(1);

/// Requests that the peer proved not to have looked at are repeated this often
/// without counting as attempts.
pub(super) const MAX_REFUSED: u32 = 3;

/// A call that is about to be made.
pub(super) struct Attempts {
    pub(super) head: Head,
    pub(super) ask: Ask,
    keyed: Option<Keyed>,
    repeatable: bool,
    /// The call that is being handled is itself a repetition.
    below_repetition: bool,
    retry: Retry,
    /// Boxed, since most methods are not hedged.
    pub(super) hedged: Option<Box<Hedged>>,
    pub(super) told: Told,
}

/// What becomes of a call.
pub(super) type Made = Result<Response<ResponseBody>, Status>;

/// Makes a call, from its first poll on. What it needs stands in this one future
/// from the start: all of it together is large, and dear to move.
pub(super) async fn make(shared: Arc<Shared>, carried: Carried, order: Order) -> Made {
    let Call { mut attempts, body, mut outcome, limit } = Call::begin(shared, carried, order)?;
    let deadline = attempts.ask.deadline;
    let made = {
        // Everything is within: the wait for an instance, all attempts, waits.
        let work = pin!(attempts.make(body));
        let work = within(deadline, work);
        // The span is entered with every poll: not even that is paid without one.
        match outcome.span().cloned() {
            None => work.await,
            Some(span) => Box::pin(work.instrument(span)).await,
        }
    };
    outcome.repeated(attempts.told.repetitions);
    match made {
        Ok(Answer { response, permit, upload, told }) => {
            outcome.carry(told);
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
            if attempts.repeatable {
                attempts.head.failed(status.code());
            }
            Err(status)
        }
    }
}

/// A call that is asked for.
pub(super) struct Order {
    path: PathAndQuery,
    headers: HeaderMap,
    body: Outgoing,
    /// How long it may take, as far as who asks for it says.
    timeout: Option<Duration>,
    cause: Cause,
}

/// What a call is made for.
enum Cause {
    /// The call that its task handles, if any.
    Handled,
    /// A request from outside, which is there in its trace.
    Outside(Trace),
}

impl Order {
    /// A call by a task for whatever it handles.
    pub(super) fn of(request: Request<Body>) -> Self {
        let (mut head, body) = request.into_parts();
        let path = head.uri.into_parts().path_and_query;
        let body = compression::pack_request(&mut head.headers, &mut head.extensions, body);
        Self {
            path: path.unwrap_or(PathAndQuery::from_static("/")),
            // A header that does not parse is our own caller's mistake, which the
            // server refuses by name.
            timeout: deadline::parse(&head.headers).ok().flatten(),
            headers: head.headers,
            body: Outgoing::Messages(body),
            cause: Cause::Handled,
        }
    }

    /// A call for somebody outside.
    pub(super) fn forwarded(call: Forwarded) -> Self {
        let Forwarded { path, metadata: headers, body, trace, timeout } = call;
        Self { path, headers, body, timeout, cause: Cause::Outside(trace) }
    }
}

/// A call and what is decided of it before anything is waited for.
struct Call {
    attempts: Attempts,
    body: Outgoing,
    outcome: Outcome,
    /// Largest message that is unpacked, unless the caller unpacks itself.
    limit: Option<usize>,
}

impl Call {
    fn begin(shared: Arc<Shared>, carried: Carried, order: Order) -> Result<Self, Status> {
        let Order { path, headers, body, timeout, cause } = order;
        let (handled, inherited) = match cause {
            Cause::Handled => {
                let handled = call::current();
                let trace = handled.as_ref().map(|call| call.trace);
                (handled, trace)
            }
            Cause::Outside(trace) => (None, Some(trace)),
        };
        let method = shared.common.contracts.load().method(path.path()).cloned();

        let (span, place) =
            span::calling(path.path(), &shared.app, inherited, shared.common.trace_ratio);
        let now = Instant::now();
        let called = method.as_ref().map(|method| method.called.at(&shared.destination));
        let calls = called.unwrap_or(&shared.destination.other).clone();
        let told = Told::new(calls.clone(), &span, place, now);
        let mut outcome = Outcome::new(calls.clone(), (span, place), now);
        let shape = Shape::of(method.as_deref());
        let Some(room) = shared.bulkhead.enter(shape != Shape::Unary) else {
            outcome.decide(Code::ResourceExhausted);
            return Err(shared.full());
        };
        outcome.hold(room);
        let record = method;
        let method = record.as_deref();
        let deadline = deadline_of(timeout, method, handled.as_deref(), now);
        let below_repetition = handled.as_ref().is_some_and(|call| call.repeated);
        let repeatable =
            method.is_some_and(|method| method.idempotency.repeatable()) && !below_repetition;
        let hedged = record.as_ref().filter(|_| repeatable);
        let hedged = hedged.and_then(|method| shared.hedging.begin(method, &calls));
        let retry = method.map(|method| method.retry).unwrap_or_default();
        let max = shared.common.max_message_bytes;
        let (key, keyed) = key::of(method, &headers, max);
        let context = Context { shared, carried, handled };
        let (head, unpacks) = Head::new(headers, path, context, now);
        let ask = Ask { key, ..Ask::new(deadline, shape) };
        let attempts =
            Attempts { head, ask, keyed, repeatable, below_repetition, retry, hedged, told };
        Ok(Self { attempts, body, outcome, limit: unpacks.then_some(max) })
    }
}

/// Runs work until a deadline. The timer is set when the work has to wait.
async fn within<T>(
    deadline: Option<Instant>,
    mut work: Pin<&mut impl Future<Output = Result<T, Status>>>,
) -> Result<T, Status> {
    let Some(deadline) = deadline else {
        return work.await;
    };
    let mut timer = pin!(None);
    std::future::poll_fn(|cx| {
        if let Poll::Ready(done) = work.as_mut().poll(cx) {
            return Poll::Ready(done);
        }
        if timer.is_none() {
            timer.set(Some(tokio::time::sleep_until(deadline)));
        }
        let timer = timer.as_mut().as_pin_mut().expect("it was set");
        timer.poll(cx).map(|()| Err(failure::deadline_exceeded()))
    })
    .await
}

/// The least of what the caller asks, the contract allows, and the handled call
/// has left.
fn deadline_of(
    timeout: Option<Duration>,
    method: Option<&Method>,
    handled: Option<&call::Call>,
    now: Instant,
) -> Option<Instant> {
    let asked = timeout.map(|timeout| now + timeout);
    let allowed = method.and_then(|method| method.deadline).map(|timeout| now + timeout);
    let left = handled.and_then(|call| call.deadline).map(|deadline| deadline - SLACK);
    [asked, allowed, left].into_iter().flatten().min()
}

impl Attempts {
    async fn make(&mut self, body: Outgoing) -> Result<Answer, Status> {
        let mut payload = match body {
            Outgoing::Message(message) => Payload::Whole(message),
            Outgoing::Messages(body) => Payload::of(body).await?,
        };
        let mut backoff = Backoff::new(self.retry.initial_backoff, self.retry.max_backoff);
        let mut attempts = 1;
        let mut refused = 0;
        if let Some(keyed) = &self.keyed {
            self.ask.key = payload.message().and_then(|message| keyed.read(message));
        }
        self.shared().budget.earned.earn();
        loop {
            let attempted = match self.hedged {
                None => self.attempt(&mut payload, attempts - 1).await,
                Some(_) => Box::pin(self.race(&mut payload, &mut attempts)).await,
            };
            let failure = match attempted {
                Ok(mut answer) => match self.refusal(&mut answer.response) {
                    None => return Ok(answer),
                    Some(failure) => answer.told.failed(failure),
                },
                Err(failure) => failure,
            };
            match failure.sent {
                // The pool has dropped that connection, so this ends when no
                // instance is left, at the latest.
                Sent::No if payload.repeatable() => self.told.transparently(),
                Sent::Refused if payload.repeatable() && refused < MAX_REFUSED => {
                    refused += 1;
                    self.told.transparently();
                }
                Sent::TurnedAway if self.may_go_elsewhere(&failure, &payload, refused) => {
                    refused += 1;
                    self.told.transparently();
                }
                Sent::Maybe if self.may_repeat(&failure, &payload, attempts) => {
                    attempts += 1;
                    let wait = match failure.pushback {
                        Pushback::After(wait) => wait,
                        _ => backoff.wait(),
                    };
                    self.told.retries_after(wait);
                    // Boxed as all waits that are rare, which keeps every call's future small.
                    Box::pin(tokio::time::sleep(wait)).await;
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
            && self.shared().budget.spend(Instant::now())
    }

    /// Whether a call that was turned away goes to another instance, at once: the
    /// pushback is about the one that sent it, which is not asked again. When all
    /// have too much to do, that is the answer.
    fn may_go_elsewhere(&self, failure: &Failure, payload: &Payload, refused: u32) -> bool {
        !self.below_repetition
            && failure.pushback != Pushback::Never
            && payload.repeatable()
            && refused < MAX_REFUSED
            && self.shared().pool.has_others(&self.ask)
            && self.shared().budget.spend(Instant::now())
    }

    /// The failure in a response that asks for repetition.
    pub(super) fn refusal(&self, response: &mut Response<h2::RecvStream>) -> Option<Failure> {
        let headers = response.headers_mut();
        let refused = match code_of(headers)? {
            Code::Unavailable => self.repeatable,
            Code::ResourceExhausted => headers.contains_key(UNPROCESSED),
            _ => false,
        };
        refused.then(|| Failure::declared(headers))
    }

    pub(super) fn shared(&self) -> &Shared {
        self.head.shared()
    }
}
