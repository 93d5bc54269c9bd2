//! Appending: only through a transaction, only at the version the writer
//! believes the stream to have.

use prost::{Message, Name};

mod postgres;
mod sqlite;

pub(crate) use postgres::{Appends, BATCHES, FUNCTION};

use super::MAX_EVENT_BYTES;
use crate::{Conflict, Dialect, Error, Store, Tx, params, store, time};

/// What the writer believes of a stream. Four different things: only `Exact`
/// and `NoStream` protect a decision that was made on what was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// It has no event.
    NoStream,
    /// Its last event has this version.
    Exact(i64),
    /// It has an event.
    Exists,
    /// Nothing is believed.
    Any,
}

/// An event that is to be appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEvent {
    kind: String,
    data: Vec<u8>,
}

/// Where a stream is after an append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Appended {
    /// Version of its last event.
    pub version: i64,
    /// Position of the last event that was appended, where it is known: always on
    /// SQLite; on PostgreSQL seldom not after [`Store::append`], never within a
    /// transaction. [`Store::position_of`] tells it soon after the commit.
    pub position: Option<i64>,
}

impl NewEvent {
    /// The event that a message of the contract tells of; its type is the
    /// message's full name.
    #[must_use]
    pub fn of<M: Message + Name>(message: &M) -> Self {
        Self { kind: M::full_name(), data: message.encode_to_vec() }
    }
}

impl Expected {
    /// The least and the greatest version that it allows.
    fn range(self) -> (i64, i64) {
        match self {
            Self::NoStream => (0, 0),
            Self::Exact(version) => (version, version),
            Self::Exists => (1, i64::MAX),
            Self::Any => (0, i64::MAX),
        }
    }

    fn holds(self, version: i64) -> bool {
        let (least, most) = self.range();
        (least..=most).contains(&version)
    }
}

/// What one append writes.
pub(crate) struct Appending {
    stream: String,
    expected: Expected,
    events: Vec<NewEvent>,
    stamp: Stamp,
}

/// What is said of every event of an append.
struct Stamp {
    time: i64,
    traceparent: String,
    actor: String,
    correlation: String,
    causation: String,
}

impl Appending {
    fn new(
        stream: &str,
        expected: Expected,
        events: Vec<NewEvent>,
        stamp: Stamp,
    ) -> Result<Self, Error> {
        events.iter().try_for_each(check_size)?;
        Ok(Self { stream: stream.to_owned(), expected, events, stamp })
    }

    fn conflict(&self, actual: i64) -> Conflict {
        Conflict::Version { stream: self.stream.clone(), actual }
    }
}

impl Stamp {
    /// Of the call that is being handled.
    fn of_call() -> Self {
        let traceparent = mesh::call::traceparent().unwrap_or_default();
        Self {
            time: time::now(),
            actor: mesh::call::caller().actor(),
            correlation: store::trace_id(&traceparent),
            causation: String::new(),
            traceparent,
        }
    }

    fn of(tx: &Tx) -> Self {
        let traceparent = mesh::call::traceparent().unwrap_or_default();
        let (correlation, causation) = tx.cause(&traceparent);
        Self { time: time::now(), actor: tx.actor(), correlation, causation, traceparent }
    }
}

impl Tx {
    /// Appends events to a stream, named as a resource: `projects/018f…`. Trace
    /// and actor are those of the call that is being handled. Readers see them
    /// after the commit. Takes one round trip on PostgreSQL, and nobody else can
    /// append to the stream until the transaction ends.
    ///
    /// # Errors
    /// [`Conflict::Version`] when the stream is not as expected; nothing was
    /// appended then and the transaction may go on.
    pub async fn append(
        &mut self,
        stream: &str,
        expected: Expected,
        events: Vec<NewEvent>,
    ) -> Result<Appended, Error> {
        let appending = Appending::new(stream, expected, events, Stamp::of(self))?;
        let appended = match self.dialect() {
            Dialect::Sqlite => {
                self.on_sqlite(|connection| sqlite::append(connection, &appending)).await?
            }
            Dialect::Postgres => {
                let outcome = match self.postgres() {
                    Some(connection) => postgres::append(connection, appending).await,
                    None => unreachable!("the dialect says that it is PostgreSQL"),
                };
                self.check(outcome)?
            }
        }?;
        if let Some(position) = appended.position {
            self.note_appended(store::Appended::Until(position));
        } else if self.dialect() == Dialect::Postgres {
            self.note_appended(store::Appended::Unnumbered);
        }
        crate::crash::point("log.appended");
        Ok(appended)
    }
}

impl Store {
    /// Appends events in a transaction of their own, as [`Tx::append`] does:
    /// the cheapest way to write. Those that run at the same time share a commit, and
    /// each has an answer of its own. Dropped before it answers, it has happened or not.
    ///
    /// # Errors
    /// [`Conflict::Version`] when the stream is not as expected;
    /// [`Error::Unavailable`] when it is unknown whether they were committed.
    pub async fn append(
        &self,
        stream: &str,
        expected: Expected,
        events: Vec<NewEvent>,
    ) -> Result<Appended, Error> {
        let appending = Appending::new(stream, expected, events, Stamp::of_call())?;
        if let Some(sqlite) = self.sqlite() {
            return sqlite.writer.run(move |connection| sqlite::unit(connection, &appending)).await;
        }
        match self.appends().append(appending).await? {
            postgres::Outcome::Appended(appended) => Ok(appended),
            postgres::Outcome::Alone(appending) => {
                let append = |pool| postgres::append(pool, appending);
                let appended = self.on_postgres(append).await??;
                self.signal().committed();
                Ok(appended)
            }
        }
    }

    /// Where in the log an event stands, when it can be read there. On
    /// PostgreSQL an event gets its position right after its commit, usually
    /// within milliseconds.
    ///
    /// # Errors
    /// As [`Store::query`].
    pub async fn position_of(&self, stream: &str, version: i64) -> Result<Option<i64>, Error> {
        let sql = "SELECT position FROM durable_event WHERE stream = $1 AND version = $2";
        let row = self.query_one(sql, params![stream, version]).await?;
        row.map_or(Ok(None), |row| row.get("position"))
    }
}

fn check_size(event: &NewEvent) -> Result<(), Error> {
    if event.data.len() > MAX_EVENT_BYTES {
        return Err(Error::EventTooLarge {
            kind: event.kind.clone(),
            bytes: event.data.len(),
            max: MAX_EVENT_BYTES,
        });
    }
    Ok(())
}
