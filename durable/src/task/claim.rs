//! Claiming: what is due and free becomes this worker's, many at a time.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use mesh::{Backoff, status};
use tokio::{sync::OwnedSemaphorePermit, time::sleep};

use super::{
    Lease, NewTask,
    dead::count,
    due::priorities,
    worker::{Inner, Registered},
};
use crate::{Dialect, Error, Row, Tx, params};

/// Looked for at least this often: what another process enqueued, or became due.
/// Two index lookups per kind, so some thousandth of a core.
const POLL: Duration = Duration::from_millis(100);
/// Claimed in one statement. Bounds the memory (64 bodies) and how long the rows
/// of a dead worker are nobody's.
const BATCH: usize = 64;
/// While the database cannot be reached.
const RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// Runs until it is dropped.
pub(super) async fn run(inner: &Arc<Inner>) {
    let mut enqueued = inner.store.enqueued().subscribe();
    let mut backoff = Backoff::new(RETRY.0, RETRY.1);
    loop {
        if inner.is_stopping() {
            return std::future::pending().await;
        }
        enqueued.borrow_and_update();
        match round(inner).await {
            Ok(Round { claimed: true, .. }) => backoff.reset(),
            Ok(Round { crowded, .. }) => {
                backoff.reset();
                // Anything of the second half, so that replicas do not poll in step.
                let poll = POLL.mul_f64(0.5 + fastrand::f64() / 2.0);
                tokio::select! {
                    // Its sender lives as long as the store.
                    _ = enqueued.changed() => {}
                    () = inner.freed.notified(), if crowded => {}
                    () = sleep(poll) => {}
                }
            }
            Err(error) => {
                tracing::warn!(error = status::chain(&error), "cannot claim tasks");
                sleep(backoff.wait()).await;
            }
        }
    }
}

struct Round {
    claimed: bool,
    /// A kind had no room, so the end of an attempt is worth another look.
    crowded: bool,
}

/// A kind with room and something to do.
struct Ready {
    registered: Arc<Registered>,
    permits: Vec<OwnedSemaphorePermit>,
    priorities: Vec<i64>,
}

async fn round(inner: &Arc<Inner>) -> Result<Round, Error> {
    let now = (inner.now)();
    let (mut ready, mut crowded) = (Vec::new(), false);
    for registered in inner.kinds() {
        seed(inner, &registered, now).await?;
        if registered.room.available_permits() == 0 {
            crowded = true;
            continue;
        }
        let priorities = priorities(&inner.store, &registered.kind.name, now).await?;
        if priorities.is_empty() {
            continue;
        }
        // Not before there is something to do: who adopts a task needs room, too.
        let permits = permits(&registered);
        if permits.is_empty() {
            crowded = true;
            continue;
        }
        ready.push(Ready { registered, permits, priorities });
    }
    let claimed = !ready.is_empty() && claim(inner, ready, now).await?;
    Ok(Round { claimed, crowded })
}

/// Makes the one task of a recurring kind, unless it is there.
async fn seed(inner: &Inner, registered: &Registered, now: i64) -> Result<(), Error> {
    if registered.is_seeded() {
        return Ok(());
    }
    let mut tx = inner.store.begin().await?;
    tx.enqueue(NewTask::new(&registered.kind.name, "").due(now)).await?;
    tx.commit().await?;
    registered.seeded.store(true, Ordering::Relaxed);
    Ok(())
}

fn permits(registered: &Registered) -> Vec<OwnedSemaphorePermit> {
    let take = || registered.room.clone().try_acquire_owned().ok();
    std::iter::from_fn(take).take(BATCH).collect()
}

/// One transaction for all kinds. The attempts begin after its commit; whether
/// anything was claimed at all.
async fn claim(inner: &Arc<Inner>, ready: Vec<Ready>, now: i64) -> Result<bool, Error> {
    let owner = inner.owner();
    let mut tx = inner.store.begin().await?;
    let mut claimed = Vec::new();
    for Ready { registered, mut permits, priorities } in ready {
        for priority in priorities {
            if permits.is_empty() {
                break;
            }
            let kind = registered.kind.name.as_str();
            let most = i64::try_from(permits.len()).unwrap_or(i64::MAX);
            let rows = claim_rows(&mut tx, &owner, kind, priority, now, most).await?;
            let leases = rows.iter().map(|row| read(row, inner, &registered, &owner));
            let mut leases = leases.collect::<Result<Vec<_>, _>>()?;
            // Neither database says in which order it answers.
            leases.sort_by_key(|lease| lease.due);
            for lease in leases {
                let hold = inner.held.hold((lease.kind.clone(), lease.key.clone(), lease.epoch));
                let permit = permits.pop().expect("no more rows than permits were asked for");
                claimed.push((registered.clone(), lease, hold, permit));
            }
        }
    }
    if claimed.is_empty() {
        tx.rollback().await?;
        return Ok(false);
    }
    crate::crash::point("task.claim.before_commit");
    tx.commit().await?;
    crate::crash::point("task.claim.after_commit");
    for (registered, lease, hold, permit) in claimed {
        inner.clone().start(registered, lease, hold, permit);
    }
    Ok(true)
}

async fn claim_rows(
    tx: &mut Tx,
    owner: &str,
    kind: &str,
    priority: i64,
    now: i64,
    most: i64,
) -> Result<Vec<Row>, Error> {
    const PICK: &str = "SELECT kind, key FROM durable_task
        WHERE owner IS NULL AND died IS NULL AND kind = $2 AND priority = $3 AND due <= $4
        ORDER BY due LIMIT $5";
    const SET: &str = "SET owner = $1, epoch = task.epoch + 1, attempts = task.attempts + 1";
    const ANSWER: &str = "RETURNING task.kind, task.key, task.body, task.epoch, task.attempts,
        task.failures, task.due, task.traceparent, task.actor,
        task.correlation";
    let sql = match tx.dialect() {
        // The transaction holds SQLite's one write lock already.
        Dialect::Sqlite => format!(
            "UPDATE durable_task AS task {SET} WHERE (kind, key) IN ({PICK}) {}",
            ANSWER.replace("task.", "")
        ),
        // Materialized: a plan that ran the inner query again would lock more.
        Dialect::Postgres => format!(
            "WITH picked AS MATERIALIZED ({PICK} FOR UPDATE SKIP LOCKED)
             UPDATE durable_task AS task {SET} FROM picked
             WHERE task.kind = picked.kind AND task.key = picked.key {ANSWER}"
        ),
    };
    tx.query(sql, params![owner, kind, priority, now, most]).await
}

fn read(
    row: &Row,
    inner: &Inner,
    registered: &Registered,
    owner: &Arc<str>,
) -> Result<Lease, Error> {
    Ok(Lease {
        kind: row.get("kind")?,
        key: row.get("key")?,
        body: row.get("body")?,
        owner: owner.clone(),
        epoch: row.get("epoch")?,
        attempts: count(row, "attempts")?,
        failures: row.get("failures")?,
        due: row.get("due")?,
        traceparent: row.get("traceparent")?,
        actor: row.get("actor")?,
        correlation: row.get("correlation")?,
        schedule: registered.schedule(inner),
        settled: Arc::default(),
        stopping: inner.stopping(),
    })
}
