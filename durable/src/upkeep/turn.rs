//! Whose turn it is, and how far they are: one row, held by a lease. Every write
//! checks that the turn is still the writer's, so that a replica which was stopped
//! for longer than its lease changes nothing.

use std::time::Duration;

use tokio::time::sleep;

use super::PAUSE;
use crate::{Dialect, Error, Store, Tx, consumer, params, store::Sql};

/// Longer than a file of the archive takes to be written to a slow disk. Nothing
/// but the wait for a replica that died depends on it.
const LEASE: Duration = Duration::from_secs(60);

pub(crate) const TABLE: Sql = Sql::Both(
    "CREATE TABLE durable_upkeep (
        single {bool} PRIMARY KEY DEFAULT TRUE CHECK (single),
        owner {text} NOT NULL,
        alive_until {bigint} NOT NULL,
        epoch {bigint} NOT NULL,
        removed {bigint} NOT NULL,
        archived {bigint} NOT NULL,
        archive_time {bigint} NOT NULL
    );
    INSERT INTO durable_upkeep (owner, alive_until, epoch, removed, archived, archive_time)
        VALUES ('', 0, 0, 0, 0, 0);
    CREATE INDEX durable_dead_letter_settled ON durable_dead_letter (last_time)
        WHERE status IN ('applied', 'discarded');",
);

/// Finds dead letters that are not settled.
pub(crate) const WAITING: Sql = Sql::Both(
    "CREATE INDEX durable_dead_letter_waiting ON durable_dead_letter (consumer)
        WHERE status IN ('parked', 'released');",
);

/// How far a log is kept up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Marks {
    /// Up to here it was looked at for what can be removed.
    pub(super) removed: i64,
    /// Up to here it is archived.
    pub(super) archived: i64,
    /// When it was archived last, in microseconds since 1970.
    pub(super) archive_time: i64,
}

/// The right to keep a store up.
pub(super) struct Turn {
    pub(super) store: Store,
    pub(super) marks: Marks,
    owner: String,
    epoch: i64,
}

impl Turn {
    /// `None` when it is another's.
    pub(super) async fn take(store: &Store, owner: &str) -> Result<Option<Self>, Error> {
        let mut tx = store.begin().await?;
        let now = consumer::clock(&mut tx).await?;
        let sql = "UPDATE durable_upkeep SET owner = $1, alive_until = $2, epoch = epoch + 1
            WHERE owner = $1 OR alive_until <= $3
            RETURNING epoch, removed, archived, archive_time";
        let taken = tx.query_one(sql, params![owner, now + lease(), now]).await?;
        tx.commit().await?;
        let Some(row) = taken else { return Ok(None) };
        let marks = Marks {
            removed: row.get("removed")?,
            archived: row.get("archived")?,
            archive_time: row.get("archive_time")?,
        };
        let (store, owner, epoch) = (store.clone(), owner.to_owned(), row.get("epoch")?);
        Ok(Some(Self { store, marks, owner, epoch }))
    }

    /// Commits a piece of work with the marks, renews the lease and gives others a
    /// moment; `false`, with nothing changed, when the turn is another's by now.
    pub(super) async fn finish(&self, mut tx: Tx) -> Result<bool, Error> {
        let now = consumer::clock(&mut tx).await?;
        let sql = "UPDATE durable_upkeep
            SET alive_until = $3, removed = $4, archived = $5, archive_time = $6
            WHERE owner = $1 AND epoch = $2";
        let Marks { removed, archived, archive_time } = self.marks;
        let mut row = params![&self.owner, self.epoch, now + lease()];
        row.extend(params![removed, archived, archive_time]);
        if tx.execute(sql, row).await? == 0 {
            tx.rollback().await?;
            return Ok(false);
        }
        tx.commit().await?;
        sleep(PAUSE).await;
        Ok(true)
    }

    /// What a reading statement for rows that are about to be deleted ends in.
    pub(super) fn locking(&self) -> &'static str {
        match self.store.dialect() {
            // The transaction holds SQLite's one write lock already.
            Dialect::Sqlite => "",
            Dialect::Postgres => "FOR UPDATE SKIP LOCKED",
        }
    }
}

fn lease() -> i64 {
    i64::try_from(LEASE.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::backends;

    /// As if the lease of whoever has it had run out.
    async fn run_out(store: &Store) {
        let mut tx = store.begin().await.unwrap();
        tx.execute("UPDATE durable_upkeep SET alive_until = 0", params![]).await.unwrap();
        tx.commit().await.unwrap();
    }

    async fn keys(store: &Store) -> usize {
        store.query("SELECT 1 AS one FROM durable_idempotency", params![]).await.unwrap().len()
    }

    #[tokio::test]
    async fn who_was_stopped_past_the_lease_changes_nothing() {
        for backend in backends().await {
            let store = backend.open(&[]).await;
            let mut stopped = Turn::take(&store, "a").await.unwrap().unwrap();
            assert!(Turn::take(&store, "b").await.unwrap().is_none(), "{}", backend.name);
            run_out(&store).await;
            let mut other = Turn::take(&store, "b").await.unwrap().unwrap();
            other.marks.archived = 7;
            assert!(other.finish(store.begin().await.unwrap()).await.unwrap());

            let mut tx = store.begin().await.unwrap();
            let sql = "INSERT INTO durable_idempotency (caller, command, key, request, expire_time)
                VALUES ('', '', '', $1, 0)";
            tx.execute(sql, params![Vec::<u8>::new()]).await.unwrap();
            stopped.marks.archived = 3;
            assert!(!stopped.finish(tx).await.unwrap(), "{}", backend.name);
            assert_eq!(keys(&store).await, 0, "{}", backend.name);
            let again = Turn::take(&store, "b").await.unwrap().unwrap();
            assert_eq!(again.marks.archived, 7, "{}", backend.name);
        }
    }
}
