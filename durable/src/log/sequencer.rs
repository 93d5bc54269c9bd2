//! Positions on PostgreSQL. A sequence gives its value before the commit, so a
//! reader that asks for "more than the last one I saw" misses whoever commits
//! late, and a horizon of running transactions lets one long transaction freeze
//! every reader. So rows are inserted without a position, and what has been
//! committed is numbered afterwards, under a row lock: gapless, and no position
//! becomes visible before all lower ones.
//!
//! Every process that opened the store runs one; whoever is awake does the
//! work, nobody has to be elected.

use std::{sync::Arc, time::Duration};

use mesh::Backoff;
use sqlx::{PgPool, postgres::PgListener};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

use super::Signal;
use crate::{Error, store::Sql};

/// Rows numbered in one transaction; bounds how long the row lock is held.
const MAX_ROWS: i64 = 1_000;
/// Least time between two notifications. NOTIFY takes a lock of the whole
/// server at commit, which is why no writing transaction sends one.
const QUIET: Duration = Duration::from_millis(10);
/// Longest time until rows of a process that died after its commit are found,
/// or a lost notification is made up for.
const POLL: Duration = Duration::from_secs(1);
const CHANNEL: &str = "durable_feed";

/// Runs until it is aborted.
pub(super) async fn run(pool: PgPool, signal: Arc<Signal>) {
    let given = signal.given();
    tokio::join!(sequence(&pool, &signal), announce(&pool, given), listen(&pool, &signal));
}

async fn sequence(pool: &PgPool, signal: &Signal) {
    let mut backoff = Backoff::new(Duration::from_millis(50), POLL);
    loop {
        match number(pool).await {
            Ok(numbered) => {
                backoff.reset();
                if numbered.rows > 0 {
                    signal.numbered(numbered.end);
                } else {
                    signal.advance(numbered.end);
                }
                if numbered.rows < MAX_ROWS {
                    // Anything of the second half, so that replicas do not poll in step.
                    let poll = POLL.mul_f64(0.5 + fastrand::f64() / 2.0);
                    let _ = timeout(poll, signal.until_committed()).await;
                }
            }
            Err(error) => {
                tracing::warn!(error = mesh::status::chain(&error), "cannot number events");
                sleep(backoff.wait()).await;
            }
        }
    }
}

/// In the server and in one trip: a process that is stopped in the middle of it
/// holds no lock. Each statement of a volatile function has a snapshot of its
/// own, so the second sees, after the lock, what the sequencer before it numbered.
/// Order of ids keeps the order of a stream, where each version is inserted after
/// the one before committed.
pub(crate) const FUNCTION: Sql = Sql::Each {
    sqlite: "",
    postgres: "CREATE FUNCTION durable_number(
        _most BIGINT, OUT numbered BIGINT, OUT until BIGINT
    ) LANGUAGE plpgsql VOLATILE AS $$
    DECLARE
        _start BIGINT;
    BEGIN
        SELECT position INTO _start FROM durable_sequencer FOR UPDATE;
        UPDATE durable_event AS event SET position = _start + fresh.place
            FROM (SELECT id, row_number() OVER (ORDER BY id) AS place
                  FROM durable_event WHERE position IS NULL ORDER BY id LIMIT _most) AS fresh
            WHERE event.id = fresh.id;
        GET DIAGNOSTICS numbered = ROW_COUNT;
        until := _start + numbered;
        UPDATE durable_sequencer SET position = until;
    END $$;",
};

struct Numbered {
    rows: i64,
    end: i64,
}

async fn number(pool: &PgPool) -> Result<Numbered, Error> {
    // Without the lock first: most polls find nothing to do.
    let (end, pending): (i64, bool) = sqlx::query_as(
        "SELECT position, EXISTS (SELECT 1 FROM durable_event WHERE position IS NULL)
         FROM durable_sequencer",
    )
    .fetch_one(pool)
    .await?;
    if !pending {
        return Ok(Numbered { rows: 0, end });
    }
    let (rows, end): (i64, i64) = sqlx::query_as("SELECT numbered, until FROM durable_number($1)")
        .bind(MAX_ROWS)
        .fetch_one(pool)
        .await?;
    Ok(Numbered { rows, end })
}

/// Tells the other processes. A failure is made up for by their polls.
async fn announce(pool: &PgPool, mut given: watch::Receiver<i64>) {
    while given.changed().await.is_ok() {
        let end = given.borrow_and_update().to_string();
        let sent =
            sqlx::query("SELECT pg_notify($1, $2)").bind(CHANNEL).bind(end).execute(pool).await;
        if let Err(error) = sent {
            tracing::warn!(error = mesh::status::chain(&error), "cannot announce events");
        }
        sleep(QUIET).await;
    }
}

/// Hears the other processes.
async fn listen(pool: &PgPool, signal: &Signal) {
    let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
    loop {
        if let Err(error) = hear(pool, signal, &mut backoff).await {
            tracing::warn!(error = mesh::status::chain(&error), "cannot listen for events");
        }
        sleep(backoff.wait()).await;
    }
}

async fn hear(pool: &PgPool, signal: &Signal, backoff: &mut Backoff) -> Result<(), sqlx::Error> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen(CHANNEL).await?;
    backoff.reset();
    loop {
        let notification = listener.recv().await?;
        if let Ok(end) = notification.payload().parse() {
            signal.advance(end);
        }
    }
}
