//! Streams that are set aside since one of their events cannot be applied. The
//! event and all later ones of its stream are copied, since the feed's own log
//! may be pruned meanwhile, and wait in order; other streams flow on.
//!
//! At first a stream is tried again by itself; after the last attempt it is
//! parked, and a person decides.

use std::collections::HashMap;

use crate::{Dialect, Error, Event, Tx, Value, params, time};

/// Tried again when its time comes.
pub(super) const RETRYING: &str = "retrying";
/// Waits for a person.
pub(super) const PARKED: &str = "parked";
/// A dead letter that a person let go on, until it is applied or fails again.
pub(super) const RELEASED: &str = "released";
/// A dead letter that was applied after all.
pub(super) const APPLIED: &str = "applied";
/// A dead letter that a person took out.
pub(super) const DISCARDED: &str = "discarded";

/// Columns of an event that was copied.
pub(super) const COPIED: &str =
    "position, stream, version, type, data, time, traceparent, actor, correlation, causation";

/// The streams that a consumer has set aside, and when each is tried again, in
/// microseconds since 1970; `None` for those that wait for a person.
pub(super) type Parked = HashMap<String, Option<i64>>;

/// Why the first waiting event of a stream was not applied.
pub(super) struct Refusal<'a> {
    pub(super) error: &'a str,
    /// When it is tried again; `None` when it is not.
    pub(super) due: Option<i64>,
}

/// A stream that was set aside.
pub(super) struct Aside {
    pub(super) status: String,
    pub(super) attempts: i64,
}

pub(super) async fn load(tx: &mut Tx, consumer: &str) -> Result<Parked, Error> {
    let sql = "SELECT stream, status, due FROM durable_parked_stream WHERE consumer = $1";
    let rows = tx.query(sql, params![consumer]).await?;
    let parked = rows.iter().map(|row| {
        let (status, due): (String, i64) = (row.get("status")?, row.get("due")?);
        Ok((row.get("stream")?, (status == RETRYING).then_some(due)))
    });
    parked.collect()
}

/// How many events wait in all streams of a consumer.
pub(super) async fn waiting(tx: &mut Tx, consumer: &str) -> Result<i64, Error> {
    let sql = "SELECT count(*) AS waiting FROM durable_parked_event WHERE consumer = $1";
    tx.query_one(sql, params![consumer]).await?.map_or(Ok(0), |row| row.get("waiting"))
}

/// The stream as it stands, if it is set aside; nobody else can change that until
/// the transaction ends.
pub(super) async fn lock(
    tx: &mut Tx,
    consumer: &str,
    stream: &str,
) -> Result<Option<Aside>, Error> {
    let locking = match tx.dialect() {
        Dialect::Sqlite => "",
        Dialect::Postgres => "FOR UPDATE",
    };
    let sql = format!(
        "SELECT status, attempts FROM durable_parked_stream
         WHERE consumer = $1 AND stream = $2 {locking}"
    );
    let row = tx.query_one(sql, params![consumer, stream]).await?;
    row.map(|row| Ok(Aside { status: row.get("status")?, attempts: row.get("attempts")? }))
        .transpose()
}

/// Sets a stream aside from this event on, which has failed once.
pub(super) async fn begin(
    tx: &mut Tx,
    consumer: &str,
    event: &Event,
    refusal: &Refusal<'_>,
) -> Result<(), Error> {
    let sql = "INSERT INTO durable_parked_stream
        (consumer, stream, status, attempts, first_time, last_time, due, error)
        VALUES ($1, $2, $3, 1, $4, $4, $5, $6)";
    let (status, due) = (status(refusal), refusal.due.unwrap_or(0));
    let row = params![consumer, &event.stream, status, time::now(), due, refusal.error];
    tx.execute(sql, row).await?;
    queue(tx, consumer, event).await?;
    if refusal.due.is_none() {
        bury(tx, consumer, &event.stream, event.position).await?;
    }
    Ok(())
}

/// The first waiting event of a stream has failed again.
pub(super) async fn refuse(
    tx: &mut Tx,
    consumer: &str,
    event: &Event,
    refusal: &Refusal<'_>,
) -> Result<(), Error> {
    let sql = "UPDATE durable_parked_stream
        SET status = $3, attempts = attempts + 1, last_time = $4, due = $5, error = $6,
            first_time = CASE WHEN attempts = 0 THEN $4 ELSE first_time END
        WHERE consumer = $1 AND stream = $2";
    let (status, due) = (status(refusal), refusal.due.unwrap_or(0));
    let row = params![consumer, &event.stream, status, time::now(), due, refusal.error];
    tx.execute(sql, row).await?;
    if refusal.due.is_none() {
        bury(tx, consumer, &event.stream, event.position).await?;
    }
    Ok(())
}

fn status(refusal: &Refusal<'_>) -> &'static str {
    if refusal.due.is_some() { RETRYING } else { PARKED }
}

/// Lets an event wait behind those of its stream that wait already.
pub(super) async fn queue(tx: &mut Tx, consumer: &str, event: &Event) -> Result<(), Error> {
    let sql = format!(
        "INSERT INTO durable_parked_event (consumer, {COPIED})
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"
    );
    let mut row = params![consumer];
    row.extend(copied(event));
    tx.execute(sql, row).await?;
    Ok(())
}

fn copied(event: &Event) -> Vec<Value> {
    params![
        event.position,
        &event.stream,
        event.version,
        &event.kind,
        event.data.clone(),
        event.time,
        &event.traceparent,
        &event.actor,
        &event.correlation,
        &event.causation,
    ]
}

/// The dead letter of an event whose stream is parked now. The attempts of an
/// earlier life, before somebody released it, count on.
pub(super) async fn bury(
    tx: &mut Tx,
    consumer: &str,
    stream: &str,
    position: i64,
) -> Result<(), Error> {
    let columns: Vec<String> = COPIED.split(", ").map(|column| format!("event.{column}")).collect();
    let sql = format!(
        "INSERT INTO durable_dead_letter
             (consumer, {COPIED}, status, attempts, first_time, last_time, error)
         SELECT event.consumer, {}, 'parked', stream.attempts, stream.first_time,
                stream.last_time, stream.error
         FROM durable_parked_event AS event JOIN durable_parked_stream AS stream
              ON stream.consumer = event.consumer AND stream.stream = event.stream
         WHERE event.consumer = $1 AND event.stream = $2 AND event.position = $3
         ON CONFLICT (consumer, position) DO UPDATE SET
             status = 'parked', last_time = excluded.last_time, error = excluded.error,
             attempts = durable_dead_letter.attempts + excluded.attempts",
        columns.join(", ")
    );
    tx.execute(sql, params![consumer, stream, position]).await?;
    Ok(())
}

/// The first waiting events of a stream, in order.
pub(super) async fn first(
    tx: &mut Tx,
    consumer: &str,
    stream: &str,
    most: i64,
) -> Result<Vec<Event>, Error> {
    let sql = format!(
        "SELECT {COPIED} FROM durable_parked_event
         WHERE consumer = $1 AND stream = $2 ORDER BY position LIMIT $3"
    );
    let rows = tx.query(sql, params![consumer, stream, most]).await?;
    rows.iter().map(Event::from_row).collect()
}

/// The waiting events of a stream up to a position were dealt with: whoever comes
/// next begins with no attempt. Returns whether the stream flows again.
pub(super) async fn settle(
    tx: &mut Tx,
    consumer: &str,
    stream: &str,
    until: i64,
    status: &str,
) -> Result<bool, Error> {
    let letters = "UPDATE durable_dead_letter SET status = $4
        WHERE consumer = $1 AND stream = $2 AND position <= $3
          AND status IN ('parked', 'released')";
    tx.execute(letters, params![consumer, stream, until, status]).await?;
    let done = "DELETE FROM durable_parked_event
        WHERE consumer = $1 AND stream = $2 AND position <= $3";
    tx.execute(done, params![consumer, stream, until]).await?;
    let flows = first(tx, consumer, stream, 1).await?.is_empty();
    let sql = if flows {
        "DELETE FROM durable_parked_stream WHERE consumer = $1 AND stream = $2"
    } else {
        "UPDATE durable_parked_stream SET status = 'retrying', attempts = 0, due = 0, error = ''
         WHERE consumer = $1 AND stream = $2"
    };
    tx.execute(sql, params![consumer, stream]).await?;
    Ok(flows)
}
