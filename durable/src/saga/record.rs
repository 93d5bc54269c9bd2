//! Sagas as they are stored: one row for where each is, and a row for
//! everything that happened to it.

mod history;
mod list;
mod row;
mod schema;

use std::sync::Arc;

use super::{
    Direction, Refusal,
    machine::{Place, State},
};
use crate::{Error, Row};

pub(super) use history::{history, note};
pub(super) use list::{page, unfinished};
pub(crate) use list::{prune, waiting};
pub(super) use row::{insert, load, lock, update};
pub(crate) use schema::{FINISHED, TABLES};

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

            pub(in crate::saga) fn parse(word: &str) -> Result<Self, Error> {
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
    pub(in crate::saga) const COLUMNS: &str =
        "id, definition, version, status, step, direction, attempts, data,
        refusal, error, traceparent, actor, created, updated, skipped, wish, revision, pivoted";

    pub(in crate::saga) fn from_row(row: &Row) -> Result<Self, Error> {
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
