//! Takes sagas on, step by step: an attempt outside of any transaction, then
//! one transaction that stores its result, the next intent and every effect,
//! under the lease of the saga's task.

use std::{sync::Arc, time::Duration};

use futures_util::FutureExt as _;
use mesh::status;
use tokio::time::Instant;

use super::{
    Direction, KIND, Record, Status,
    change::{self, Attempted, Change, Then},
    gauges,
    machine::{Outcome, Place, State},
    record,
    registry::Registry,
    script::{Attempt, Script, Told},
};
use crate::{
    Error, Store, crash,
    task::{HandlerError, Lease},
    time,
};

/// Attempts of the task without progress: each ended with its process, or with
/// an error of the database. Far above what outages and deployments cause; a
/// saga that kills whoever touches it must not do so for ever.
const MAX_ATTEMPTS: u32 = 100;
/// How often one result is decided on anew when a human's wish or a concurrent
/// transaction came in between.
const MAX_WRITES: u32 = 8;

/// Handles the task of a saga.
pub(super) async fn drive(
    store: Store,
    registry: Arc<Registry>,
    lease: Lease,
) -> Result<(), HandlerError> {
    debug_assert_eq!(lease.kind(), KIND);
    let Some(saga) = record::load(&store, lease.key()).await? else {
        return give_up_task(&store, &lease).await;
    };
    let fresh = lease.attempts() == 1 && saga.revision == 1;
    let trace = saga.traceparent.clone();
    let run = Run { store, registry, lease, saga, fresh };
    // Boxed: the future of a whole saga is large, and moved by everything above.
    mesh::call::caused_by(Some(&trace), run.finish().boxed()).await
}

/// A task without a saga has nothing to do.
async fn give_up_task(store: &Store, lease: &Lease) -> Result<(), HandlerError> {
    let mut tx = store.begin().await?;
    lease.complete(&mut tx).await?;
    tx.commit().await?;
    Ok(())
}

/// A saga under a lease.
struct Run {
    store: Store,
    registry: Arc<Registry>,
    lease: Lease,
    saga: Record,
    /// Nobody has attempted its step before.
    fresh: bool,
}

/// Why a change was not stored.
enum Unwritten {
    /// The row is another one by now.
    Stale,
    /// An effect refused.
    Effect(HandlerError),
    Store(Error),
}

impl From<Error> for Unwritten {
    fn from(error: Error) -> Self {
        Self::Store(error)
    }
}

impl Run {
    async fn finish(mut self) -> Result<(), HandlerError> {
        let mut state = None;
        loop {
            if self.saga.status.is_final() {
                return give_up_task(&self.store, &self.lease).await;
            }
            let (script, step) = match self.find() {
                Ok(found) => found,
                Err(why) => return self.park(&why).await,
            };
            let script = &*script;
            let here = state.unwrap_or_else(|| self.resume(step));
            let attempted = match self.attempt(script, here).await {
                Ok(attempted) => attempted,
                Err(corrupt) => return self.park(&status::chain(&corrupt)).await,
            };
            if attempted.is_none() && self.saga.wish.is_none() {
                // Somebody is asked, and has not answered.
                return give_up_task(&self.store, &self.lease).await;
            }
            match self.store_result(script, here, attempted).await? {
                Some(next) => state = Some(next),
                None => return Ok(()),
            }
        }
    }

    /// The definition and the step that the row names.
    fn find(&self) -> Result<(Arc<dyn Script>, usize), String> {
        let Record { definition, version, step, .. } = &self.saga;
        let attempts = self.lease.attempts();
        if attempts > MAX_ATTEMPTS {
            return Err(format!("{MAX_ATTEMPTS} attempts at step {step} ended without a result"));
        }
        let script = self
            .registry
            .script(definition, *version)
            .ok_or_else(|| format!("{definition} in version {version} is not defined here"))?;
        let index = script
            .step_index(step)
            .ok_or_else(|| format!("{definition} in version {version} has no step {step}"))?;
        if self.saga.direction == Direction::Undo && !script.plan().rules[index].undoable {
            // It had one when this saga came to it: the definition was changed and its
            // version was not.
            return Err(format!("{definition} in version {version} does not undo {step}"));
        }
        Ok((script, index))
    }

    fn resume(&self, step: usize) -> State {
        let state = self.saga.state(step);
        if self.fresh { state } else { state.resumed() }
    }

    /// Calls the action or the compensation that is due; `None` when none is, or
    /// when a human has asked for something else.
    async fn attempt(&self, script: &dyn Script, state: State) -> Result<Option<Attempted>, Error> {
        let (step, direction, attempts) = match state.place {
            Place::Doing { step, attempts, .. } => (step, Direction::Do, attempts),
            Place::Undoing { step, attempts } => (step, Direction::Undo, attempts),
            Place::Attention { .. } | Place::Forward | Place::Back => return Ok(None),
        };
        if direction == Direction::Do && self.saga.wish.is_some() && !self.saga.pivoted {
            return Ok(None);
        }
        let number = attempts.saturating_add(1);
        let attempt = Attempt { saga: self.saga.id.clone(), step, direction, number };
        crash::point("saga.action.before");
        let began = Instant::now();
        let answer = script.attempt(attempt, &self.saga.data)?.await;
        crash::point("saga.action.after");
        if let Err(failure) = &answer {
            let (saga, step) = (&*self.saga.id, &self.saga.step);
            let direction = direction.word();
            tracing::info!(saga, step, direction, number, %failure, "a step did not succeed");
        }
        let attempted = Attempted::of(answer);
        gauges::attempted(&self.saga.definition, attempted.outcome, began.elapsed());
        Ok(Some(attempted))
    }

    /// Stores what came of an attempt, in one transaction with what follows. The
    /// state to go on with; `None` when this lease is settled.
    async fn store_result(
        &mut self,
        script: &dyn Script,
        state: State,
        mut attempted: Option<Attempted>,
    ) -> Result<Option<State>, HandlerError> {
        for _ in 0..MAX_WRITES {
            let mut change = change::decide(script, &self.saga, state, attempted.as_ref());
            if change.then == Then::On && self.lease.is_stopping() {
                // The step has ended; another process takes the next one at once.
                change.then = Then::Later(Duration::ZERO);
            }
            match self.write(Some(script), &change).await {
                Ok(()) => {
                    self.log_end(&change.saga);
                    self.saga = change.saga;
                    self.fresh = false;
                    return Ok((change.then == Then::On).then_some(change.state));
                }
                Err(Unwritten::Stale) => self.reload().await?,
                Err(Unwritten::Store(error)) if error.is_contention() => {}
                Err(Unwritten::Store(error)) => return Err(error.into()),
                Err(Unwritten::Effect(error)) => {
                    attempted = Some(self.refused_by_effect(attempted.as_ref(), error)?);
                }
            }
        }
        Err("a result could not be stored: others changed the saga each time".into())
    }

    /// The result of a success cannot be stored, which is as good as not knowing
    /// it: the step is repeated under its key, up to its limit. Where there was
    /// no success to take back, the whole task is repeated.
    fn refused_by_effect(
        &self,
        attempted: Option<&Attempted>,
        error: HandlerError,
    ) -> Result<Attempted, HandlerError> {
        let (saga, step) = (&*self.saga.id, &self.saga.step);
        let why = status::chain(&*error);
        tracing::error!(saga, step, error = why, "an effect of a saga failed");
        match attempted {
            Some(Attempted { outcome: Outcome::Done, .. }) => {
                Ok(Attempted::unknown(format!("the effect failed: {why}")))
            }
            _ => Err(error),
        }
    }

    async fn write(&self, script: Option<&dyn Script>, change: &Change) -> Result<(), Unwritten> {
        let mut tx = self.store.begin().await?;
        match change.then {
            Then::On => self.lease.guard(&mut tx).await?,
            Then::Later(wait) => {
                let wait = i64::try_from(wait.as_micros()).unwrap_or(i64::MAX);
                self.lease.postpone(&mut tx, time::now().saturating_add(wait)).await?;
            }
            Then::Over => self.lease.complete(&mut tx).await?,
        }
        let saga = &change.saga;
        tx.act_for(&saga.actor, &saga.id);
        if !record::update(&mut tx, saga, self.saga.revision).await? {
            tx.rollback().await?;
            return Err(Unwritten::Stale);
        }
        record::note(&mut tx, &saga.id, self.saga.revision, &change.notes).await?;
        for moment in &change.moments {
            let Some(script) = script else { break };
            let told = Told { saga: &saga.id, data: &saga.data, refusal: saga.refusal.clone() };
            if let Err(error) = script.effect(*moment, &mut tx, told).await {
                tx.rollback().await?;
                return Err(sorted(error));
            }
        }
        crash::point("saga.result.before_commit");
        tx.commit().await?;
        crash::point("saga.result.after_commit");
        Ok(())
    }

    /// Under the lease only a human's wish can have changed the row.
    async fn reload(&mut self) -> Result<(), HandlerError> {
        let saga = record::load(&self.store, &self.saga.id).await?;
        self.saga = saga.ok_or("the saga is gone")?;
        Ok(())
    }

    async fn park(mut self, why: &str) -> Result<(), HandlerError> {
        let saga = &*self.saga.id.clone();
        tracing::error!(saga, why, "a saga needs attention");
        for _ in 0..MAX_WRITES {
            match self.write(None, &change::park(&self.saga, why)).await {
                Ok(()) => return Ok(()),
                Err(Unwritten::Stale) => self.reload().await?,
                Err(Unwritten::Store(error)) => return Err(error.into()),
                Err(Unwritten::Effect(error)) => return Err(error),
            }
        }
        Err("a saga could not be parked: others changed it each time".into())
    }

    fn log_end(&self, saga: &Record) {
        let (id, step) = (&*saga.id, &saga.step);
        match saga.status {
            Status::NeedsAttention => {
                let (direction, error) = (saga.direction.word(), &saga.error);
                tracing::error!(saga = id, step, direction, error, "a saga needs attention");
            }
            Status::Completed | Status::Compensated | Status::Resolved => {
                let status = saga.status.word();
                tracing::info!(saga = id, status, "a saga has ended");
                gauges::finished(saga.status);
            }
            Status::Running | Status::Compensating => {}
        }
    }
}

/// What the database did to an effect is not the effect's fault.
fn sorted(error: HandlerError) -> Unwritten {
    match error.downcast::<Error>() {
        Ok(error) => match *error {
            Error::Unavailable(_) | Error::Fenced { .. } => Unwritten::Store(*error),
            error if error.is_contention() => Unwritten::Store(error),
            error => Unwritten::Effect(error.into()),
        },
        Err(error) => Unwritten::Effect(error),
    }
}
