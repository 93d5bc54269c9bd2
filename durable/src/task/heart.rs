//! Who lives. A worker that holds tasks counts in a row of its own; whoever sees
//! a count stand still for long enough takes its tasks away.
//!
//! "Long enough" is a number of looks, not a time: no clock of any machine takes
//! part, so none that jumps declares anybody dead, and an observer that was
//! itself stopped does not believe that everybody else was.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use mesh::status;
use tokio::time::{Instant, sleep_until};

use super::{lease::MINE, worker::Inner};
use crate::{Dialect, Error, Store, params};

/// Two beats of three may be late before anybody notices.
pub(crate) const BEAT: Duration = Duration::from_millis(400);
/// With jitter a tenth more at most.
const LOOK: Duration = Duration::from_millis(200);
/// A count that stands still for so many looks, 1.2 s, is that of a dead worker.
/// Its tasks are others' after at most nine looks, which is below 2 s.
const LOOKS: u32 = 6;
/// Beats without a task before a worker signs off: a system at rest writes
/// nothing, and a busy one does not sign on and off all the time.
const LINGER: u32 = 10;

/// How long a worker may stand still before its tasks are others'.
pub(crate) fn lease() -> Duration {
    LOOK * LOOKS
}

/// Counts while there is anything to hold on to; runs until it is dropped.
pub(super) async fn beat(inner: &Arc<Inner>) {
    // Never the same number twice, also after signing off and on.
    let count = AtomicI64::new(0);
    loop {
        inner.held.until_taken().await;
        let owner = inner.owner();
        let (mut signed_on, mut idle) = (false, 0);
        while idle < LINGER {
            // From one beat to the next: on a busy machine writing takes its time, too.
            let next = Instant::now() + BEAT;
            let number = count.fetch_add(1, Ordering::Relaxed);
            match write_beat(&inner.store, &owner, number, signed_on).await {
                Ok(true) => signed_on = true,
                Ok(false) => {
                    tracing::warn!(worker = &*owner, "declared dead; its tasks are others' now");
                    inner.rename();
                    break;
                }
                Err(error) => {
                    tracing::warn!(error = status::chain(&error), "a worker cannot say it lives");
                }
            }
            sleep_until(next).await;
            idle = if inner.held.is_empty() { idle + 1 } else { 0 };
        }
        if idle >= LINGER {
            sign_off(inner).await;
        }
    }
}

/// Whether the worker is still among the living.
async fn write_beat(
    store: &Store,
    owner: &str,
    number: i64,
    signed_on: bool,
) -> Result<bool, Error> {
    let sql = if signed_on {
        "UPDATE durable_worker SET beat = $2 WHERE owner = $1"
    } else {
        "INSERT INTO durable_worker (owner, beat) VALUES ($1, $2)
         ON CONFLICT (owner) DO UPDATE SET beat = excluded.beat"
    };
    let mut tx = store.begin().await?;
    let found = tx.execute(sql, params![owner, number]).await? == 1;
    tx.commit().await?;
    Ok(found)
}

/// Says that it holds nothing and is not missed.
pub(super) async fn sign_off(inner: &Inner) {
    let signed_off = async {
        let mut tx = inner.store.begin().await?;
        let sql = "DELETE FROM durable_worker WHERE owner = $1";
        tx.execute(sql, params![&*inner.owner()]).await?;
        tx.commit().await
    };
    if let Err(error) = signed_off.await {
        // Others will: a row that stands still is removed.
        let error: Error = error;
        tracing::debug!(error = status::chain(&error), "a worker cannot sign off");
    }
}

/// What was seen of a worker: its count, and for how many looks it stood still.
struct Seen {
    beat: i64,
    looks: u32,
}

/// Looks after the others, and after rows of its own that were left behind; runs
/// until it is dropped.
pub(super) async fn observe(inner: &Arc<Inner>) {
    let (mut known, mut next) = (HashMap::new(), Instant::now());
    loop {
        // From one look to the next, without the time that a look takes. Those that were
        // missed are not made up for: many looks at once would prove nothing.
        next = (next + LOOK.mul_f64(0.9 + fastrand::f64() / 5.0)).max(Instant::now());
        sleep_until(next).await;
        if let Err(error) = look(inner, &mut known).await {
            tracing::warn!(error = status::chain(&error), "cannot look after other workers");
        }
    }
}

async fn look(inner: &Inner, known: &mut HashMap<String, Seen>) -> Result<(), Error> {
    let me = inner.owner();
    let owners = owners(&inner.store).await?;
    known.retain(|owner, _| owners.contains_key(owner));
    for (owner, beat) in owners {
        if *owner == *me {
            give_back_lost(inner, &me).await?;
            continue;
        }
        let seen = known.entry(owner.clone()).or_insert(Seen { beat, looks: 0 });
        if seen.beat != beat {
            *seen = Seen { beat, looks: 0 };
            continue;
        }
        seen.looks += 1;
        if seen.looks >= LOOKS {
            take_over(&inner.store, &owner, beat).await?;
        }
    }
    Ok(())
}

/// A worker without a row: not yet, since its first tasks are younger than its
/// first beat, or no longer.
const ABSENT: i64 = -1;

/// Everybody who says to live or owns a task.
async fn owners(store: &Store) -> Result<HashMap<String, i64>, Error> {
    let sql = "SELECT owner, max(beat) AS beat FROM (
            SELECT owner, beat FROM durable_worker
            UNION ALL
            SELECT owner, CAST($1 AS {bigint}) FROM durable_task WHERE owner IS NOT NULL
        ) AS everybody GROUP BY owner";
    let bigint = match store.dialect() {
        Dialect::Sqlite => "INTEGER",
        Dialect::Postgres => "BIGINT",
    };
    let rows = store.query(sql.replace("{bigint}", bigint), params![ABSENT]).await?;
    rows.iter().map(|row| Ok((row.get("owner")?, row.get("beat")?))).collect()
}

/// Frees the tasks of a worker whose count still stands where it was seen.
async fn take_over(store: &Store, owner: &str, beat: i64) -> Result<(), Error> {
    let mut tx = store.begin().await?;
    let removed = if beat == ABSENT {
        // It may have signed on since.
        let sql = "SELECT 1 AS there FROM durable_worker WHERE owner = $1";
        tx.query_one(sql, params![owner]).await?.is_none()
    } else {
        let sql = "DELETE FROM durable_worker WHERE owner = $1 AND beat = $2";
        tx.execute(sql, params![owner, beat]).await? == 1
    };
    if !removed {
        return tx.rollback().await;
    }
    let freed = match tx.dialect() {
        Dialect::Sqlite => {
            let sql = "UPDATE durable_task SET owner = NULL WHERE owner = $1";
            tx.execute(sql, params![owner]).await?
        }
        // A row that is locked is one that its owner is just settling.
        Dialect::Postgres => {
            let sql = "WITH left_behind AS MATERIALIZED (
                    SELECT kind, key FROM durable_task WHERE owner = $1 FOR UPDATE SKIP LOCKED)
                UPDATE durable_task AS task SET owner = NULL FROM left_behind
                WHERE task.kind = left_behind.kind AND task.key = left_behind.key";
            tx.execute(sql, params![owner]).await?
        }
    };
    tx.commit().await?;
    tracing::warn!(worker = owner, tasks = freed, "a worker died; its tasks are free");
    store.enqueued().ring();
    Ok(())
}

/// Rows of this worker that nobody here works on: the outcome of a claim's commit
/// was not known, or a handler ended without what it said it did.
async fn give_back_lost(inner: &Inner, me: &str) -> Result<(), Error> {
    let sql = "SELECT kind, key, epoch FROM durable_task WHERE owner = $1";
    for row in inner.store.query(sql, params![me]).await? {
        let claim = (row.get("kind")?, row.get("key")?, row.get("epoch")?);
        if inner.held.contains(&claim) {
            continue;
        }
        let (kind, key, epoch) = claim;
        let mut tx = inner.store.begin().await?;
        let sql = format!("UPDATE durable_task SET owner = NULL WHERE {MINE}");
        let found = tx.execute(sql, params![&kind, &key, me, epoch]).await? == 1;
        tx.commit().await?;
        if found {
            tracing::warn!(kind, key, "a task was left behind; it is free again");
            inner.store.enqueued().ring();
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
