//! Tasks that were given up: what they were, what went wrong each time, and the
//! two ways out.

use crate::{Error, Row, Store, Tx, params};

/// Failures on record per task: what happened last says more than what happened
/// first, and a task that is retried for a year must not fill the disk.
pub(super) const MAX_FAILURES: i64 = 50;

/// A task that was given up.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeadTask {
    /// Kind of the task.
    pub kind: String,
    /// Its key.
    pub key: String,
    /// What was given to the handler.
    pub body: Vec<u8>,
    /// Attempts since it was enqueued, postponed or requeued last.
    pub attempts: u32,
    /// When it was enqueued, in microseconds since 1970.
    pub created: i64,
    /// When it was given up, in microseconds since 1970.
    pub died: i64,
    /// Why, with the chain of causes.
    pub error: String,
    /// W3C `traceparent` of the call that enqueued it, or empty.
    pub traceparent: String,
    /// Who enqueued it, or empty.
    pub actor: String,
    /// What went wrong, the first of the last fifty first.
    pub failures: Vec<Failure>,
}

/// One attempt that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Failure {
    /// Counts the failures of the task, from 1.
    pub number: i64,
    /// Which attempt it was.
    pub attempt: u32,
    /// When it failed, in microseconds since 1970.
    pub time: i64,
    /// The worker that tried.
    pub owner: String,
    /// Why, with the chain of causes.
    pub error: String,
}

/// The tasks of a store that were given up, the first to die first, at most
/// `limit` of them.
///
/// # Errors
/// When the database cannot be read.
pub async fn dead(store: &Store, limit: u32) -> Result<Vec<DeadTask>, Error> {
    let sql = "SELECT kind, key, body, attempts, created, died, error, traceparent, actor
        FROM durable_task WHERE died IS NOT NULL ORDER BY died LIMIT $1";
    let rows = store.query(sql, params![limit]).await?;
    let mut tasks = Vec::with_capacity(rows.len());
    for row in rows {
        let mut task = read(&row)?;
        task.failures = failures(store, &task.kind, &task.key).await?;
        tasks.push(task);
    }
    Ok(tasks)
}

/// Gives a dead task its attempts again, at once; what went wrong stays on
/// record. `false` when there is no such dead task.
///
/// # Errors
/// Those of [`Tx::execute`].
pub async fn requeue(tx: &mut Tx, kind: &str, key: &str) -> Result<bool, Error> {
    let sql = "UPDATE durable_task SET died = NULL, error = NULL, attempts = 0, due = 0
        WHERE kind = $1 AND key = $2 AND died IS NOT NULL";
    let found = tx.execute(sql, params![kind, key]).await? == 1;
    if found {
        let enqueued = tx.enqueued().clone();
        tx.after_commit(move || enqueued.ring());
    }
    Ok(found)
}

/// Removes a dead task and what is on record of it. `false` when there is none.
///
/// # Errors
/// Those of [`Tx::execute`].
pub async fn discard(tx: &mut Tx, kind: &str, key: &str) -> Result<bool, Error> {
    let sql = "DELETE FROM durable_task WHERE kind = $1 AND key = $2 AND died IS NOT NULL";
    let found = tx.execute(sql, params![kind, key]).await? == 1;
    if found {
        forget(tx, kind, key).await?;
    }
    Ok(found)
}

/// Removes what is on record of a task that is over.
pub(super) async fn forget(tx: &mut Tx, kind: &str, key: &str) -> Result<(), Error> {
    let sql = "DELETE FROM durable_task_failure WHERE kind = $1 AND key = $2";
    tx.execute(sql, params![kind, key]).await?;
    Ok(())
}

/// Puts a failure on record.
pub(super) async fn record(
    tx: &mut Tx,
    lease: &super::Lease,
    time: i64,
    error: &str,
) -> Result<(), Error> {
    let number = lease.failures + 1;
    let (kind, key, attempts) = (&lease.kind, &lease.key, lease.attempts);
    let sql = "UPDATE durable_task SET failures = $3 WHERE kind = $1 AND key = $2";
    tx.execute(sql, params![kind, key, number]).await?;
    let sql = "INSERT INTO durable_task_failure (kind, key, number, attempt, time, owner, error)
        VALUES ($1, $2, $3, $4, $5, $6, $7)";
    tx.execute(sql, params![kind, key, number, attempts, time, &*lease.owner, error]).await?;
    let sql = "DELETE FROM durable_task_failure WHERE kind = $1 AND key = $2 AND number <= $3";
    tx.execute(sql, params![kind, key, number - MAX_FAILURES]).await?;
    Ok(())
}

async fn failures(store: &Store, kind: &str, key: &str) -> Result<Vec<Failure>, Error> {
    let sql = "SELECT number, attempt, time, owner, error FROM durable_task_failure
        WHERE kind = $1 AND key = $2 ORDER BY number";
    let rows = store.query(sql, params![kind, key]).await?;
    let failure = |row: &Row| {
        Ok(Failure {
            number: row.get("number")?,
            attempt: count(row, "attempt")?,
            time: row.get("time")?,
            owner: row.get("owner")?,
            error: row.get("error")?,
        })
    };
    rows.iter().map(failure).collect()
}

fn read(row: &Row) -> Result<DeadTask, Error> {
    Ok(DeadTask {
        kind: row.get("kind")?,
        key: row.get("key")?,
        body: row.get("body")?,
        attempts: count(row, "attempts")?,
        created: row.get("created")?,
        died: row.get("died")?,
        error: row.get::<Option<String>>("error")?.unwrap_or_default(),
        traceparent: row.get("traceparent")?,
        actor: row.get("actor")?,
        failures: Vec::new(),
    })
}

pub(super) fn count(row: &Row, column: &str) -> Result<u32, Error> {
    Ok(u32::try_from(row.get::<i64>(column)?).unwrap_or(u32::MAX))
}
