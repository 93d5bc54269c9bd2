//! A fact that was committed.

use bytes::Bytes;
use mesh::proto;
use prost::{Message, Name};

use crate::{Error, Row, store::Sql, time};

/// An event of a log, as its readers see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Place in the log of its service; starts at 1 and has no gaps.
    pub position: i64,
    /// What it happened to, as a resource name.
    pub stream: String,
    /// Place within its stream; starts at 1 and has no gaps.
    pub version: i64,
    /// Full name of the message in `data`.
    pub kind: String,
    /// The message, encoded.
    pub data: Bytes,
    /// When it was appended, in microseconds since 1970.
    pub time: i64,
    /// W3C `traceparent` of the call that caused it, or empty.
    pub traceparent: String,
    /// Who caused it: a resource name, an application's name, or empty.
    pub actor: String,
    /// What it belongs to across services, the same for all that one thing set
    /// off: the id of a saga, or else the id of the trace it began in. May be
    /// empty.
    pub correlation: String,
    /// The event that it was an effect of, by its [reference](Event::reference),
    /// or empty when a call caused it.
    pub causation: String,
}

/// Adds to what the log told of an event at first.
pub(crate) const METADATA: Sql = Sql::Both(
    "ALTER TABLE durable_event ADD COLUMN correlation {text} NOT NULL DEFAULT '';
    ALTER TABLE durable_event ADD COLUMN causation {text} NOT NULL DEFAULT '';",
);

impl Event {
    /// Whether it is an `M`.
    #[must_use]
    pub fn is<M: Name>(&self) -> bool {
        self.kind == M::full_name()
    }

    /// The message when it is an `M`, `None` when it is of another type.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when it says to be one and is not.
    pub fn decode<M: Message + Name + Default>(&self) -> Result<Option<M>, Error> {
        if !self.is::<M>() {
            return Ok(None);
        }
        let corrupt = |source| Error::Corrupt { what: "event", source };
        M::decode(self.data.clone()).map(Some).map_err(corrupt)
    }

    /// What names it across all services: `projects/018f…@3`, its stream and its
    /// place in it.
    #[must_use]
    pub fn reference(&self) -> String {
        reference(&self.stream, self.version)
    }

    /// Whether it is of one of these types, by their full names, and of a stream whose
    /// name begins with one of these prefixes; nothing named means all.
    #[must_use]
    pub fn matches(&self, types: &[String], streams: &[String]) -> bool {
        let begins = |prefix: &String| self.stream.starts_with(prefix.as_str());
        (types.is_empty() || types.contains(&self.kind))
            && (streams.is_empty() || streams.iter().any(begins))
    }

    /// What it takes in a batch.
    pub(super) fn bytes(&self) -> usize {
        self.data.len() + self.stream.len() + self.kind.len()
    }

    pub(crate) const COLUMNS: &str = "position, stream, version, type, data, time, traceparent, \
         actor, correlation, causation";

    /// Of a row with [`Event::COLUMNS`], which are not looked for by name.
    pub(super) fn from_sqlite(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            position: row.get(0)?,
            stream: row.get(1)?,
            version: row.get(2)?,
            kind: row.get(3)?,
            data: row.get::<_, Vec<u8>>(4)?.into(),
            time: row.get(5)?,
            traceparent: row.get(6)?,
            actor: row.get(7)?,
            correlation: row.get(8)?,
            causation: row.get(9)?,
        })
    }

    pub(crate) fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            position: row.get("position")?,
            stream: row.get("stream")?,
            version: row.get("version")?,
            kind: row.get("type")?,
            data: row.get::<Vec<u8>>("data")?.into(),
            time: row.get("time")?,
            traceparent: row.get("traceparent")?,
            actor: row.get("actor")?,
            correlation: row.get("correlation")?,
            causation: row.get("causation")?,
        })
    }
}

/// See [`Event::reference`].
pub(crate) fn reference(stream: &str, version: i64) -> String {
    format!("{stream}@{version}")
}

impl From<Event> for proto::Event {
    fn from(event: Event) -> Self {
        Self {
            position: event.position,
            stream: event.stream,
            version: event.version,
            r#type: event.kind,
            data: event.data.to_vec(),
            time: Some(time::to_proto(event.time)),
            traceparent: event.traceparent,
            actor: event.actor,
            correlation: event.correlation,
            causation: event.causation,
        }
    }
}

impl From<proto::Event> for Event {
    fn from(event: proto::Event) -> Self {
        Self {
            position: event.position,
            stream: event.stream,
            version: event.version,
            kind: event.r#type,
            data: event.data.into(),
            time: event.time.as_ref().and_then(time::from_proto).unwrap_or_default(),
            traceparent: event.traceparent,
            actor: event.actor,
            correlation: event.correlation,
            causation: event.causation,
        }
    }
}
