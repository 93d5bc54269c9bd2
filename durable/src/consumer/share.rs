//! Which partitions a replica owns, by lease and epoch.
//!
//! The lease only decides who works; that nobody works twice is decided by the
//! epochs, which every transaction of effects checks. A replica that was paused
//! past its lease finds another epoch and writes nothing.

use std::{collections::BTreeMap, time::Duration};

use super::partition::PARTITIONS;
use crate::{Dialect, Error, Store, Tx, params, time};

/// One replica of a consumer, for as long as it runs.
#[derive(Clone, Debug)]
pub(super) struct Replica {
    pub(super) store: Store,
    pub(super) consumer: String,
    /// Random: unlike a host's name it is never somebody else's.
    pub(super) owner: String,
    pub(super) lease: Duration,
}

/// The partitions of a replica, by number.
pub(super) type Share = BTreeMap<i64, Owned>;

/// A partition that a replica owns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Owned {
    pub(super) epoch: i64,
    /// All up to here is applied or set aside.
    pub(super) position: i64,
}

/// A partition as it is stored.
struct Partition {
    number: i64,
    owner: String,
    epoch: i64,
    position: i64,
}

impl Replica {
    pub(super) fn new(store: Store, consumer: String, lease: Duration) -> Self {
        let owner = format!("{:016x}", fastrand::u64(..));
        Self { store, consumer, owner, lease }
    }

    /// Makes the rows of a consumer that was never here.
    pub(super) async fn register(&self, tx: &mut Tx) -> Result<(), Error> {
        let consumer = "INSERT INTO durable_consumer
            (consumer, paused, feed_end, oldest, error, time)
            VALUES ($1, FALSE, 0, 0, '', $2) ON CONFLICT (consumer) DO NOTHING";
        tx.execute(consumer, params![&self.consumer, time::now()]).await?;
        let rows: Vec<String> =
            (0..PARTITIONS).map(|number| format!("($1, {number}, 0, '', 0, $2)")).collect();
        let partitions = format!(
            "INSERT INTO durable_partition (consumer, number, position, owner, epoch, time)
             VALUES {} ON CONFLICT (consumer, number) DO NOTHING",
            rows.join(", ")
        );
        tx.execute(partitions, params![&self.consumer, time::now()]).await?;
        Ok(())
    }

    /// Says that this replica lives, gives up what is more than its part, takes
    /// what nobody owns, and returns what it owns now: nothing while the consumer
    /// is paused.
    pub(super) async fn renew(&self, tx: &mut Tx) -> Result<Share, Error> {
        let now = clock(tx).await?;
        let lease = i64::try_from(self.lease.as_micros()).unwrap_or(i64::MAX / 2);
        let alive = "INSERT INTO durable_replica (consumer, owner, alive_until)
            VALUES ($1, $2, $3)
            ON CONFLICT (consumer, owner) DO UPDATE SET alive_until = excluded.alive_until";
        tx.execute(alive, params![&self.consumer, &self.owner, now + lease]).await?;
        let sql = "DELETE FROM durable_replica WHERE consumer = $1 AND alive_until <= $2";
        tx.execute(sql, params![&self.consumer, now]).await?;
        let living = self.living(tx).await?;
        let partitions = self.partitions(tx).await?;
        let most = if self.paused(tx).await? { 0 } else { self.part(&living) };

        let (mine, others): (Vec<_>, Vec<_>) =
            partitions.into_iter().partition(|partition| partition.owner == self.owner);
        let (kept, surplus) = mine.split_at(mine.len().min(most));
        for partition in surplus {
            self.give_up(tx, partition).await?;
        }
        let owned =
            |partition: &Partition| Owned { epoch: partition.epoch, position: partition.position };
        let mut share: Share =
            kept.iter().map(|partition| (partition.number, owned(partition))).collect();
        for partition in others.iter().filter(|partition| !living.contains(&partition.owner)) {
            if share.len() >= most {
                break;
            }
            if let Some(owned) = self.claim(tx, partition).await? {
                share.insert(partition.number, owned);
            }
        }
        Ok(share)
    }

    async fn living(&self, tx: &mut Tx) -> Result<Vec<String>, Error> {
        let sql = "SELECT owner FROM durable_replica WHERE consumer = $1 ORDER BY owner";
        let rows = tx.query(sql, params![&self.consumer]).await?;
        rows.iter().map(|row| row.get("owner")).collect()
    }

    async fn partitions(&self, tx: &mut Tx) -> Result<Vec<Partition>, Error> {
        let sql = "SELECT number, owner, epoch, position FROM durable_partition
            WHERE consumer = $1 ORDER BY number";
        let rows = tx.query(sql, params![&self.consumer]).await?;
        let partition = |row: &crate::Row| {
            Ok(Partition {
                number: row.get("number")?,
                owner: row.get("owner")?,
                epoch: row.get("epoch")?,
                position: row.get("position")?,
            })
        };
        rows.iter().map(partition).collect()
    }

    async fn paused(&self, tx: &mut Tx) -> Result<bool, Error> {
        let sql = "SELECT paused FROM durable_consumer WHERE consumer = $1";
        tx.query_one(sql, params![&self.consumer]).await?.map_or(Ok(false), |row| row.get("paused"))
    }

    /// An even part; what is left over goes to the first of the living.
    fn part(&self, living: &[String]) -> usize {
        let all = usize::try_from(PARTITIONS).expect("there are few partitions");
        let replicas = living.len().max(1);
        let rank = living.iter().position(|owner| *owner == self.owner).unwrap_or(replicas);
        all / replicas + usize::from(rank < all % replicas)
    }

    async fn give_up(&self, tx: &mut Tx, partition: &Partition) -> Result<(), Error> {
        let sql = "UPDATE durable_partition SET owner = ''
            WHERE consumer = $1 AND number = $2 AND owner = $3 AND epoch = $4";
        let row = params![&self.consumer, partition.number, &self.owner, partition.epoch];
        tx.execute(sql, row).await?;
        Ok(())
    }

    /// `None` when another one was faster.
    async fn claim(&self, tx: &mut Tx, partition: &Partition) -> Result<Option<Owned>, Error> {
        let sql = "UPDATE durable_partition SET owner = $3, epoch = epoch + 1
            WHERE consumer = $1 AND number = $2 AND owner = $4 AND epoch = $5
            RETURNING epoch, position";
        let (number, epoch) = (partition.number, partition.epoch);
        let row = params![&self.consumer, number, &self.owner, &partition.owner, epoch];
        let claimed = tx.query_one(sql, row).await?;
        claimed
            .map(|row| Ok(Owned { epoch: row.get("epoch")?, position: row.get("position")? }))
            .transpose()
    }

    /// The stored places of the partitions of a share, which nobody can change
    /// until the transaction ends; `None` when one of them is no longer owned.
    pub(super) async fn lock(
        &self,
        tx: &mut Tx,
        share: &Share,
    ) -> Result<Option<BTreeMap<i64, i64>>, Error> {
        let locking = match tx.dialect() {
            // The transaction holds SQLite's one write lock already.
            Dialect::Sqlite => "",
            Dialect::Postgres => "FOR UPDATE",
        };
        let sql = format!(
            "SELECT number, epoch, position FROM durable_partition
             WHERE consumer = $1 AND owner = $2 ORDER BY number {locking}"
        );
        let rows = tx.query(sql, params![&self.consumer, &self.owner]).await?;
        let mut places = BTreeMap::new();
        for row in rows {
            let (number, epoch): (i64, i64) = (row.get("number")?, row.get("epoch")?);
            if share.get(&number).is_some_and(|owned| owned.epoch == epoch) {
                places.insert(number, row.get("position")?);
            }
        }
        Ok((places.len() == share.len()).then_some(places))
    }

    /// Notes that everything up to a position is done in all that is owned.
    pub(super) async fn advance(&self, tx: &mut Tx, until: i64) -> Result<(), Error> {
        let sql = "UPDATE durable_partition SET position = $3, time = $4
            WHERE consumer = $1 AND owner = $2 AND position < $3";
        tx.execute(sql, params![&self.consumer, &self.owner, until, time::now()]).await?;
        Ok(())
    }

    /// Gives everything back, so that others need not wait for the lease to end.
    pub(super) async fn leave(&self) -> Result<(), Error> {
        let mut tx = self.store.begin().await?;
        let owner = params![&self.consumer, &self.owner];
        let partitions =
            "UPDATE durable_partition SET owner = '' WHERE consumer = $1 AND owner = $2";
        tx.execute(partitions, owner.clone()).await?;
        let replica = "DELETE FROM durable_replica WHERE consumer = $1 AND owner = $2";
        tx.execute(replica, owner).await?;
        tx.commit().await
    }
}

/// The clock that all replicas share, in microseconds since 1970: the server's,
/// or for an SQLite file that of its machine.
pub(crate) async fn clock(tx: &mut Tx) -> Result<i64, Error> {
    if tx.dialect() == Dialect::Sqlite {
        return Ok(time::now());
    }
    let sql = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now";
    tx.query_one(sql, params![]).await?.map_or(Ok(0), |row| row.get("now"))
}
