//! What may leave a log: what is old, what everybody has had, and never the last
//! event of a stream, which holds its version.

use super::{
    Event, Limit, end,
    read::{Filling, fill},
};
use crate::{Error, Store, Tx, Value, params};

/// Positions of one transaction: some milliseconds of the database's time.
pub(crate) const PIECE: i64 = 500;

/// How far the log after `after` is old: the position before the first event that
/// was appended after `time`, at most `most` positions on. An event whose clock was
/// ahead holds up what follows until its time.
pub(crate) async fn reach(store: &Store, after: i64, time: i64, most: i64) -> Result<i64, Error> {
    let until = end(store).await?.min(after.saturating_add(most));
    let sql = "SELECT min(position) AS position FROM durable_event
        WHERE position > $1 AND position <= $2 AND time > $3";
    let young = store.query_one(sql, params![after, until, time]).await?;
    let young: Option<i64> = young.map_or(Ok(None), |row| row.get("position"))?;
    Ok(young.map_or(until, |young| young - 1))
}

/// Everybody has had the events up to here: all consumers that ever reported their
/// progress, and all projections of this store.
pub(crate) async fn had(tx: &mut Tx) -> Result<i64, Error> {
    let sql = "SELECT min(position) AS position FROM (
            SELECT position FROM durable_subscriber
            UNION ALL SELECT position FROM durable_projection) AS everybody";
    let row = tx.query_one(sql, params![]).await?;
    let had: Option<i64> = row.map_or(Ok(None), |row| row.get("position"))?;
    Ok(had.unwrap_or(i64::MAX))
}

/// Removes the events after `after` up to `until` of streams that begin with one of
/// `streams`, and what is before them of the same streams, but for the last of each
/// stream: one that was the last when it was passed goes when the next one is. Who
/// reads from before `until` is refused afterwards, if anything went.
pub(crate) async fn remove(
    tx: &mut Tx,
    after: i64,
    until: i64,
    streams: &[String],
) -> Result<u64, Error> {
    let mut row = params![after, until];
    let begins: Vec<_> = (3..3 + streams.len())
        .map(|place| format!("substr(stream, 1, length(${place})) = ${place}"))
        .collect();
    row.extend(streams.iter().map(Value::from));
    // The plus keeps SQLite from walking all lower positions in place of the
    // streams' index.
    let sql = format!(
        "DELETE FROM durable_event
         WHERE +position <= $2
           AND stream IN (SELECT stream FROM durable_event
                          WHERE position > $1 AND position <= $2 AND ({}))
           AND version < (SELECT max(last.version) FROM durable_event AS last
                          WHERE last.stream = durable_event.stream)",
        begins.join(" OR ")
    );
    let removed = tx.execute(sql, row).await?;
    if removed > 0 {
        let sql = "UPDATE durable_log_start SET position = $1 WHERE position < $1";
        tx.execute(sql, params![until]).await?;
    }
    Ok(removed)
}

/// What is left of the log after `after` up to `until`, and up to where that is: at
/// most `limit`, and one event at least if there is any.
pub(crate) async fn rest(
    store: &Store,
    after: i64,
    until: i64,
    limit: Limit,
) -> Result<(Vec<Event>, i64), Error> {
    let columns = Event::COLUMNS;
    let sql = format!(
        "SELECT {columns} FROM durable_event
         WHERE position > $1 AND position <= $2 ORDER BY position"
    );
    let (batch, _) = fill(store, sql, params![after, until], Filling::new(until, limit)).await?;
    Ok((batch.events, batch.position))
}
