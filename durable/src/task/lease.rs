//! The right to work on one task, for as long as nobody else has it.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::sync::watch;

use super::dead;
use crate::{Dialect, Error, Tx, Value, params};

/// A claimed task. A handler does the work, and settles the lease in the
/// transaction of its effect: [`Lease::complete`], [`Lease::postpone`] or
/// [`Lease::bury`]. Transactions before that are guarded by [`Lease::guard`].
#[derive(Clone)]
pub struct Lease {
    pub(super) kind: String,
    pub(super) key: String,
    pub(super) body: Vec<u8>,
    pub(super) owner: Arc<str>,
    pub(super) epoch: i64,
    pub(super) attempts: u32,
    /// Failures that are on record, of this run of attempts and those before it.
    pub(super) failures: i64,
    pub(super) due: i64,
    pub(super) traceparent: String,
    pub(super) actor: String,
    pub(super) correlation: String,
    pub(super) schedule: Option<Schedule>,
    /// Whether the handler settled it, in a transaction that it then committed.
    pub(super) settled: Arc<AtomicBool>,
    /// Turns true when the worker is to end.
    pub(super) stopping: watch::Receiver<bool>,
}

/// The task comes back instead of ending.
#[derive(Clone)]
pub(super) struct Schedule {
    pub(super) every: Duration,
    pub(super) now: super::worker::Clock,
}

impl Schedule {
    /// The next time of the row that begins at `due`. Times that passed meanwhile
    /// are left out: a machine that slept does not make up for a night of ticks.
    pub(super) fn after(&self, due: i64) -> i64 {
        let every = i64::try_from(self.every.as_micros()).unwrap_or(i64::MAX).max(1);
        let now = (self.now)();
        let missed = now.saturating_sub(due).max(0) / every;
        due.saturating_add(every.saturating_mul(missed.saturating_add(1)))
    }
}

impl Lease {
    /// Kind of the task.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// Its key.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// What was given to the handler.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// Which attempt this is since the task was enqueued, postponed or requeued;
    /// starts at 1 and counts attempts that ended with their process, too.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Changes with every claim of the task.
    #[must_use]
    pub fn epoch(&self) -> i64 {
        self.epoch
    }

    /// When it was due, in microseconds since 1970; of a recurring task the time
    /// in its schedule.
    #[must_use]
    pub fn due(&self) -> i64 {
        self.due
    }

    /// Whether the process is about to end: a handler that has much left to do
    /// [postpones](Lease::postpone) it, and another process goes on at once.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }

    /// Makes `tx` commit only if the task is still this worker's, and keeps it so
    /// until the transaction ends. What the transaction appends is done for the
    /// actor that enqueued the task.
    ///
    /// # Errors
    /// [`Error::Fenced`] when the lease was lost; `tx` cannot commit then.
    pub async fn guard(&self, tx: &mut Tx) -> Result<(), Error> {
        let lock = match tx.dialect() {
            // The transaction holds SQLite's one write lock already.
            Dialect::Sqlite => "",
            Dialect::Postgres => "FOR UPDATE",
        };
        let sql = format!("SELECT 1 AS mine FROM durable_task WHERE {MINE} {lock}");
        let found = tx.query_one(sql, self.me()).await?.is_some();
        self.held(tx, found)
    }

    /// Guards `tx` and ends the task with it. A recurring task waits for its next
    /// time instead.
    ///
    /// # Errors
    /// As [`Lease::guard`].
    pub async fn complete(&self, tx: &mut Tx) -> Result<(), Error> {
        if let Some(schedule) = &self.schedule {
            return self.postpone(tx, schedule.after(self.due)).await;
        }
        let sql = format!("DELETE FROM durable_task WHERE {MINE}");
        let found = tx.execute(sql, self.me()).await? == 1;
        self.held(tx, found)?;
        if self.failures > 0 {
            dead::forget(tx, &self.kind, &self.key).await?;
        }
        self.settle();
        crate::crash::point("task.completed");
        Ok(())
    }

    /// Guards `tx` and gives the task back with it, until `due` (microseconds
    /// since 1970). Its attempts are counted anew: who postpones has made
    /// progress, and counts by itself what it repeats.
    ///
    /// # Errors
    /// As [`Lease::guard`].
    pub async fn postpone(&self, tx: &mut Tx, due: i64) -> Result<(), Error> {
        let sql =
            format!("UPDATE durable_task SET owner = NULL, attempts = 0, due = $5 WHERE {MINE}");
        self.give_back(tx, sql, params![due]).await
    }

    /// Guards `tx` and gives the task up with it: a dead letter that keeps what
    /// it was, its failures and `error`, until [`requeue`](super::requeue) or
    /// [`discard`](super::discard).
    ///
    /// # Errors
    /// As [`Lease::guard`].
    pub async fn bury(&self, tx: &mut Tx, error: &str) -> Result<(), Error> {
        let sql =
            format!("UPDATE durable_task SET owner = NULL, died = $5, error = $6 WHERE {MINE}");
        self.give_back(tx, sql, params![crate::time::now(), error]).await
    }

    /// Guards `tx` and gives the task back until `due` with one failure more; its
    /// attempts go on counting.
    pub(super) async fn retry(&self, tx: &mut Tx, due: i64, error: &str) -> Result<(), Error> {
        let sql =
            format!("UPDATE durable_task SET owner = NULL, due = $5, error = $6 WHERE {MINE}");
        self.give_back(tx, sql, params![due, error]).await
    }

    /// Guards `tx` and gives the task back as if it had not been claimed.
    pub(super) async fn unclaim(&self, tx: &mut Tx) -> Result<(), Error> {
        let sql =
            format!("UPDATE durable_task SET owner = NULL, attempts = attempts - 1 WHERE {MINE}");
        self.give_back(tx, sql, params![]).await
    }

    async fn give_back(&self, tx: &mut Tx, sql: String, more: Vec<Value>) -> Result<(), Error> {
        let mut values = self.me();
        values.extend(more);
        let found = tx.execute(sql, values).await? == 1;
        self.held(tx, found)?;
        self.settle();
        let enqueued = tx.enqueued().clone();
        tx.after_commit(move || enqueued.ring());
        Ok(())
    }

    pub(super) fn me(&self) -> Vec<Value> {
        params![&self.kind, &self.key, &*self.owner, self.epoch]
    }

    fn held(&self, tx: &mut Tx, found: bool) -> Result<(), Error> {
        if found {
            tx.act_for(&self.actor, &self.correlation);
            return Ok(());
        }
        tx.refuse_commit();
        Err(Error::Fenced { kind: self.kind.clone(), key: self.key.clone() })
    }

    fn settle(&self) {
        self.settled.store(true, Ordering::Relaxed);
    }
}

/// Whoever has this owner and this epoch is who claimed it last, and nobody
/// declared it dead.
pub(super) const MINE: &str = "kind = $1 AND key = $2 AND owner = $3 AND epoch = $4";

impl fmt::Debug for Lease {
    /// Says nothing of the body, which may hold secrets.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, key, attempts, epoch, .. } = self;
        formatter
            .debug_struct("Lease")
            .field("kind", kind)
            .field("key", key)
            .field("attempts", attempts)
            .field("epoch", epoch)
            .finish_non_exhaustive()
    }
}
