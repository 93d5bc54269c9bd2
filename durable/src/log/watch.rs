//! Notices what other processes append to an SQLite file. SQLite has no
//! notifications, but a counter of changes that costs no I/O to read.

use std::{sync::Arc, time::Duration};

use mesh::Backoff;
use rusqlite::Connection;
use tokio::time::sleep;

use super::Signal;
use crate::{Error, store::Readers};

/// A good half of what a consumer in another process waits on average. Reading
/// the counter takes some 20 µs, so this is a thousandth of a core.
const PERIOD: Duration = Duration::from_millis(25);

/// Runs until it is aborted; looks only while somebody subscribes.
pub(super) async fn run(readers: Readers, signal: Arc<Signal>) {
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

async fn observe(readers: &Readers, signal: &Signal) -> Result<(), Error> {
    let mut observer = readers.observer().await?;
    let mut seen = None;
    while signal.is_watched() {
        let (changes, end) = observer.run(move |connection| look(connection, seen)).await?;
        seen = Some(changes);
        signal.advance(end);
        sleep(PERIOD).await;
    }
    Ok(())
}

/// The counter of changes, which counts those of *other* connections, and where it
/// moved, the end of the log; zero where it did not.
fn look(connection: &Connection, seen: Option<i64>) -> Result<(i64, i64), Error> {
    let ask = |sql| connection.prepare_cached(sql)?.query_row([], |row| row.get::<_, i64>(0));
    let changes = ask("PRAGMA data_version")?;
    if seen == Some(changes) {
        return Ok((changes, 0));
    }
    Ok((changes, ask("SELECT coalesce(max(position), 0) FROM durable_event")?))
}
