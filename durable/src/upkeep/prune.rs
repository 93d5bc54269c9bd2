//! Rows that are over for long, in pieces.

use futures_util::future::BoxFuture;

use super::{PIECES, turn::Turn};
use crate::{Error, Tx, params, saga};

/// Rows of one transaction: some milliseconds of the database's time.
const PIECE: u32 = 500;

/// Sagas that ended before a time, with their histories.
pub(super) async fn sagas(turn: &Turn, before: i64) -> Result<u64, Error> {
    // A saga has some ten rows of history.
    pieces(turn, PIECE / 10, |tx, piece| Box::pin(saga::prune(tx, before, piece))).await
}

/// Dead letters of events that were applied or discarded since. One that is parked
/// or released waits for something.
pub(super) async fn letters(turn: &Turn, before: i64) -> Result<u64, Error> {
    let locking = turn.locking();
    pieces(turn, PIECE, |tx, piece| {
        let sql = format!(
            "DELETE FROM durable_dead_letter WHERE (consumer, position) IN (
                SELECT consumer, position FROM durable_dead_letter
                WHERE status IN ('applied', 'discarded') AND last_time < $1
                ORDER BY last_time LIMIT $2 {locking})"
        );
        Box::pin(async move { tx.execute(sql, params![before, piece]).await })
    })
    .await
}

/// Keys of calls that expired. New keys take expired ones away; a service that is
/// called no more has this.
pub(super) async fn keys(turn: &Turn, now: i64) -> Result<u64, Error> {
    let locking = turn.locking();
    pieces(turn, PIECE, |tx, piece| {
        let sql = format!(
            "DELETE FROM durable_idempotency WHERE (caller, command, key) IN (
                SELECT caller, command, key FROM durable_idempotency
                WHERE expire_time <= $1 ORDER BY expire_time LIMIT $2 {locking})"
        );
        Box::pin(async move { tx.execute(sql, params![now, piece]).await })
    })
    .await
}

/// Runs `remove` until it finds less than a whole piece.
async fn pieces(
    turn: &Turn,
    piece: u32,
    remove: impl for<'t> Fn(&'t mut Tx, u32) -> BoxFuture<'t, Result<u64, Error>>,
) -> Result<u64, Error> {
    let mut all = 0;
    for _ in 0..PIECES {
        let mut tx = turn.store.begin().await?;
        let removed = remove(&mut tx, piece).await?;
        if removed == 0 {
            tx.rollback().await?;
            break;
        }
        if !turn.finish(tx).await? {
            break;
        }
        all += removed;
        if removed < u64::from(piece) {
            break;
        }
    }
    Ok(all)
}
