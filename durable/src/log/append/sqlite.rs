//! Appending on SQLite: positions and versions are counted under its write lock.

use rusqlite::{Connection, OptionalExtension as _};

use super::{Appended, Appending};
use crate::{Conflict, Error, store::Written};

const VERSION: &str =
    "SELECT version FROM durable_event WHERE stream = ?1 ORDER BY version DESC LIMIT 1";
const INSERT: &str = "INSERT INTO durable_event
    (stream, version, type, data, time, traceparent, actor, correlation, causation)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";

/// As a part of a transaction.
pub(super) fn append(
    connection: &Connection,
    appending: &Appending,
) -> Result<Result<Appended, Conflict>, Error> {
    let Appending { stream, expected, events, stamp } = appending;
    let version: Option<i64> =
        connection.prepare_cached(VERSION)?.query_row([stream], |row| row.get(0)).optional()?;
    let mut version = version.unwrap_or(0);
    if !expected.holds(version) {
        return Ok(Err(appending.conflict(version)));
    }
    let mut insert = connection.prepare_cached(INSERT)?;
    for event in events {
        version += 1;
        insert.execute((
            stream,
            version,
            &event.kind,
            &event.data,
            stamp.time,
            &stamp.traceparent,
            &stamp.actor,
            &stamp.correlation,
            &stamp.causation,
        ))?;
    }
    let position = (!events.is_empty()).then(|| connection.last_insert_rowid());
    Ok(Ok(Appended { version, position }))
}

/// As a transaction of its own.
pub(super) fn unit(
    connection: &Connection,
    appending: &Appending,
) -> Result<Written<Appended>, Error> {
    let appended = append(connection, appending)??;
    Ok(Written { answer: appended, until: appended.position })
}
