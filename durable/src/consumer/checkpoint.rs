//! The place of a consumer in its feed: one row, changed only in transactions
//! of effects.

use crate::{Dialect, Error, Store, Tx, params, time};

/// The checkpoint, made when there is none yet.
pub(super) async fn load(store: &Store, consumer: &str) -> Result<i64, Error> {
    let mut tx = store.begin().await?;
    let insert = "INSERT INTO durable_checkpoint (consumer, position, time)
        VALUES ($1, 0, $2) ON CONFLICT (consumer) DO NOTHING";
    tx.execute(insert, params![consumer, time::now()]).await?;
    let position = lock(&mut tx, consumer).await?;
    tx.commit().await?;
    Ok(position)
}

/// The checkpoint, which no replica can change until the transaction ends.
pub(super) async fn lock(tx: &mut Tx, consumer: &str) -> Result<i64, Error> {
    let sql = match tx.dialect() {
        // The transaction holds SQLite's one write lock already.
        Dialect::Sqlite => "SELECT position FROM durable_checkpoint WHERE consumer = $1",
        Dialect::Postgres => {
            "SELECT position FROM durable_checkpoint WHERE consumer = $1 FOR UPDATE"
        }
    };
    tx.query_one(sql, params![consumer]).await?.map_or(Ok(0), |row| row.get("position"))
}

pub(super) async fn store(tx: &mut Tx, consumer: &str, position: i64) -> Result<(), Error> {
    let sql = "UPDATE durable_checkpoint SET position = $2, time = $3 WHERE consumer = $1";
    tx.execute(sql, params![consumer, position, time::now()]).await?;
    Ok(())
}
