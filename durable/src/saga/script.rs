//! A definition as the engine sees it: without its types, over encoded data.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::{FutureExt as _, future::BoxFuture};
use prost::Message;
use tokio::time::{Instant, timeout_at};

use super::{
    Definition, Direction, Failure, Refusal, StepContext,
    machine::Plan,
    step::{Effect, Instance},
};
use crate::{Error, Tx, consumer::HandlerError};

/// Of which an attempt is one.
#[derive(Clone, Debug)]
pub(super) struct Attempt {
    pub(super) saga: Arc<str>,
    pub(super) step: usize,
    pub(super) direction: Direction,
    /// From 1.
    pub(super) number: u32,
}

/// What is done in a transaction of a saga.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moment {
    /// The action of a step succeeded.
    Step(usize),
    /// The saga has gone all the way.
    Completed,
    /// It has gone all the way back.
    Compensated,
}

/// What an effect is told.
#[derive(Debug)]
pub(super) struct Told<'a> {
    pub(super) saga: &'a Arc<str>,
    pub(super) data: &'a [u8],
    pub(super) refusal: Option<Refusal>,
}

/// A definition without its types.
pub(super) trait Script: Send + Sync {
    fn plan(&self) -> &Plan;
    fn step_name(&self, step: usize) -> &'static str;
    fn step_index(&self, name: &str) -> Option<usize>;
    /// Why a step has no compensation.
    fn waiver(&self, step: usize) -> &'static str;
    /// The wait after so many attempts.
    fn wait(&self, step: usize, direction: Direction, attempts: u32) -> Duration;
    /// One attempt, in bounded time; the data as it is after it.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when the data is not this definition's.
    fn attempt(
        &self,
        attempt: Attempt,
        data: &[u8],
    ) -> Result<BoxFuture<'static, Result<Vec<u8>, Failure>>, Error>;
    fn effect<'a>(
        &'a self,
        moment: Moment,
        tx: &'a mut Tx,
        told: Told<'a>,
    ) -> BoxFuture<'a, Result<(), HandlerError>>;
}

/// A definition with what is derived from it.
pub(super) struct Typed<D, S> {
    definition: Definition<D, S>,
    plan: Plan,
    name: Arc<str>,
}

impl<D, S> Typed<D, S>
where
    D: Message + Default + Clone + 'static,
    S: Clone + Send + Sync + 'static,
{
    pub(super) fn new(definition: Definition<D, S>) -> Self {
        definition.check();
        Self { plan: definition.plan(), name: definition.name.into(), definition }
    }

    fn decode(data: &[u8]) -> Result<D, Error> {
        D::decode(data).map_err(|source| Error::Corrupt { what: "data of a saga", source })
    }

    fn effect_at(&self, moment: Moment) -> Option<&Effect<D>> {
        match moment {
            Moment::Step(step) => self.definition.steps[step].1.effect.as_ref(),
            Moment::Completed => self.definition.completed.as_ref(),
            Moment::Compensated => self.definition.compensated.as_ref(),
        }
    }
}

impl<D, S> Script for Typed<D, S>
where
    D: Message + Default + Clone + 'static,
    S: Clone + Send + Sync + 'static,
{
    fn plan(&self) -> &Plan {
        &self.plan
    }

    fn step_name(&self, step: usize) -> &'static str {
        self.definition.steps[step].0
    }

    fn step_index(&self, name: &str) -> Option<usize> {
        self.definition.steps.iter().position(|(step, _)| *step == name)
    }

    fn waiver(&self, step: usize) -> &'static str {
        self.definition.steps[step].1.undo.as_ref().err().copied().unwrap_or_default()
    }

    fn wait(&self, step: usize, direction: Direction, attempts: u32) -> Duration {
        let after_pivot = step >= self.plan.pivot;
        self.definition.steps[step].1.retry_of(direction, after_pivot).wait(attempts)
    }

    fn attempt(
        &self,
        attempt: Attempt,
        data: &[u8],
    ) -> Result<BoxFuture<'static, Result<Vec<u8>, Failure>>, Error> {
        let (name, step) = &self.definition.steps[attempt.step];
        let call = match (attempt.direction, &step.undo) {
            (Direction::Undo, Ok(undo)) => undo.clone(),
            // The machine never undoes what was waived.
            _ => step.run.clone(),
        };
        let context = StepContext {
            saga: attempt.saga,
            step: name,
            direction: attempt.direction,
            attempt: attempt.number,
            deadline: Instant::now() + step.deadline,
            definition: self.name.clone(),
        };
        let (world, data) = (self.definition.world.clone(), Self::decode(data)?);
        Ok(Box::pin(bounded(context.deadline, move || call(world, context, data))))
    }

    fn effect<'a>(
        &'a self,
        moment: Moment,
        tx: &'a mut Tx,
        told: Told<'a>,
    ) -> BoxFuture<'a, Result<(), HandlerError>> {
        Box::pin(async move {
            let Some(effect) = self.effect_at(moment) else { return Ok(()) };
            let Told { saga, data, refusal } = told;
            let instance = Instance { id: saga.clone(), data: Self::decode(data)?, refusal };
            let applied = AssertUnwindSafe(async { effect(tx, &instance).await });
            applied.catch_unwind().await.unwrap_or_else(|_| Err("the effect panicked".into()))
        })
    }
}

/// Neither a panic nor silence says that nothing happened.
async fn bounded<D, F>(deadline: Instant, call: F) -> Result<Vec<u8>, Failure>
where
    D: Message,
    F: FnOnce() -> BoxFuture<'static, Result<D, Failure>>,
{
    let guarded = AssertUnwindSafe(async { call().await }).catch_unwind();
    match timeout_at(deadline, guarded).await {
        Ok(Ok(answer)) => answer.map(|data| data.encode_to_vec()),
        Ok(Err(_)) => Err(Failure::Unknown("the action panicked".to_owned())),
        Err(_) => Err(Failure::Unknown("no answer within the step's deadline".to_owned())),
    }
}
