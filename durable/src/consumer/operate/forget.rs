//! Consumers that are gone for good: who they were, and how they are forgotten, on
//! both sides of a feed. One that is not holds up the log that it followed.

use std::time::Duration;

use super::{Decision, Refusal, record};
use crate::{
    Error, Row, Store, Tx,
    consumer::{parking, share},
    params, time,
};

/// Consumers report at least every minute. Three reports that did not come may be a
/// restart; five minutes are not.
const SILENCE: Duration = Duration::from_secs(5 * 60);

/// Everything that a consumer has in its own database.
const TABLES: [&str; 7] = [
    "durable_parked_event",
    "durable_parked_stream",
    "durable_dead_letter",
    "durable_partition",
    "durable_replica",
    "durable_checkpoint",
    "durable_consumer",
];

/// A consumer of another service that follows this store's feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscriber {
    /// The service and the consumer: `applicants/projects`.
    pub name: String,
    /// It needs nothing up to here.
    pub position: i64,
    /// When it said so last, in microseconds since 1970.
    pub time: i64,
    /// Whether that was within five minutes.
    pub alive: bool,
}

/// Who follows this store's feed, by name: what they have not had stays in the log.
///
/// # Errors
/// Those of the database.
pub async fn subscribers(store: &Store) -> Result<Vec<Subscriber>, Error> {
    let sql = "SELECT name, position, time FROM durable_subscriber ORDER BY name";
    let rows = store.query(sql, params![]).await?;
    rows.iter().map(subscriber).collect()
}

fn subscriber(row: &Row) -> Result<Subscriber, Error> {
    let time: i64 = row.get("time")?;
    let silence = i64::try_from(SILENCE.as_micros()).unwrap_or(i64::MAX);
    let alive = time::now().saturating_sub(time) < silence;
    Ok(Subscriber { name: row.get("name")?, position: row.get("position")?, time, alive })
}

/// Forgets who is gone for good: a subscriber of this store's feed, whose place does
/// not hold up the log any longer, or a consumer that ran here, with its place and
/// its dead letters. Comes either back, it begins anew. Forced also when it lives
/// (a consumer then applies everything again) or events wait in its parked streams.
///
/// # Errors
/// [`Refusal::UnknownConsumer`], [`Refusal::Alive`] and [`Refusal::Waiting`].
pub async fn forget(
    store: &Store,
    name: &str,
    force: bool,
    by: Decision<'_>,
) -> Result<(), Refusal> {
    let mut tx = store.begin().await?;
    let followed = forget_subscriber(&mut tx, name, force).await?;
    let ran = forget_consumer(&mut tx, name, force).await?;
    let target = match (followed, ran) {
        (None, None) => return Err(Refusal::UnknownConsumer(name.to_owned())),
        (followed, ran) => [followed, ran].into_iter().flatten().collect::<Vec<_>>().join(", "),
    };
    record(&mut tx, name, "forget", &target, by).await?;
    Ok(tx.commit().await?)
}

/// What it was; `None` when there is none.
async fn forget_subscriber(
    tx: &mut Tx,
    name: &str,
    force: bool,
) -> Result<Option<String>, Refusal> {
    let sql = "DELETE FROM durable_subscriber WHERE name = $1 RETURNING name, position, time";
    let Some(row) = tx.query_one(sql, params![name]).await? else { return Ok(None) };
    let subscriber = subscriber(&row)?;
    if subscriber.alive && !force {
        return Err(Refusal::Alive(name.to_owned()));
    }
    Ok(Some(format!("a subscriber that had all up to {}", subscriber.position)))
}

/// What it was; `None` when there is none.
async fn forget_consumer(tx: &mut Tx, name: &str, force: bool) -> Result<Option<String>, Refusal> {
    let sql = "SELECT min(position) AS position FROM durable_partition WHERE consumer = $1";
    let row = tx.query_one(sql, params![name]).await?;
    let at: Option<i64> = row.map_or(Ok(None), |row| row.get("position"))?;
    let Some(at) = at else { return Ok(None) };
    let sql = "SELECT 1 AS alive FROM durable_replica WHERE consumer = $1 AND alive_until > $2";
    let now = share::clock(tx).await?;
    if !force && tx.query_one(sql, params![name, now]).await?.is_some() {
        return Err(Refusal::Alive(name.to_owned()));
    }
    let waiting = parking::waiting(tx, name).await?;
    if !force && waiting > 0 {
        return Err(Refusal::Waiting { consumer: name.to_owned(), waiting });
    }
    for table in TABLES {
        tx.execute(format!("DELETE FROM {table} WHERE consumer = $1"), params![name]).await?;
    }
    Ok(Some(format!("a consumer at {at} with {waiting} waiting events")))
}
