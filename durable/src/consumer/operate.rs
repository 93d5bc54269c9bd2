//! What a person does about consumers: looks, pauses, replays, and decides over
//! parked streams. Every decision is recorded with who made it and why, in the
//! transaction that carries it out.

mod forget;
mod read;

use tonic::{Code, Status};

use super::parking::{self, Aside, DISCARDED, PARKED, RELEASED, RETRYING};
use crate::{Error, Store, Tx, params, time};

pub use forget::{Subscriber, forget, subscribers};
pub use read::{
    DeadLetter, ParkedStream, Record, Standing, consumers, dead_letters, parked, records,
};

/// Who decides, and why.
#[derive(Clone, Copy, Debug)]
pub struct Decision<'a> {
    /// A name that others know the person by.
    pub operator: &'a str,
    /// For who reads the record later.
    pub reason: &'a str,
}

/// Why a decision was not carried out. Nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// There is no such consumer in this store.
    #[error("there is no consumer {0}")]
    UnknownConsumer(String),
    /// The stream flows, or was never heard of.
    #[error("no event of {0} waits")]
    NotParked(String),
    /// Another event waits first: somebody was faster.
    #[error("the first event of {stream} that waits is at position {first}")]
    NotFirst {
        /// The stream.
        stream: String,
        /// The position of the event that waits first.
        first: i64,
    },
    /// A replay may only go back, unless it is meant to skip events.
    #[error("position {to} is beyond {at}, to which events are applied; they would be skipped")]
    WouldSkip {
        /// Where the consumer is.
        at: i64,
        /// Where it was to begin.
        to: i64,
    },
    /// Somebody still goes by this name: what is forgotten would be applied again.
    #[error("{0} is alive; stop it first, or force it")]
    Alive(String),
    /// Events wait in its parked streams, and would be gone.
    #[error("{waiting} events wait in parked streams of {consumer}; settle them, or force it")]
    Waiting {
        /// The consumer.
        consumer: String,
        /// How many.
        waiting: i64,
    },
    /// The database.
    #[error(transparent)]
    Store(#[from] Error),
}

/// Lets a parked stream go on: its events are tried again, in order, with all
/// their attempts. One that is tried again by itself is tried at once.
///
/// # Errors
/// [`Refusal::NotParked`].
pub async fn release(
    store: &Store,
    consumer: &str,
    stream: &str,
    by: Decision<'_>,
) -> Result<(), Refusal> {
    let mut tx = store.begin().await?;
    locked(&mut tx, consumer, stream).await?;
    try_again(&mut tx, consumer, stream).await?;
    record(&mut tx, consumer, "release", stream, by).await?;
    Ok(tx.commit().await?)
}

async fn try_again(tx: &mut Tx, consumer: &str, stream: &str) -> Result<(), Error> {
    let sql = "UPDATE durable_parked_stream SET status = 'retrying', attempts = 0, due = 0
        WHERE consumer = $1 AND stream = $2";
    tx.execute(sql, params![consumer, stream]).await?;
    let letters = "UPDATE durable_dead_letter SET status = $3
        WHERE consumer = $1 AND stream = $2 AND status = $4";
    tx.execute(letters, params![consumer, stream, RELEASED, PARKED]).await?;
    Ok(())
}

/// Takes the event out that a stream waits for; those behind it are tried, in
/// order. Its dead letter stays. `position` says which event is meant.
///
/// # Errors
/// [`Refusal::NotParked`], and [`Refusal::NotFirst`] when another event waits
/// first.
pub async fn discard(
    store: &Store,
    consumer: &str,
    stream: &str,
    position: i64,
    by: Decision<'_>,
) -> Result<(), Refusal> {
    let mut tx = store.begin().await?;
    let aside = locked(&mut tx, consumer, stream).await?;
    let waiting = parking::first(&mut tx, consumer, stream, 1).await?;
    let first = waiting.first().map_or(0, |event| event.position);
    if first != position {
        return Err(Refusal::NotFirst { stream: stream.to_owned(), first });
    }
    // One that was still tried has no dead letter yet, and must not vanish.
    if aside.status == RETRYING {
        parking::bury(&mut tx, consumer, stream, position).await?;
    }
    parking::settle(&mut tx, consumer, stream, position, DISCARDED).await?;
    record(&mut tx, consumer, "discard", &format!("{stream} at {position}"), by).await?;
    Ok(tx.commit().await?)
}

async fn locked(tx: &mut Tx, consumer: &str, stream: &str) -> Result<Aside, Refusal> {
    let found = parking::lock(tx, consumer, stream).await?;
    found.ok_or_else(|| Refusal::NotParked(stream.to_owned()))
}

/// Stops a consumer in all replicas: once this returned, no effect commits until
/// it is resumed. Pausing twice is pausing once.
///
/// # Errors
/// [`Refusal::UnknownConsumer`].
pub async fn pause(store: &Store, consumer: &str, by: Decision<'_>) -> Result<(), Refusal> {
    set_paused(store, consumer, true, by).await
}

/// Lets a paused consumer go on where it was.
///
/// # Errors
/// [`Refusal::UnknownConsumer`].
pub async fn resume(store: &Store, consumer: &str, by: Decision<'_>) -> Result<(), Refusal> {
    set_paused(store, consumer, false, by).await
}

async fn set_paused(
    store: &Store,
    consumer: &str,
    paused: bool,
    by: Decision<'_>,
) -> Result<(), Refusal> {
    let mut tx = store.begin().await?;
    let sql = "UPDATE durable_consumer SET paused = $2 WHERE consumer = $1";
    if tx.execute(sql, params![consumer, paused]).await? == 0 {
        return Err(Refusal::UnknownConsumer(consumer.to_owned()));
    }
    if paused {
        fence(&mut tx, consumer).await?;
    }
    record(&mut tx, consumer, if paused { "pause" } else { "resume" }, "", by).await?;
    Ok(tx.commit().await?)
}

/// Takes all partitions from their owners: what they began does not commit.
async fn fence(tx: &mut Tx, consumer: &str) -> Result<(), Error> {
    let sql = "UPDATE durable_partition SET owner = '', epoch = epoch + 1 WHERE consumer = $1";
    tx.execute(sql, params![consumer]).await.map(drop)
}

/// Sets a consumer back: events after `position` take effect again, those that
/// wait in parked streams included. Exactly once becomes once more: effects that
/// must not happen twice are to be undone or recognised by the handler first.
///
/// To a position ahead of where it is, only when `skip` says that the events
/// between are not wanted: for a consumer that is behind what was removed.
///
/// # Errors
/// [`Refusal::UnknownConsumer`] and [`Refusal::WouldSkip`].
pub async fn replay(
    store: &Store,
    consumer: &str,
    position: i64,
    skip: bool,
    by: Decision<'_>,
) -> Result<(), Refusal> {
    let mut tx = store.begin().await?;
    fence(&mut tx, consumer).await?;
    let sql = "SELECT min(position) AS position FROM durable_partition WHERE consumer = $1";
    let row = tx.query_one(sql, params![consumer]).await?;
    let at: Option<i64> = row.map_or(Ok(None), |row| row.get("position"))?;
    let at = at.ok_or_else(|| Refusal::UnknownConsumer(consumer.to_owned()))?;
    if position > at && !skip {
        return Err(Refusal::WouldSkip { at, to: position });
    }
    let sql = "UPDATE durable_partition SET position = $2, time = $3 WHERE consumer = $1";
    tx.execute(sql, params![consumer, position, time::now()]).await?;
    forget_waiting(&mut tx, consumer, position).await?;
    let target = format!("from {position}, was at {at}");
    record(&mut tx, consumer, "replay", &target, by).await?;
    Ok(tx.commit().await?)
}

/// What waits after a position comes again from the feed.
async fn forget_waiting(tx: &mut Tx, consumer: &str, position: i64) -> Result<(), Error> {
    let events = "DELETE FROM durable_parked_event WHERE consumer = $1 AND position > $2";
    tx.execute(events, params![consumer, position]).await?;
    let letters = "UPDATE durable_dead_letter SET status = $3
        WHERE consumer = $1 AND position > $2 AND status = $4";
    tx.execute(letters, params![consumer, position, RELEASED, PARKED]).await?;
    let streams = "DELETE FROM durable_parked_stream WHERE consumer = $1 AND NOT EXISTS (
        SELECT 1 FROM durable_parked_event AS event
        WHERE event.consumer = $1 AND event.stream = durable_parked_stream.stream)";
    tx.execute(streams, params![consumer]).await.map(drop)
}

async fn record(
    tx: &mut Tx,
    consumer: &str,
    verb: &str,
    target: &str,
    by: Decision<'_>,
) -> Result<(), Error> {
    let id = format!("{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..));
    let sql = "INSERT INTO durable_operation_record
        (id, consumer, verb, target, operator, reason, time)
        VALUES ($1, $2, $3, $4, $5, $6, $7)";
    let row = params![id, consumer, verb, target, by.operator, by.reason, time::now()];
    tx.execute(sql, row).await?;
    tracing::warn!(consumer, verb, target, by = by.operator, reason = by.reason, "decided");
    Ok(())
}

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
        let message = refusal.to_string();
        let (code, reason) = match refusal {
            Refusal::UnknownConsumer(_) => (Code::NotFound, "CONSUMER_NOT_FOUND"),
            Refusal::NotParked(_) => (Code::NotFound, "STREAM_NOT_PARKED"),
            Refusal::NotFirst { .. } => (Code::FailedPrecondition, "EVENT_NOT_FIRST"),
            Refusal::Alive(_) => (Code::FailedPrecondition, "CONSUMER_ALIVE"),
            Refusal::Waiting { .. } => (Code::FailedPrecondition, "EVENTS_WAITING"),
            Refusal::WouldSkip { .. } => (Code::FailedPrecondition, "EVENTS_WOULD_BE_SKIPPED"),
            Refusal::Store(error) => return error.into(),
        };
        mesh::status::refuse(code, reason, message)
    }
}
