//! Appending on PostgreSQL, in one round trip: lock the stream, check its
//! version, insert all rows. What brings no transaction is written with others that
//! do not, where that is possible.
//!
//! A plain statement cannot do that, since its snapshot is older than the lock
//! that it waits for. Each statement of a volatile function has a snapshot of
//! its own.

mod batch;
mod functions;
mod writer;

pub(crate) use batch::Outcome;
pub(crate) use functions::BATCHES;
pub(crate) use writer::Appends;

use sqlx::PgExecutor;

use super::{Appended, Appending, NewEvent};
use crate::{Conflict, Error, store::Sql};

/// Answers the stream's version, or when it is none of those expected, what is
/// left of it below zero: `-1 - version`.
pub(crate) const FUNCTION: Sql = Sql::Each {
    sqlite: "",
    postgres: "CREATE FUNCTION durable_append(
        _stream TEXT, _least BIGINT, _most BIGINT, _types TEXT[], _data BYTEA[], _time BIGINT,
        _traceparent TEXT, _actor TEXT, _correlation TEXT, _causation TEXT
    ) RETURNS BIGINT LANGUAGE plpgsql VOLATILE AS $$
    DECLARE
        _version BIGINT;
    BEGIN
        PERFORM pg_advisory_xact_lock(hashtextextended(_stream, 0));
        SELECT coalesce(max(version), 0) INTO _version
            FROM durable_event WHERE stream = _stream COLLATE \"C\";
        IF _version NOT BETWEEN _least AND _most THEN
            RETURN -1 - _version;
        END IF;
        INSERT INTO durable_event
            (stream, version, type, data, time, traceparent, actor, correlation, causation)
            SELECT _stream, _version + place, type, data, _time, _traceparent, _actor,
                   _correlation, _causation
            FROM unnest(_types, _data) WITH ORDINALITY AS event(type, data, place)
            ORDER BY place;
        RETURN _version + cardinality(_types);
    END $$;",
};

const APPEND: &str = "SELECT durable_append($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";

/// On a connection it is a part of its transaction, on a pool one of its own.
pub(super) async fn append(
    executor: impl PgExecutor<'_>,
    appending: Appending,
) -> Result<Result<Appended, Conflict>, Error> {
    let Appending { stream, expected, events, stamp } = appending;
    let (least, most) = expected.range();
    let (types, data) = events.into_iter().map(|NewEvent { kind, data }| (kind, data)).unzip();
    let (types, data): (Vec<String>, Vec<Vec<u8>>) = (types, data);
    let version: i64 = sqlx::query_scalar(APPEND)
        .bind(&stream)
        .bind(least)
        .bind(most)
        .bind(types)
        .bind(data)
        .bind(stamp.time)
        .bind(stamp.traceparent)
        .bind(stamp.actor)
        .bind(stamp.correlation)
        .bind(stamp.causation)
        .fetch_one(executor)
        .await?;
    if version < 0 {
        return Ok(Err(Conflict::Version { stream, actual: -1 - version }));
    }
    Ok(Ok(Appended { version, position: None }))
}
