//! A step as its author declares it: an action, its compensation, and how long
//! and how often each is tried.
//!
//! [`Step::run`] gives an [`Action`], which is no step yet: it becomes one by
//! [`Action::undo`] or by saying why there is none. So a compensation that was
//! forgotten does not compile.

use std::{fmt, future::Future, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use prost::Message;
use tokio::time::Instant;
use tonic::metadata::MetadataValue;

use super::{Direction, Failure, machine::Rule, retry::Retry};
use crate::{Tx, command::IDEMPOTENCY_KEY, consumer::HandlerError, digest};

/// One attempt's time unless the step says otherwise: what a call through the
/// mesh takes with all its own repetitions, and then some.
const DEADLINE: Duration = Duration::from_secs(5);
/// What participants accept as an idempotency key.
const MAX_KEY_BYTES: usize = 128;

/// One attempt at a step, as its action sees it.
#[derive(Clone, Debug)]
pub struct StepContext {
    /// Id of the saga.
    pub saga: Arc<str>,
    /// Name of the step.
    pub step: &'static str,
    /// Whether this is the action or its compensation.
    pub direction: Direction,
    /// 1 at the first attempt. An attempt that a crash cut off is not counted.
    pub attempt: u32,
    /// When the attempt is given up and its outcome becomes unknown.
    pub deadline: Instant,
    pub(super) definition: Arc<str>,
}

impl StepContext {
    /// The name of this call for the participant: the same at every attempt,
    /// before and after a crash, and another one for every saga, step and
    /// direction. At most 128 printable ASCII characters.
    #[must_use]
    pub fn key(&self) -> String {
        let Self { definition, saga, step, .. } = self;
        let direction = self.direction.word();
        let key = format!("{definition}/{saga}/{step}/{direction}");
        let printable = key.bytes().all(|byte| byte.is_ascii_graphic());
        if printable && key.len() <= MAX_KEY_BYTES {
            return key;
        }
        let parts = [&**definition, &**saga, step, direction].map(str::as_bytes);
        digest::hex(&digest::sha256(&parts))
    }

    /// The time that is left to this attempt.
    #[must_use]
    pub fn remaining(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// A request under [`StepContext::key`] with the deadline of the attempt:
    /// what every call of an action is made with.
    #[must_use]
    pub fn request<T>(&self, message: T) -> tonic::Request<T> {
        let mut request = tonic::Request::new(message);
        let key = MetadataValue::try_from(self.key()).expect("the key is printable ASCII");
        request.metadata_mut().insert(IDEMPOTENCY_KEY, key);
        request.set_timeout(self.remaining());
        request
    }
}

/// What an effect within a saga's transaction sees of the saga.
#[derive(Clone, Debug)]
pub struct Instance<D> {
    /// Id of the saga.
    pub id: Arc<str>,
    /// Its data, as it is stored by the same transaction.
    pub data: D,
    /// Why it went back: a participant's refusal, [`Refusal::CANCELLED`](super::Refusal::CANCELLED)
    /// or [`Refusal::OUTCOME_UNKNOWN`](super::Refusal::OUTCOME_UNKNOWN); `None` on the way forward.
    pub refusal: Option<super::Refusal>,
}

pub(super) type Call<D, S> =
    Arc<dyn Fn(S, StepContext, D) -> BoxFuture<'static, Result<D, Failure>> + Send + Sync>;

pub(super) type Effect<D> = Arc<
    dyn for<'a> Fn(&'a mut Tx, &'a Instance<D>) -> BoxFuture<'a, Result<(), HandlerError>>
        + Send
        + Sync,
>;

/// An action without a word about its compensation. No step yet.
#[must_use = "an action becomes a step by `undo` or `without_undo`"]
pub struct Action<D, S> {
    run: Call<D, S>,
}

/// A step of a saga over data `D`, whose actions reach the world through `S`.
pub struct Step<D, S> {
    pub(super) run: Call<D, S>,
    pub(super) undo: Result<Call<D, S>, &'static str>,
    pub(super) effect: Option<Effect<D>>,
    pub(super) deadline: Duration,
    pub(super) retry: Option<Retry>,
    pub(super) undo_retry: Retry,
}

impl<D, S> Step<D, S>
where
    D: Message + 'static,
    S: 'static,
{
    /// A step that does `action`: it gets the world, the attempt and the saga's
    /// data, and returns the data with what was learnt. It runs outside of any
    /// transaction, may be repeated and may be dropped at any point, so whatever
    /// it calls is called under [`StepContext::key`].
    pub fn run<F, R>(action: F) -> Action<D, S>
    where
        F: Fn(S, StepContext, D) -> R + Send + Sync + 'static,
        R: Future<Output = Result<D, Failure>> + Send + 'static,
    {
        Action { run: boxed(action) }
    }

    /// Changes that commit with the result of the action: state, and events that
    /// tell of it.
    #[must_use]
    pub fn then<F>(mut self, effect: F) -> Self
    where
        F: for<'a> Fn(&'a mut Tx, &'a Instance<D>) -> BoxFuture<'a, Result<(), HandlerError>>
            + Send
            + Sync
            + 'static,
    {
        self.effect = Some(Arc::new(effect));
        self
    }

    /// The time of one attempt, in either direction; 5 s unless set. After it
    /// the outcome is unknown.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// How often the action is tried; [`Retry::BEFORE_PIVOT`] or
    /// [`Retry::AFTER_PIVOT`] unless set.
    #[must_use]
    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = Some(retry);
        self
    }

    /// How often the compensation is tried; [`Retry::UNDO`] unless set.
    #[must_use]
    pub fn undo_retry(mut self, retry: Retry) -> Self {
        self.undo_retry = retry;
        self
    }
}

impl<D, S> Step<D, S> {
    pub(super) fn retry_of(&self, direction: Direction, after_pivot: bool) -> Retry {
        match direction {
            Direction::Undo => self.undo_retry,
            Direction::Do if after_pivot => self.retry.unwrap_or(Retry::AFTER_PIVOT),
            Direction::Do => self.retry.unwrap_or(Retry::BEFORE_PIVOT),
        }
    }

    pub(super) fn rule(&self, after_pivot: bool) -> Rule {
        Rule {
            undoable: self.undo.is_ok(),
            attempts: self.retry_of(Direction::Do, after_pivot).attempts,
            undo_attempts: self.undo_retry.attempts,
        }
    }
}

impl<D, S> Action<D, S>
where
    D: Message + 'static,
    S: 'static,
{
    /// Says how the action is undone. The compensation gets the data as it was
    /// when the saga turned back; it must succeed when there is nothing to undo,
    /// and leave a note that refuses the action when it comes late.
    pub fn undo<F, R>(self, compensation: F) -> Step<D, S>
    where
        F: Fn(S, StepContext, D) -> R + Send + Sync + 'static,
        R: Future<Output = Result<D, Failure>> + Send + 'static,
    {
        self.step(Ok(boxed(compensation)))
    }

    /// Says why the action needs no undoing. The reason stands in the history of
    /// a saga that turned back after it.
    pub fn without_undo(self, reason: &'static str) -> Step<D, S> {
        self.step(Err(reason))
    }

    fn step(self, undo: Result<Call<D, S>, &'static str>) -> Step<D, S> {
        Step {
            run: self.run,
            undo,
            effect: None,
            deadline: DEADLINE,
            retry: None,
            undo_retry: Retry::UNDO,
        }
    }
}

fn boxed<D, S, F, R>(call: F) -> Call<D, S>
where
    F: Fn(S, StepContext, D) -> R + Send + Sync + 'static,
    R: Future<Output = Result<D, Failure>> + Send + 'static,
{
    Arc::new(move |world, context, data| Box::pin(call(world, context, data)))
}

impl<D, S> fmt::Debug for Action<D, S> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Action").finish_non_exhaustive()
    }
}

impl<D, S> fmt::Debug for Step<D, S> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let waived = self.undo.as_ref().err();
        formatter.debug_struct("Step").field("undo_waived", &waived).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(saga: &str, direction: Direction) -> StepContext {
        StepContext {
            saga: saga.into(),
            step: "reserve",
            direction,
            attempt: 1,
            deadline: Instant::now(),
            definition: "place-order".into(),
        }
    }

    #[test]
    fn keys_tell_sagas_and_directions_apart_and_attempts_alike() {
        let key = context("o-1", Direction::Do).key();
        assert_eq!(key, "place-order/o-1/reserve/do");
        assert_eq!(StepContext { attempt: 9, ..context("o-1", Direction::Do) }.key(), key);
        assert_ne!(context("o-1", Direction::Undo).key(), key);
        assert_ne!(context("o-2", Direction::Do).key(), key);
    }

    #[test]
    fn a_key_is_what_participants_accept_whatever_the_id() {
        for id in ["ö", "a b", &"x".repeat(300)] {
            let key = context(id, Direction::Do).key();
            assert!(key.len() <= MAX_KEY_BYTES && key.bytes().all(|byte| byte.is_ascii_graphic()));
        }
    }
}
