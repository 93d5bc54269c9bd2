//! Reading the log in bounded pieces.

use std::ops::ControlFlow;

use super::Event;
use crate::{Dialect, Error, Store, Value, params};

/// Positions that one statement looks at. Bounds the work for a subscriber
/// whose types are rare in a long log.
const SPAN: i64 = 10_000;

/// A piece of the log.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) events: Vec<Event>,
    /// Everything up to here is in `events` or of another type.
    pub(crate) position: i64,
}

/// The last position of the log; zero when it is empty.
pub(crate) async fn end(store: &Store) -> Result<i64, Error> {
    let sql = match store.dialect() {
        Dialect::Sqlite => "SELECT coalesce(max(position), 0) AS position FROM durable_event",
        Dialect::Postgres => "SELECT position FROM durable_sequencer",
    };
    store.query_one(sql, params![]).await?.map_or(Ok(0), |row| row.get("position"))
}

/// Which events of a log; all of them by default.
#[derive(Clone, Debug, Default)]
pub(crate) struct Matching {
    /// Full names of types; empty for all.
    pub(crate) types: Vec<String>,
    /// What names of streams begin with; empty for all.
    pub(crate) streams: Vec<String>,
}

/// The last position that was removed from the log; zero when none was.
async fn start(store: &Store) -> Result<i64, Error> {
    let sql = "SELECT position FROM durable_log_start";
    store.query_one(sql, params![]).await?.map_or(Ok(0), |row| row.get("position"))
}

/// Events after `after` up to `head`, which must be readable, of those that match:
/// at most `events` of them, and no more than `bytes` unless the first alone is
/// larger.
///
/// # Errors
/// [`Error::Removed`] when events after `after` are not there any more.
pub(crate) async fn read(
    store: &Store,
    after: i64,
    head: i64,
    matching: &Matching,
    limit: Limit,
) -> Result<Batch, Error> {
    let until = head.min(after.saturating_add(SPAN));
    let (sql, params) = statement(after, until, matching, limit.events);
    let mut batch = Batch { events: Vec::new(), position: until };
    let mut bytes = 0;
    store
        .scan(sql, params, &mut |row| {
            let event = Event::from_row(&row)?;
            bytes += event.data.len() + event.stream.len() + event.kind.len();
            if bytes > limit.bytes && !batch.events.is_empty() {
                batch.position = batch.events.last().map_or(after, |event| event.position);
                return Ok(ControlFlow::Break(()));
            }
            batch.events.push(event);
            if batch.events.len() == limit.events {
                batch.position = batch.events.last().map_or(after, |event| event.position);
                return Ok(ControlFlow::Break(()));
            }
            Ok(ControlFlow::Continue(()))
        })
        .await?;
    // Asked after the read: what it did not find was removed by then.
    let start = start(store).await?;
    if after < start {
        return Err(Error::Removed { after, start });
    }
    Ok(batch)
}

/// The size of a batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limit {
    pub(crate) events: usize,
    pub(crate) bytes: usize,
}

fn statement(after: i64, until: i64, matching: &Matching, events: usize) -> (String, Vec<Value>) {
    let limit = i64::try_from(events).unwrap_or(SPAN);
    let mut params = params![after, until, limit];
    let mut only = String::new();
    if !matching.types.is_empty() {
        let places = places(&mut params, &matching.types);
        only = format!("AND type IN ({})", places.join(", "));
    }
    if !matching.streams.is_empty() {
        // Not LIKE, which gives some characters of a name another meaning.
        let begins = places(&mut params, &matching.streams)
            .into_iter()
            .map(|place| format!("substr(stream, 1, length({place})) = {place}"));
        only = format!("{only} AND ({})", begins.collect::<Vec<_>>().join(" OR "));
    }
    let columns = Event::COLUMNS;
    let sql = format!(
        "SELECT {columns} FROM durable_event
         WHERE position > $1 AND position <= $2 {only} ORDER BY position LIMIT $3"
    );
    (sql, params)
}

/// Adds texts to the parameters of a statement and returns their places in it.
fn places(params: &mut Vec<Value>, texts: &[String]) -> Vec<String> {
    let first = params.len() + 1;
    params.extend(texts.iter().map(Value::from));
    (first..first + texts.len()).map(|place| format!("${place}")).collect()
}
