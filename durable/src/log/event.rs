//! A fact that was committed.

use bytes::Bytes;
use mesh::proto;
use prost::{Message, Name};

use crate::{Error, Row, time};

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
}

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

    pub(crate) const COLUMNS: &str =
        "position, stream, version, type, data, time, traceparent, actor";

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
        })
    }
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
        }
    }
}
