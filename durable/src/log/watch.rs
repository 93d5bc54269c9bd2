//! Notices what other processes append to an SQLite file. SQLite has no
//! notifications, but a counter of changes that costs no I/O to read.

use std::{sync::Arc, time::Duration};

use mesh::Backoff;
use sqlx::SqlitePool;
use tokio::time::sleep;

use super::Signal;
use crate::{Error, store::Sqlite};

/// A good half of what a consumer in another process waits on average. Reading
/// the counter takes some 20 µs, so this is a thousandth of a core.
const PERIOD: Duration = Duration::from_millis(25);

/// Runs until it is aborted; looks only while somebody subscribes.
pub(super) async fn run(readers: SqlitePool, signal: Arc<Signal>) {
    let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
    loop {
        signal.until_watched().await;
        match observe(&readers, &signal).await {
            Ok(()) => backoff.reset(),
            Err(error) => {
                tracing::warn!(error = mesh::status::chain(&error), "cannot observe the database");
                sleep(backoff.wait()).await;
            }
        }
    }
}

async fn observe(readers: &SqlitePool, signal: &Signal) -> Result<(), Error> {
    let mut connection = Sqlite::observer(readers).await?;
    let mut seen = None;
    while signal.is_watched() {
        let changes: i64 =
            sqlx::query_scalar("PRAGMA data_version").fetch_one(&mut connection).await?;
        if seen != Some(changes) {
            seen = Some(changes);
            let end: i64 =
                sqlx::query_scalar("SELECT coalesce(max(position), 0) FROM durable_event")
                    .fetch_one(&mut connection)
                    .await?;
            signal.advance(end);
        }
        sleep(PERIOD).await;
    }
    Ok(())
}
