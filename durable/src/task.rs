//! Tasks: work that is promised in a transaction and done afterwards, once, by
//! one worker at a time, however often processes die in between. The one
//! primitive under sagas, timers and everything else that outlives a request.
//!
//! A task is a row. Whoever works on it owns it by name and *epoch*, a number
//! that changes with every claim; each of its writes checks both in its own
//! transaction, so a worker that was paused, declared dead and revived changes
//! nothing. A worker proves that it lives by counting in a row of its own, not by
//! writing a time: no clock decides who is dead, and there is no write per task.

mod attempt;
mod claim;
mod dead;
mod due;
mod gauges;
mod grpc;
mod heart;
mod held;
mod kind;
mod lease;
mod worker;

use std::{error::Error as StdError, sync::Arc};

use tokio::sync::watch;

pub(crate) use due::due;
pub(crate) use heart::{BEAT, lease};

pub use dead::{DeadTask, Failure, dead, discard, requeue};
pub use grpc::{Tasks, server};
pub use kind::Kind;
pub use lease::Lease;
pub use worker::Worker;

use crate::{Error, Tx, params, store::Sql, time};

/// Largest body, in bytes: a claim reads up to 64 of them at once.
pub const MAX_TASK_BYTES: usize = 1024 * 1024;

/// Why a handler did not do what its task asks for.
pub type HandlerError = Box<dyn StdError + Send + Sync>;

/// Work to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTask {
    /// Which handler does it.
    pub kind: String,
    /// Its name within the kind: while a task with it is there, dead ones
    /// included, no other is taken.
    pub key: String,
    /// What the handler needs to know; at most [`MAX_TASK_BYTES`].
    pub body: Vec<u8>,
    /// Not before this time, in microseconds since 1970; zero is at once.
    pub due: i64,
    /// Of what is due, the highest number first. A handful of different ones per
    /// kind is looked up cheaply, not thousands.
    pub priority: i32,
}

impl NewTask {
    /// A task to be done at once, without a body, at priority zero.
    #[must_use]
    pub fn new(kind: impl Into<String>, key: impl Into<String>) -> Self {
        Self { kind: kind.into(), key: key.into(), body: Vec::new(), due: 0, priority: 0 }
    }

    /// What the handler needs to know.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Not before this time, in microseconds since 1970.
    #[must_use]
    pub fn due(mut self, due: i64) -> Self {
        self.due = due;
        self
    }

    fn check(&self) -> Result<(), Error> {
        if self.body.len() > MAX_TASK_BYTES {
            return Err(Error::TaskTooLarge {
                kind: self.kind.clone(),
                key: self.key.clone(),
                bytes: self.body.len(),
                max: MAX_TASK_BYTES,
            });
        }
        Ok(())
    }
}

impl Tx {
    /// Promises a task with this transaction, and wakes the workers of this
    /// process after its commit; others find it within about 0.1 s. `false` when
    /// a task of this kind and key is there already, which stays as it is.
    ///
    /// The handler continues the trace and acts for the actor of this call.
    ///
    /// # Errors
    /// [`Error::TaskTooLarge`], and those of [`Tx::execute`].
    pub async fn enqueue(&mut self, task: NewTask) -> Result<bool, Error> {
        let inserted = self.insert_task(&task, None, first_epoch()).await?;
        if inserted {
            let enqueued = self.enqueued().clone();
            self.after_commit(move || enqueued.ring());
        }
        Ok(inserted)
    }

    /// With an owner it is born claimed.
    async fn insert_task(
        &mut self,
        task: &NewTask,
        owner: Option<&str>,
        epoch: i64,
    ) -> Result<bool, Error> {
        task.check()?;
        let attempts = i64::from(owner.is_some());
        let NewTask { kind, key, body, due, priority } = task;
        let trace = mesh::call::traceparent().unwrap_or_default();
        let mut row = params![kind, key, body, *priority, *due, owner, epoch, attempts];
        let correlation = self.cause(&trace).0;
        row.extend(params![time::now(), trace, self.actor(), correlation]);
        let sql = "INSERT INTO durable_task (kind, key, body, priority, due, owner, epoch,
                attempts, failures, created, traceparent, actor, correlation)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0, $9, $10, $11, $12)
            ON CONFLICT (kind, key) DO NOTHING";
        Ok(self.execute(sql, row).await? == 1)
    }
}

/// Random, since a key may be used again after its task is over: a zombie of the
/// first must not pass for the owner of the second.
fn first_epoch() -> i64 {
    fastrand::i64(1..i64::MAX / 2)
}

/// Wakes the workers of a store when tasks were enqueued in this process.
#[derive(Debug, Default)]
pub(crate) struct Enqueued(watch::Sender<u64>);

impl Enqueued {
    pub(crate) fn ring(&self) {
        self.0.send_modify(|count| *count = count.wrapping_add(1));
    }

    fn subscribe(self: &Arc<Self>) -> watch::Receiver<u64> {
        self.0.subscribe()
    }
}

/// `owner` is null while nobody works on it and `died` until it is given up. The
/// indexes hold what is free and what is owned, never what is dead.
pub(crate) const TABLES: Sql = Sql::Both(
    "CREATE TABLE durable_task (
        kind {text} NOT NULL,
        key {text} NOT NULL,
        body {blob} NOT NULL,
        priority {bigint} NOT NULL,
        due {bigint} NOT NULL,
        owner {text},
        epoch {bigint} NOT NULL,
        attempts {bigint} NOT NULL,
        failures {bigint} NOT NULL,
        created {bigint} NOT NULL,
        died {bigint},
        error {text},
        traceparent {text} NOT NULL,
        actor {text} NOT NULL,
        correlation {text} NOT NULL,
        PRIMARY KEY (kind, key)
    );
    CREATE INDEX durable_task_free ON durable_task (kind, priority, due)
        WHERE owner IS NULL AND died IS NULL;
    CREATE INDEX durable_task_owned ON durable_task (owner) WHERE owner IS NOT NULL;
    CREATE INDEX durable_task_dead ON durable_task (died) WHERE died IS NOT NULL;
    CREATE TABLE durable_task_failure (
        kind {text} NOT NULL,
        key {text} NOT NULL,
        number {bigint} NOT NULL,
        attempt {bigint} NOT NULL,
        time {bigint} NOT NULL,
        owner {text} NOT NULL,
        error {text} NOT NULL,
        PRIMARY KEY (kind, key, number)
    );
    CREATE TABLE durable_worker (
        owner {text} PRIMARY KEY,
        beat {bigint} NOT NULL
    );",
);
