//! Appending: only through a transaction, only at the version the writer
//! believes the stream to have.

use prost::{Message, Name};

use super::MAX_EVENT_BYTES;
use crate::{Conflict, Dialect, Error, Tx, params, store, time};

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
    fn holds(self, version: i64) -> bool {
        match self {
            Self::NoStream => version == 0,
            Self::Exact(expected) => version == expected,
            Self::Exists => version > 0,
            Self::Any => true,
        }
    }
}

impl Tx {
    /// Appends events to a stream, named as a resource: `projects/018f…`. Trace
    /// and actor are those of the call that is being handled. Readers see them
    /// after the commit.
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
        for event in &events {
            check_size(event)?;
        }
        let mut version = self.lock_stream(stream).await?;
        if !expected.holds(version) {
            return Err(Conflict::Version { stream: stream.to_owned(), actual: version }.into());
        }
        let traceparent = mesh::call::traceparent().unwrap_or_default();
        let (actor, (correlation, causation)) = (self.actor(), self.cause(&traceparent));
        for NewEvent { kind, data } in events {
            version += 1;
            let mut row = params![stream, version, kind, data, time::now(), &traceparent, &actor];
            row.extend(params![&correlation, &causation]);
            self.insert(row).await?;
        }
        Ok(Appended { version })
    }

    /// The version of a stream, which nobody else can append to until this
    /// transaction ends. The unique index alone would be safe, but it would make
    /// `Any` fail and a failed insert ends the whole transaction on PostgreSQL.
    async fn lock_stream(&mut self, stream: &str) -> Result<i64, Error> {
        if self.dialect() == Dialect::Postgres {
            let sql = "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))";
            self.query(sql, params![stream]).await?;
        }
        let sql =
            "SELECT coalesce(max(version), 0) AS version FROM durable_event WHERE stream = $1";
        self.query_one(sql, params![stream]).await?.map_or(Ok(0), |row| row.get("version"))
    }

    async fn insert(&mut self, row: Vec<crate::Value>) -> Result<(), Error> {
        const INSERT: &str = "INSERT INTO durable_event
            (stream, version, type, data, time, traceparent, actor, correlation, causation)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
        let appended = match self.dialect() {
            Dialect::Postgres => {
                self.execute(INSERT, row).await?;
                store::Appended::Unnumbered
            }
            Dialect::Sqlite => {
                let sql = format!("{INSERT} RETURNING position");
                let row = self.query_one(sql, row).await?;
                store::Appended::Until(row.map_or(Ok(0), |row| row.get("position"))?)
            }
        };
        self.note_appended(appended);
        Ok(())
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
