//! What a handler knows of the call it handles. The call travels with the
//! handler's task, so that the calls it makes in turn inherit deadline, trace
//! and user without a line of code.
//!
//! A task that the handler spawns is a new task and inherits nothing: work that
//! outlives the call must not die with its deadline.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
};

use http::HeaderValue;
use tokio::time::Instant;
use tonic::{Code, Status};

pub use crate::trace::Trace;
use crate::{Criticality, status};

tokio::task_local! {
    static CURRENT: Option<Arc<Call>>;
}

/// A call that is being handled.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) deadline: Option<Instant>,
    pub(crate) trace: Trace,
    pub(crate) caller: Caller,
    /// The user's token as it came, passed on to the services that are called.
    pub(crate) authorization: Option<HeaderValue>,
    pub(crate) tracestate: Option<HeaderValue>,
    pub(crate) baggage: Option<HeaderValue>,
    /// How much it matters; the calls that it causes matter as much. `None` for
    /// the effects of an event: their contracts say it.
    pub(crate) criticality: Option<Criticality>,
    /// The call is itself a repetition: what it causes is not repeated again, or
    /// a failing leaf would be called once more by every layer above it.
    pub(crate) repeated: bool,
    /// Bytes of the request's messages that have come.
    pub(crate) received: AtomicU64,
    /// A call that this one made has failed as UNAVAILABLE, after all the
    /// repetitions that it may have.
    pub(crate) gave_up: AtomicBool,
}

impl Call {
    /// A call that this one made, and that may be repeated, has failed like this.
    pub(crate) fn failed_below(&self, code: Code) {
        if code == Code::Unavailable {
            self.gave_up.store(true, Relaxed);
        }
    }

    /// Whether a failure of this call must not be repeated: whoever was nearest to
    /// its cause has done so, and every layer that did it too would multiply the
    /// load of what is failing.
    pub(crate) fn spent(&self) -> bool {
        self.gave_up.load(Relaxed)
    }
}

/// Runs a future as the handling of a call.
pub(crate) fn handling<F: Future>(call: Arc<Call>, future: F) -> impl Future<Output = F::Output> {
    CURRENT.scope(Some(call), future)
}

/// Runs a function as part of a call, on a thread that runs no task of it.
pub(crate) fn computing<T>(call: Option<Arc<Call>>, work: impl FnOnce() -> T) -> T {
    CURRENT.sync_scope(call, work)
}

/// The call that is being handled, if this task handles one.
pub(crate) fn current() -> Option<Arc<Call>> {
    CURRENT.try_with(Clone::clone).ok().flatten()
}

fn with<T>(read: impl FnOnce(&Call) -> T) -> Option<T> {
    CURRENT.try_with(|call| call.as_deref().map(read)).ok().flatten()
}

/// Who made the call that is being handled; anonymous outside of one.
#[must_use]
pub fn caller() -> Caller {
    with(|call| call.caller.clone()).unwrap_or_default()
}

/// When the call that is being handled ends, at the latest.
#[must_use]
pub fn deadline() -> Option<Instant> {
    with(|call| call.deadline).flatten()
}

/// How much the call that is being handled matters; `None` outside of one.
#[must_use]
pub fn criticality() -> Option<Criticality> {
    with(|call| call.criticality).flatten()
}

/// The W3C `traceparent` for what the call that is being handled causes.
#[must_use]
pub fn traceparent() -> Option<String> {
    with(|call| call.trace.to_string())
}

/// The trace id of the call that is being handled, in hex.
#[must_use]
pub fn trace_id() -> Option<String> {
    with(|call| format!("{:032x}", call.trace.id))
}

/// Whether the call that is being handled is recorded; `None` outside of one.
pub(crate) fn sampled() -> Option<bool> {
    with(|call| call.trace.sampled)
}

/// Runs a future without the call: its outgoing calls have no user, no inherited
/// deadline and a trace of their own.
pub fn detached<F: Future>(future: F) -> impl Future<Output = F::Output> {
    CURRENT.scope(None, future)
}

/// Runs a future as if a call with this trace and user were handled; for effects
/// of an event, whose traces continue the one of its cause.
pub fn caused_by<F: Future>(
    traceparent: Option<&str>,
    future: F,
) -> impl Future<Output = F::Output> {
    let trace = traceparent.and_then(|text| Trace::parse(text.as_bytes()));
    let call = trace.map(|trace| {
        Arc::new(Call {
            deadline: None,
            trace,
            caller: Caller::default(),
            authorization: None,
            tracestate: None,
            baggage: None,
            criticality: None,
            repeated: false,
            received: AtomicU64::new(0),
            gave_up: AtomicBool::new(false),
        })
    });
    CURRENT.scope(call, future)
}

/// Who makes a call: a user, a process of the mesh, both (a service on behalf of
/// a user), or nobody known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Caller {
    /// The user whose token verified.
    pub user: Option<User>,
    /// The application that proved its name.
    pub service: Option<Arc<str>>,
}

/// A user, as their access token describes them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct User {
    /// The token's subject, which is the id in `users/{id}`.
    pub id: String,
    /// Roles that access rules name.
    pub roles: Vec<String>,
    /// OAuth scopes.
    pub scopes: Vec<String>,
    /// The session that the token belongs to.
    pub session: Option<String>,
}

impl User {
    /// The user's resource name.
    #[must_use]
    pub fn name(&self) -> String {
        format!("users/{}", self.id)
    }
}

impl Caller {
    /// The user who calls.
    ///
    /// # Errors
    /// UNAUTHENTICATED when no user does.
    pub fn user(&self) -> Result<&User, Status> {
        self.user.as_ref().ok_or_else(|| {
            status::refuse(
                Code::Unauthenticated,
                "TOKEN_MISSING",
                "a user's access token is needed",
            )
        })
    }

    /// Whether a user with this role calls.
    #[must_use]
    pub fn has_role(&self, role: &str) -> bool {
        self.user.as_ref().is_some_and(|user| user.roles.iter().any(|has| has == role))
    }

    /// The caller's name for logs and events: the user's resource name, else the
    /// application's, else empty.
    #[must_use]
    pub fn actor(&self) -> String {
        match (&self.user, &self.service) {
            (Some(user), _) => user.name(),
            (None, Some(service)) => service.to_string(),
            (None, None) => String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nothing_is_known_outside_of_a_call() {
        assert_eq!(caller(), Caller::default());
        assert_eq!(traceparent(), None);
        assert_eq!(deadline(), None);
    }

    #[tokio::test]
    async fn a_detached_future_inherits_nothing() {
        let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        caused_by(Some(text), async {
            assert_eq!(traceparent().as_deref(), Some(text));
            detached(async { assert_eq!(traceparent(), None) }).await;
            assert_eq!(traceparent().as_deref(), Some(text));
        })
        .await;
    }
}
