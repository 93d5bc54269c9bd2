//! Sagas as they are stored: one row for where each is, and a row for
//! everything that happened to it.

use std::sync::Arc;

use super::{
    Direction, Refusal,
    machine::{Place, State},
};
use crate::{Dialect, Error, Row, Store, Tx, Value, params, store::Sql, time};

/// What of a failure's text is kept: a participant's message must not fill the
/// table.
const MAX_ERROR_BYTES: usize = 2 * 1024;

/// How a saga stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// It goes forward.
    Running,
    /// It goes back.
    Compensating,
    /// It waits for a human.
    NeedsAttention,
    /// Every step was done.
    Completed,
    /// Every step that may have been done was undone.
    Compensated,
    /// It ended, but a human decided to leave something out on the way. What,
    /// and why, stands in its history.
    Resolved,
}

/// What happened to a saga.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Happening {
    /// It began.
    Started,
    /// A step succeeded, in the direction of the entry.
    Done,
    /// A step was refused.
    Refused,
    /// The outcome of an attempt is unknown.
    Unknown,
    /// The step has no compensation, for the reason in the entry.
    Waived,
    /// It stopped, and waits for a human.
    NeedsAttention,
    /// A human had the step tried again.
    Retried,
    /// A human had the step left out.
    Skipped,
    /// A human asked to skip or cancel.
    Asked,
    /// It turned back because a human asked for it.
    Cancelled,
    /// What a human asked for could not be done any more.
    TooLate,
    /// It ended.
    Ended,
}

/// A saga, as tools see it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Record {
    /// Its id.
    pub id: Arc<str>,
    /// Name of its definition.
    pub definition: String,
    /// Version of its definition.
    pub version: u32,
    /// How it stands.
    pub status: Status,
    /// The step that it is at.
    pub step: String,
    /// The direction in which it goes.
    pub direction: Direction,
    /// Attempts at the step that have failed.
    pub attempts: u32,
    /// Its data, an encoded message of the type that its definition knows.
    pub data: Vec<u8>,
    /// Why it turned back.
    pub refusal: Option<Refusal>,
    /// What went wrong last; empty when nothing did.
    pub error: String,
    /// W3C `traceparent` of the call that started it, or empty.
    pub traceparent: String,
    /// Who started it, or empty.
    pub actor: String,
    /// When it was started, in microseconds since 1970.
    pub created: i64,
    /// When it was changed last, in microseconds since 1970.
    pub updated: i64,
    pub(super) skipped: bool,
    pub(super) wish: Option<Wish>,
    /// Entries of its history: changes with every change of the row.
    pub(super) revision: i64,
    /// Past its pivot, as of the last change.
    pub(super) pivoted: bool,
}

/// What a human asked for, until the engine does it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    Cancel,
    Skip,
}

/// An entry of a saga's history.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// Place in the history; starts at 1 and has no gaps.
    pub number: i64,
    /// The step that it is about; empty for the beginning.
    pub step: String,
    /// Which way the step was gone.
    pub direction: Direction,
    /// What happened.
    pub happening: Happening,
    /// The failure, the waiver, or the human's reason; may be empty.
    pub detail: String,
    /// When, in microseconds since 1970.
    pub time: i64,
}

/// What is written into the history.
#[derive(Clone, Debug)]
pub(super) struct Note {
    pub(super) step: String,
    pub(super) direction: Direction,
    pub(super) happening: Happening,
    pub(super) detail: String,
}

macro_rules! words {
    ($type:ty: $($variant:ident => $word:literal),* $(,)?) => {
        impl $type {
            /// Its name in the database.
            pub(crate) fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }

            fn parse(word: &str) -> Result<Self, Error> {
                match word {
                    $($word => Ok(Self::$variant),)*
                    _ => Err(unknown(stringify!($type), word)),
                }
            }
        }
    };
}

fn unknown(what: &str, word: &str) -> Error {
    Error::Database(sqlx::Error::Decode(format!("`{word}` is no {what} of a saga").into()))
}

words! { Direction: Do => "do", Undo => "undo" }
words! { Wish: Cancel => "cancel", Skip => "skip" }
words! { Status:
    Running => "running",
    Compensating => "compensating",
    NeedsAttention => "needs_attention",
    Completed => "completed",
    Compensated => "compensated",
    Resolved => "resolved",
}
words! { Happening:
    Started => "started",
    Done => "done",
    Refused => "refused",
    Unknown => "unknown",
    Waived => "waived",
    NeedsAttention => "needs_attention",
    Retried => "retried",
    Skipped => "skipped",
    Asked => "asked",
    Cancelled => "cancelled",
    TooLate => "too_late",
    Ended => "ended",
}

impl Status {
    /// Whether it is over.
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Compensated | Self::Resolved)
    }
}

impl Record {
    const COLUMNS: &str = "id, definition, version, status, step, direction, attempts, data,
        refusal, error, traceparent, actor, created, updated, skipped, wish, revision, pivoted";

    fn from_row(row: &Row) -> Result<Self, Error> {
        let refusal: Option<String> = row.get("refusal")?;
        let wish: Option<String> = row.get("wish")?;
        Ok(Self {
            id: row.get::<String>("id")?.into(),
            definition: row.get("definition")?,
            version: narrow(row, "version")?,
            status: Status::parse(&row.get::<String>("status")?)?,
            step: row.get("step")?,
            direction: Direction::parse(&row.get::<String>("direction")?)?,
            attempts: narrow(row, "attempts")?,
            data: row.get("data")?,
            refusal: refusal.as_deref().map(Refusal::parse),
            error: row.get("error")?,
            traceparent: row.get("traceparent")?,
            actor: row.get("actor")?,
            created: row.get("created")?,
            updated: row.get("updated")?,
            skipped: row.get("skipped")?,
            wish: wish.as_deref().map(Wish::parse).transpose()?,
            revision: row.get("revision")?,
            pivoted: row.get("pivoted")?,
        })
    }

    /// Where it is, in the terms of the machine. `step` is the index of its step.
    pub(super) fn state(&self, step: usize) -> State {
        let place = match (self.status, self.direction) {
            (Status::NeedsAttention, direction) => Place::Attention { step, direction },
            (Status::Running | Status::Compensating, Direction::Do) => {
                Place::Doing { step, attempts: self.attempts, doubtful: false }
            }
            (Status::Running | Status::Compensating, Direction::Undo) => {
                Place::Undoing { step, attempts: self.attempts }
            }
            (_, Direction::Do) => Place::Forward,
            (_, Direction::Undo) => Place::Back,
        };
        State { place, skipped: self.skipped }
    }
}

fn narrow(row: &Row, column: &str) -> Result<u32, Error> {
    Ok(u32::try_from(row.get::<i64>(column)?).unwrap_or(u32::MAX))
}

/// What is stored of a text that came from elsewhere.
pub(super) fn shortened(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_ERROR_BYTES)]
}

/// The saga with this id.
pub(super) async fn load(store: &Store, id: &str) -> Result<Option<Record>, Error> {
    let sql = format!("SELECT {} FROM durable_saga WHERE id = $1", Record::COLUMNS);
    store.query_one(sql, params![id]).await?.as_ref().map(Record::from_row).transpose()
}

/// The saga with this id, which nobody can change until the transaction ends.
pub(super) async fn lock(tx: &mut Tx, id: &str) -> Result<Option<Record>, Error> {
    let lock = match tx.dialect() {
        // The transaction holds SQLite's one write lock already.
        Dialect::Sqlite => "",
        Dialect::Postgres => "FOR UPDATE",
    };
    let sql = format!("SELECT {} FROM durable_saga WHERE id = $1 {lock}", Record::COLUMNS);
    tx.query_one(sql, params![id]).await?.as_ref().map(Record::from_row).transpose()
}

/// `false` when a saga with this id is there.
pub(super) async fn insert(tx: &mut Tx, saga: &Record) -> Result<bool, Error> {
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
pub(super) async fn update(tx: &mut Tx, saga: &Record, seen: i64) -> Result<bool, Error> {
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

/// Adds to the history of a saga, after so many entries. One statement for all.
pub(super) async fn note(tx: &mut Tx, saga: &str, after: i64, notes: &[Note]) -> Result<(), Error> {
    let (mut values, mut row) = (String::new(), params![saga, time::now()]);
    for (number, note) in (after + 1..).zip(notes) {
        let at = row.len();
        let comma = if at == 2 { "" } else { ", " };
        let places = format!("${}, ${}, ${}, ${}, ${}", at + 1, at + 2, at + 3, at + 4, at + 5);
        values.push_str(&format!("{comma}($1, {places}, $2)"));
        let Note { step, direction, happening, detail } = note;
        let detail = shortened(detail);
        row.extend(params![number, step, direction.word(), happening.word(), detail]);
    }
    let sql = format!(
        "INSERT INTO durable_saga_history
            (saga, number, step, direction, happening, detail, time) VALUES {values}"
    );
    tx.execute(sql, row).await?;
    Ok(())
}

/// What happened to a saga, the first first.
pub(super) async fn history(store: &Store, saga: &str) -> Result<Vec<Entry>, Error> {
    let sql = "SELECT number, step, direction, happening, detail, time
        FROM durable_saga_history WHERE saga = $1 ORDER BY number";
    let entry = |row: &Row| {
        Ok(Entry {
            number: row.get("number")?,
            step: row.get("step")?,
            direction: Direction::parse(&row.get::<String>("direction")?)?,
            happening: Happening::parse(&row.get::<String>("happening")?)?,
            detail: row.get("detail")?,
            time: row.get("time")?,
        })
    };
    store.query(sql, params![saga]).await?.iter().map(entry).collect()
}

/// Sagas after an id, in the order of ids, of one status or of any.
pub(super) async fn page(
    store: &Store,
    after: &str,
    status: Option<Status>,
    limit: u32,
) -> Result<Vec<Record>, Error> {
    let (only, mut row) = ("AND status = $3", params![after, limit]);
    row.extend(status.map(|status| Value::from(status.word())));
    let only = if status.is_some() { only } else { "" };
    let sql = format!(
        "SELECT {} FROM durable_saga WHERE id > $1 {only} ORDER BY id LIMIT $2",
        Record::COLUMNS
    );
    store.query(sql, row).await?.iter().map(Record::from_row).collect()
}

/// How many sagas there are of each status that is not over, and since when the
/// oldest of them.
pub(super) async fn unfinished(store: &Store) -> Result<Vec<(Status, i64, i64)>, Error> {
    let sql = format!(
        "SELECT status, count(*) AS sagas, min(created) AS oldest FROM durable_saga
         WHERE status IN ({UNFINISHED}) GROUP BY status"
    );
    let read = |row: &Row| {
        let status = Status::parse(&row.get::<String>("status")?)?;
        Ok((status, row.get("sagas")?, row.get("oldest")?))
    };
    store.query(sql, params![]).await?.iter().map(read).collect()
}

const UNFINISHED: &str = "'running', 'compensating', 'needs_attention'";

/// The index holds only what is not over: those that are stay for ever.
pub(crate) const TABLES: Sql = Sql::Both(
    "CREATE TABLE durable_saga (
        id {text} PRIMARY KEY,
        definition {text} NOT NULL,
        version {bigint} NOT NULL,
        status {text} NOT NULL,
        step {text} NOT NULL,
        direction {text} NOT NULL,
        attempts {bigint} NOT NULL,
        data {blob} NOT NULL,
        refusal {text},
        error {text} NOT NULL,
        traceparent {text} NOT NULL,
        actor {text} NOT NULL,
        created {bigint} NOT NULL,
        updated {bigint} NOT NULL,
        skipped {bool} NOT NULL,
        wish {text},
        revision {bigint} NOT NULL,
        pivoted {bool} NOT NULL
    );
    CREATE INDEX durable_saga_unfinished ON durable_saga (status, created)
        WHERE status IN ('running', 'compensating', 'needs_attention');
    CREATE TABLE durable_saga_history (
        saga {text} NOT NULL,
        number {bigint} NOT NULL,
        step {text} NOT NULL,
        direction {text} NOT NULL,
        happening {text} NOT NULL,
        detail {text} NOT NULL,
        time {bigint} NOT NULL,
        PRIMARY KEY (saga, number)
    );",
);
