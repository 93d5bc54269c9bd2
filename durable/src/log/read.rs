//! Reading the log in bounded pieces.

use std::ops::ControlFlow;

use super::Event;
use crate::{Dialect, Error, Store, Value, params, store::local};

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

impl Matching {
    pub(super) fn takes(&self, event: &Event) -> bool {
        event.matches(&self.types, &self.streams)
    }
}

/// The size of a batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limit {
    pub(crate) events: usize,
    pub(crate) bytes: usize,
}

/// The last position that was removed from the log; zero when none was.
const START: &str = "SELECT position FROM durable_log_start";

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
    let (batch, start) = fill(store, sql, params, Filling::new(until, limit)).await?;
    if after < start {
        return Err(Error::Removed { after, start });
    }
    Ok(batch)
}

/// Fills a batch with the events of a statement, and tells where the log starts: it
/// is asked after the read, so what that did not find was removed by then.
pub(super) async fn fill(
    store: &Store,
    sql: String,
    params: Vec<Value>,
    mut filling: Filling,
) -> Result<(Batch, i64), Error> {
    if let Some(sqlite) = store.sqlite() {
        let read = move |connection: &rusqlite::Connection| {
            let take = |row: &rusqlite::Row<'_>| Ok(filling.take(Event::from_sqlite(row)?));
            local::each(connection, &sql, &params, take)?;
            let start = connection.prepare_cached(START)?.query_row([], |row| row.get(0))?;
            Ok((filling.batch, start))
        };
        return sqlite.readers.run(read).await;
    }
    let mut take = |row| Ok(filling.take(Event::from_row(&row)?));
    store.scan(sql, params, &mut take).await?;
    let start = store.query_one(START, params![]).await?;
    Ok((filling.batch, start.map_or(Ok(0), |row| row.get("position"))?))
}

/// A batch that is being filled.
pub(super) struct Filling {
    pub(super) batch: Batch,
    bytes: usize,
    limit: Limit,
}

impl Filling {
    /// `until` is as far as is looked.
    pub(super) fn new(until: i64, limit: Limit) -> Self {
        Self { batch: Batch { events: Vec::new(), position: until }, bytes: 0, limit }
    }

    /// Takes one more event unless that is too much, and says whether to go on.
    pub(super) fn take(&mut self, event: Event) -> ControlFlow<()> {
        let events = &mut self.batch.events;
        self.bytes += event.bytes();
        if self.bytes > self.limit.bytes
            && let Some(last) = events.last()
        {
            self.batch.position = last.position;
            return ControlFlow::Break(());
        }
        if events.len() + 1 == self.limit.events {
            self.batch.position = event.position;
        }
        events.push(event);
        if events.len() == self.limit.events {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }
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
