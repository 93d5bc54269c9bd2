//! How long a log keeps what everybody has read.

use crate::{Error, Store, params, time};

/// What may go.
#[derive(Clone, Debug)]
pub struct Retention {
    /// Events that were appended at least so long ago.
    pub older_than: std::time::Duration,
    /// Only of streams that begin with one of these. Aggregates are their events:
    /// name none of theirs.
    pub streams: Vec<String>,
}

/// Removes events that nobody needs and returns how many: those that are old
/// enough and whose effects every consumer that ever reported its progress has
/// committed. The last event of each stream stays, since it holds the stream's
/// version. Who reads from a place before the end of what was looked at is refused
/// with [`Error::Removed`], a projection that is made anew included.
///
/// # Errors
/// Those of the database; nothing was removed then.
pub async fn remove(store: &Store, retention: &Retention) -> Result<u64, Error> {
    let age = i64::try_from(retention.older_than.as_micros()).unwrap_or(i64::MAX);
    let mut tx = store.begin().await?;
    let sql = "SELECT coalesce(max(position), 0) AS until FROM durable_event
        WHERE time <= $1
          AND position <= coalesce((SELECT min(position) FROM durable_subscriber), position)";
    let row = tx.query_one(sql, params![time::now().saturating_sub(age)]).await?;
    let until: i64 = row.map_or(Ok(0), |row| row.get("until"))?;
    let mut removed = 0;
    for prefix in &retention.streams {
        let sql = "DELETE FROM durable_event
            WHERE position <= $1 AND substr(stream, 1, length($2)) = $2
              AND version < (SELECT max(last.version) FROM durable_event AS last
                             WHERE last.stream = durable_event.stream)";
        removed += tx.execute(sql, params![until, prefix]).await?;
    }
    if removed > 0 {
        let sql = "UPDATE durable_log_start SET position = $1 WHERE position < $1";
        tx.execute(sql, params![until]).await?;
    }
    tx.commit().await?;
    Ok(removed)
}
