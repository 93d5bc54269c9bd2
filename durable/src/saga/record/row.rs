//! The row of a saga: read, locked, inserted, changed.

use super::{Record, Wish};
use crate::{Dialect, Error, Store, Tx, Value, params};

/// The saga with this id.
pub(in crate::saga) async fn load(store: &Store, id: &str) -> Result<Option<Record>, Error> {
    let sql = format!("SELECT {} FROM durable_saga WHERE id = $1", Record::COLUMNS);
    store.query_one(sql, params![id]).await?.as_ref().map(Record::from_row).transpose()
}

/// The saga with this id, which nobody can change until the transaction ends.
pub(in crate::saga) async fn lock(tx: &mut Tx, id: &str) -> Result<Option<Record>, Error> {
    let lock = match tx.dialect() {
        // The transaction holds SQLite's one write lock already.
        Dialect::Sqlite => "",
        Dialect::Postgres => "FOR UPDATE",
    };
    let sql = format!("SELECT {} FROM durable_saga WHERE id = $1 {lock}", Record::COLUMNS);
    tx.query_one(sql, params![id]).await?.as_ref().map(Record::from_row).transpose()
}

/// `false` when a saga with this id is there.
pub(in crate::saga) async fn insert(tx: &mut Tx, saga: &Record) -> Result<bool, Error> {
    let sql = format!(
        "INSERT INTO durable_saga ({}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12,
            $13, $14, $15, $16, $17, $18) ON CONFLICT (id) DO NOTHING",
        Record::COLUMNS
    );
    let mut row = params![&*saga.id, &saga.definition, saga.version];
    row.extend(changing(saga));
    row.extend(params![&saga.traceparent, &saga.actor, saga.created]);
    row.extend(bookkeeping(saga));
    Ok(tx.execute(sql, row).await? == 1)
}

/// Stores `saga`, unless it was changed since its revision was `seen`.
pub(in crate::saga) async fn update(tx: &mut Tx, saga: &Record, seen: i64) -> Result<bool, Error> {
    let sql = "UPDATE durable_saga SET status = $3, step = $4, direction = $5, attempts = $6,
            data = $7, refusal = $8, error = $9, updated = $10, skipped = $11, wish = $12,
            revision = $13, pivoted = $14
        WHERE id = $1 AND revision = $2";
    let mut row = params![&*saga.id, seen];
    row.extend(changing(saga));
    row.extend(bookkeeping(saga));
    Ok(tx.execute(sql, row).await? == 1)
}

fn changing(saga: &Record) -> Vec<Value> {
    let refusal = saga.refusal.as_ref().map(ToString::to_string);
    params![
        saga.status.word(),
        &saga.step,
        saga.direction.word(),
        saga.attempts,
        &saga.data,
        refusal,
        &saga.error
    ]
}

fn bookkeeping(saga: &Record) -> Vec<Value> {
    let wish = saga.wish.map(Wish::word);
    params![saga.updated, saga.skipped, wish, saga.revision, saga.pivoted]
}
