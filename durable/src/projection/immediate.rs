//! Immediate projections: applied to what was appended before its transaction
//! commits, and again from the log to whatever was appended by a program that
//! did not know of them. Each stream counts what was applied of it, so that none
//! of both applies an event twice.

use std::collections::BTreeMap;

use futures_util::future::BoxFuture;

use super::{Projection, Projector, Shared, Writer};
use crate::{Dialect, Error, Event, Tx, aggregate::of_stream, params};

/// Events in memory at a time when a stream is far behind.
const PAGE: i64 = 500;

/// An immediate projection whose type is forgotten, for a repository's list.
pub(crate) trait Immediate: Send + Sync {
    /// Applies what was appended to a stream, and what was never applied of it.
    fn project<'a>(&'a self, tx: &'a mut Tx, stream: &'a str) -> BoxFuture<'a, Result<(), Error>>;
}

impl<P: Projection> Immediate for Projector<P> {
    fn project<'a>(&'a self, tx: &'a mut Tx, stream: &'a str) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            for generation in generations::<P>(tx).await? {
                self.shared.catch_up_stream(tx, generation, stream).await?;
            }
            Ok(())
        })
    }
}

impl<P: Projection> Shared<P> {
    async fn catch_up_stream(
        &self,
        tx: &mut Tx,
        generation: i64,
        stream: &str,
    ) -> Result<(), Error> {
        let types = self.projection.types();
        let before = lock_stream::<P>(tx, generation, stream).await?;
        let mut seen = before;
        loop {
            let mut events = page(tx, stream, seen).await?;
            let Some(last) = events.last() else { break };
            let full = events.len() == usize::try_from(PAGE).unwrap_or(usize::MAX);
            seen = last.version;
            events.retain(|event| types.is_empty() || types.contains(&event.kind));
            let mut writer = Writer::new(tx, P::TABLES, generation);
            self.projection.apply(&mut writer, &events).await?;
            if !full {
                break;
            }
        }
        if seen > before {
            store_stream::<P>(tx, generation, stream, seen).await?;
        }
        Ok(())
    }

    /// Applies events of the log, as far as they were not applied before.
    pub(super) async fn apply_rest(
        &self,
        tx: &mut Tx,
        generation: i64,
        events: &[Event],
    ) -> Result<(), Error> {
        // In the order of names, so that two of these do not wait for each other.
        let mut streams = BTreeMap::new();
        for event in events {
            streams.entry(event.stream.as_str()).or_insert((0, 0)).1 = event.version;
        }
        for (stream, (seen, _)) in &mut streams {
            *seen = lock_stream::<P>(tx, generation, stream).await?;
        }
        let fresh = |event: &&Event| {
            streams.get(event.stream.as_str()).is_none_or(|(seen, _)| event.version > *seen)
        };
        let fresh: Vec<Event> = events.iter().filter(fresh).cloned().collect();
        if !fresh.is_empty() {
            let mut writer = Writer::new(tx, P::TABLES, generation);
            self.projection.apply(&mut writer, &fresh).await?;
        }
        for (stream, (seen, last)) in streams {
            if last > seen {
                store_stream::<P>(tx, generation, stream, last).await?;
            }
        }
        Ok(())
    }
}

/// The generations that this program can write to. They are not dropped before
/// the transaction ends.
async fn generations<P: Projection>(tx: &mut Tx) -> Result<Vec<i64>, Error> {
    let only = match tx.dialect() {
        Dialect::Sqlite => "",
        // Does not wait for who moves a position, only for who drops the row.
        Dialect::Postgres => "FOR KEY SHARE",
    };
    let sql = format!(
        "SELECT generation FROM durable_projection WHERE name = $1 AND version = $2
         ORDER BY generation {only}"
    );
    let rows = tx.query(sql, params![P::NAME, P::VERSION]).await?;
    rows.iter().map(|row| row.get("generation")).collect()
}

/// What was applied of a stream; nobody else applies of it until the transaction
/// ends.
async fn lock_stream<P: Projection>(
    tx: &mut Tx,
    generation: i64,
    stream: &str,
) -> Result<i64, Error> {
    let sql = "INSERT INTO durable_projected (name, generation, stream, version)
        VALUES ($1, $2, $3, 0)
        ON CONFLICT (name, generation, stream) DO UPDATE SET version = durable_projected.version
        RETURNING version";
    let row = tx.query_one(sql, params![P::NAME, generation, stream]).await?;
    row.map_or(Ok(0), |row| row.get("version"))
}

async fn store_stream<P: Projection>(
    tx: &mut Tx,
    generation: i64,
    stream: &str,
    version: i64,
) -> Result<(), Error> {
    let sql = "UPDATE durable_projected SET version = $4
        WHERE name = $1 AND generation = $2 AND stream = $3";
    tx.execute(sql, params![P::NAME, generation, stream, version]).await?;
    Ok(())
}

async fn page(tx: &mut Tx, stream: &str, after: i64) -> Result<Vec<Event>, Error> {
    let rows = tx.query(of_stream(), params![stream, after, PAGE]).await?;
    rows.iter().map(Event::from_row).collect()
}
