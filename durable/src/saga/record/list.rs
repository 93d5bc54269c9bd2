//! Many sagas at once: pages of them, counts, and the end of those that are over.

use super::{Record, Status};
use crate::{Dialect, Error, Row, Store, Tx, Value, params};

/// Sagas after an id, in the order of ids, of one status or of any.
pub(in crate::saga) async fn page(
    store: &Store,
    after: &str,
    status: Option<Status>,
    limit: u32,
) -> Result<Vec<Record>, Error> {
    let (only, mut row) = ("AND status = $3", params![after, limit]);
    row.extend(status.map(|status| Value::from(status.word())));
    let only = if status.is_some() { only } else { "" };
    let sql = format!(
        "SELECT {} FROM durable_saga WHERE id > $1 {only} ORDER BY id LIMIT $2",
        Record::COLUMNS
    );
    store.query(sql, row).await?.iter().map(Record::from_row).collect()
}

/// How many sagas there are of each status that is not over, and since when the
/// oldest of them.
pub(in crate::saga) async fn unfinished(store: &Store) -> Result<Vec<(Status, i64, i64)>, Error> {
    let sql = format!(
        "SELECT status, count(*) AS sagas, min(created) AS oldest FROM durable_saga
         WHERE status IN ({UNFINISHED}) GROUP BY status"
    );
    let read = |row: &Row| {
        let status = Status::parse(&row.get::<String>("status")?)?;
        Ok((status, row.get("sagas")?, row.get("oldest")?))
    };
    store.query(sql, params![]).await?.iter().map(read).collect()
}

const UNFINISHED: &str = "'running', 'compensating', 'needs_attention'";

/// The same with the name of each status, from an index and counted no further than
/// `most`.
///
/// # Errors
/// When the database cannot be read.
pub(crate) async fn waiting(store: &Store, most: i64) -> Result<Vec<(String, i64, i64)>, Error> {
    // SQLite takes a partial index only for a condition in the index's own words.
    let of = |status: Status| {
        let only =
            format!("durable_saga WHERE status IN ({UNFINISHED}) AND status = '{}'", status.word());
        format!(
            "SELECT '{}' AS status,
                (SELECT count(*) FROM (SELECT 1 FROM {only} LIMIT $1) AS few) AS sagas,
                (SELECT coalesce(min(created), 0) FROM {only}) AS oldest",
            status.word()
        )
    };
    let all = [Status::Running, Status::Compensating, Status::NeedsAttention].map(of);
    let read = |row: &Row| Ok((row.get("status")?, row.get("sagas")?, row.get("oldest")?));
    store.query(all.join(" UNION ALL "), params![most]).await?.iter().map(read).collect()
}

/// Removes sagas that ended before a time, with their histories, the first to end
/// first and at most `limit`; how many. One that needs attention has not ended.
///
/// # Errors
/// Those of the database; nothing was removed then.
pub(crate) async fn prune(tx: &mut Tx, before: i64, limit: u32) -> Result<u64, Error> {
    let skip = match tx.dialect() {
        Dialect::Sqlite => "",
        Dialect::Postgres => "FOR UPDATE SKIP LOCKED",
    };
    let sql = format!(
        "DELETE FROM durable_saga WHERE id IN (
            SELECT id FROM durable_saga
            WHERE status IN ({FINISHED}) AND updated < $1 ORDER BY updated LIMIT $2 {skip})
         RETURNING id"
    );
    let rows = tx.query(sql, params![before, limit]).await?;
    let ids = rows.iter().map(|row| row.get::<String>("id")).collect::<Result<Vec<_>, _>>()?;
    if !ids.is_empty() {
        let places: Vec<_> = (1..=ids.len()).map(|place| format!("${place}")).collect();
        let sql = format!("DELETE FROM durable_saga_history WHERE saga IN ({})", places.join(", "));
        tx.execute(sql, ids.iter().map(Value::from).collect()).await?;
    }
    Ok(u64::try_from(rows.len()).unwrap_or(u64::MAX))
}

const FINISHED: &str = "'completed', 'compensated', 'resolved'";
