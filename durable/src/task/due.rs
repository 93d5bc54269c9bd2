//! What is due and free, found in the index however much waits for its time.

use crate::{Error, Store, params};

/// Of those that are due first, the oldest is looked for among so many: their times
/// of enqueueing are not in the index.
const FIRST: i64 = 100;
/// Kinds that are counted: as many as have metrics.
const MAX_KINDS: usize = 64;

/// The priorities at which something is due, the highest first. Steps from one to
/// the next in the index, so it costs as many lookups as there are priorities,
/// however many tasks wait for their time.
pub(super) async fn priorities(store: &Store, kind: &str, now: i64) -> Result<Vec<i64>, Error> {
    const FREE: &str = "durable_task WHERE owner IS NULL AND died IS NULL AND kind = $1";
    let sql = format!(
        "WITH RECURSIVE level (priority) AS (
            SELECT * FROM (SELECT priority FROM {FREE} ORDER BY priority DESC LIMIT 1) AS highest
            UNION ALL
            SELECT (SELECT priority FROM {FREE} AND priority < level.priority
                    ORDER BY priority DESC LIMIT 1)
            FROM level WHERE level.priority IS NOT NULL
        )
        SELECT priority FROM level WHERE priority IS NOT NULL
            AND EXISTS (SELECT 1 FROM {FREE} AND priority = level.priority AND due <= $2)
        ORDER BY priority DESC"
    );
    let rows = store.query(sql, params![kind, now]).await?;
    rows.iter().map(|row| row.get("priority")).collect()
}

/// By kind, how many wait though they are due, counted no further than `most` for
/// each priority, and since when the oldest.
///
/// # Errors
/// When the database cannot be read.
pub(crate) async fn due(
    store: &Store,
    now: i64,
    most: i64,
) -> Result<Vec<(String, i64, i64)>, Error> {
    const NEXT: &str = "SELECT kind FROM durable_task
        WHERE owner IS NULL AND died IS NULL AND kind > $1 ORDER BY kind LIMIT 1";
    const COUNT: &str = "SELECT
        (SELECT count(*) FROM (SELECT due FROM durable_task
            WHERE owner IS NULL AND died IS NULL AND kind = $1 AND priority = $2 AND due <= $3
            LIMIT $4) AS few) AS number,
        (SELECT coalesce(min(CASE WHEN due > created THEN due ELSE created END), 0)
            FROM (SELECT due, created FROM durable_task
            WHERE owner IS NULL AND died IS NULL AND kind = $1 AND priority = $2 AND due <= $3
            ORDER BY due LIMIT $5) AS first) AS oldest";
    let (mut found, mut kind): (Vec<(String, i64, i64)>, String) = (Vec::new(), String::new());
    while found.len() < MAX_KINDS
        && let Some(row) = store.query_one(NEXT, params![&kind]).await?
    {
        kind = row.get("kind")?;
        let (mut number, mut oldest) = (0, 0);
        for priority in priorities(store, &kind, now).await? {
            let row = params![&kind, priority, now, most, FIRST];
            let Some(row) = store.query_one(COUNT, row).await? else { continue };
            number += row.get::<i64>("number")?;
            let since: i64 = row.get("oldest")?;
            oldest = if oldest == 0 { since } else { oldest.min(since) };
        }
        found.push((kind.clone(), number, oldest));
    }
    Ok(found)
}
