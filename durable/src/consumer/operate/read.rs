//! What there is to decide about, and what was decided.

use super::super::parking::COPIED;
use crate::{Error, Event, Row, Store, params};

/// Rows of one answer: as many as there can be parked streams of a consumer.
const MAX_ROWS: i64 = 1_000;

/// How a consumer stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Its name.
    pub consumer: String,
    /// Whether a person paused it.
    pub paused: bool,
    /// All up to here is applied or set aside.
    pub position: i64,
    /// Where the feed ended when it was last heard.
    pub end: i64,
    /// When the first event was appended that is not applied, in microseconds
    /// since 1970; zero when there is none.
    pub oldest: i64,
    /// Replicas that hold a part of it.
    pub replicas: i64,
    /// Streams that are tried again by themselves.
    pub retrying: i64,
    /// Streams that wait for a person.
    pub parked: i64,
    /// Events that wait in such streams.
    pub waiting: i64,
    /// Why it does not go on, or empty.
    pub error: String,
}

/// A stream that is set aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParkedStream {
    /// Name of the consumer.
    pub consumer: String,
    /// The stream.
    pub stream: String,
    /// Whether it waits for a person; else it is tried again by itself.
    pub parked: bool,
    /// Position of the event that cannot be applied.
    pub position: i64,
    /// Full name of that event's message.
    pub kind: String,
    /// How often it was tried since it waits, or was released.
    pub attempts: i64,
    /// When it was first tried, in microseconds since 1970.
    pub first_time: i64,
    /// When it was last tried.
    pub last_time: i64,
    /// When it is tried again; zero when it is not.
    pub due: i64,
    /// Why it failed, with all causes.
    pub error: String,
    /// Events of the stream that wait, this one included.
    pub waiting: i64,
}

/// An event whose last attempt failed, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// Name of the consumer.
    pub consumer: String,
    /// `parked`, `released`, `applied` or `discarded`.
    pub status: String,
    /// The event, with its payload and trace.
    pub event: Event,
    /// How often it was tried, over all releases.
    pub attempts: i64,
    /// When it was first tried, in microseconds since 1970.
    pub first_time: i64,
    /// When it was last tried.
    pub last_time: i64,
    /// Why it failed last, with all causes.
    pub error: String,
}

/// What a person decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Name of the consumer.
    pub consumer: String,
    /// `release`, `discard`, `pause`, `resume`, `replay` or `forget`.
    pub verb: String,
    /// Of what.
    pub target: String,
    /// Who.
    pub operator: String,
    /// Why.
    pub reason: String,
    /// When, in microseconds since 1970.
    pub time: i64,
}

/// All consumers of a store, by name.
///
/// # Errors
/// Those of the database.
pub async fn consumers(store: &Store) -> Result<Vec<Standing>, Error> {
    let of = "WHERE part.consumer = consumer.consumer";
    let sql = format!(
        "SELECT consumer.consumer, paused, feed_end, oldest, error,
           (SELECT coalesce(min(part.position), 0) FROM durable_partition AS part {of}) AS position,
           (SELECT count(DISTINCT owner) FROM durable_partition AS part {of} AND owner <> '')
             AS replicas,
           (SELECT count(*) FROM durable_parked_stream AS part {of} AND status = 'retrying')
             AS retrying,
           (SELECT count(*) FROM durable_parked_stream AS part {of} AND status = 'parked') AS parked,
           (SELECT count(*) FROM durable_parked_event AS part {of}) AS waiting
         FROM durable_consumer AS consumer ORDER BY consumer.consumer"
    );
    let rows = store.query(sql, params![]).await?;
    rows.iter().map(standing).collect()
}

fn standing(row: &Row) -> Result<Standing, Error> {
    let position = row.get("position")?;
    Ok(Standing {
        consumer: row.get("consumer")?,
        paused: row.get("paused")?,
        position,
        end: position.max(row.get("feed_end")?),
        oldest: row.get("oldest")?,
        replicas: row.get("replicas")?,
        retrying: row.get("retrying")?,
        parked: row.get("parked")?,
        waiting: row.get("waiting")?,
        error: row.get("error")?,
    })
}

/// Streams that are set aside, of one consumer or with an empty name of all; at
/// most 1,000, those that wait longest first.
///
/// # Errors
/// Those of the database.
pub async fn parked(store: &Store, consumer: &str) -> Result<Vec<ParkedStream>, Error> {
    let sql = "SELECT parked.consumer, parked.stream, status, attempts, first_time, last_time, due,
             error, event.position, event.type,
             (SELECT count(*) FROM durable_parked_event AS behind
              WHERE behind.consumer = parked.consumer AND behind.stream = parked.stream) AS waiting
         FROM durable_parked_stream AS parked
         JOIN durable_parked_event AS event ON event.consumer = parked.consumer
              AND event.position = (SELECT min(position) FROM durable_parked_event AS first
                  WHERE first.consumer = parked.consumer AND first.stream = parked.stream)
         WHERE $1 = '' OR parked.consumer = $1
         ORDER BY first_time, parked.consumer, parked.stream LIMIT $2";
    let rows = store.query(sql, params![consumer, MAX_ROWS]).await?;
    rows.iter().map(parked_stream).collect()
}

fn parked_stream(row: &Row) -> Result<ParkedStream, Error> {
    let parked = row.get::<String>("status")? == super::PARKED;
    Ok(ParkedStream {
        consumer: row.get("consumer")?,
        stream: row.get("stream")?,
        parked,
        position: row.get("position")?,
        kind: row.get("type")?,
        attempts: row.get("attempts")?,
        first_time: row.get("first_time")?,
        last_time: row.get("last_time")?,
        due: if parked { 0 } else { row.get("due")? },
        error: row.get("error")?,
        waiting: row.get("waiting")?,
    })
}

/// The dead letters of a consumer, or with an empty name of all; the latest 1,000.
///
/// # Errors
/// Those of the database.
pub async fn dead_letters(store: &Store, consumer: &str) -> Result<Vec<DeadLetter>, Error> {
    let sql = format!(
        "SELECT consumer, status, attempts, first_time, last_time, error, {COPIED}
         FROM durable_dead_letter WHERE $1 = '' OR consumer = $1
         ORDER BY last_time DESC, position DESC LIMIT $2"
    );
    let rows = store.query(sql, params![consumer, MAX_ROWS]).await?;
    let letter = |row: &Row| {
        Ok(DeadLetter {
            consumer: row.get("consumer")?,
            status: row.get("status")?,
            event: Event::from_row(row)?,
            attempts: row.get("attempts")?,
            first_time: row.get("first_time")?,
            last_time: row.get("last_time")?,
            error: row.get("error")?,
        })
    };
    rows.iter().map(letter).collect()
}

/// What was decided about a consumer, or with an empty name about all; the latest
/// 1,000.
///
/// # Errors
/// Those of the database.
pub async fn records(store: &Store, consumer: &str) -> Result<Vec<Record>, Error> {
    let sql = "SELECT consumer, verb, target, operator, reason, time
         FROM durable_operation_record WHERE $1 = '' OR consumer = $1
         ORDER BY time DESC, id LIMIT $2";
    let rows = store.query(sql, params![consumer, MAX_ROWS]).await?;
    let record = |row: &Row| {
        Ok(Record {
            consumer: row.get("consumer")?,
            verb: row.get("verb")?,
            target: row.get("target")?,
            operator: row.get("operator")?,
            reason: row.get("reason")?,
            time: row.get("time")?,
        })
    };
    rows.iter().map(record).collect()
}
