//! The tables of this crate in every service's database.

use crate::store::{Migration, Sql};

/// Forward only: a change is a new entry.
pub(crate) const MIGRATIONS: &[Migration] = &[
    Migration { version: 1, name: "log", sql: LOG },
    Migration { version: 2, name: "checkpoints", sql: CHECKPOINTS },
    Migration { version: 3, name: "idempotency keys", sql: IDEMPOTENCY },
    Migration { version: 4, name: "metadata of events", sql: crate::log::METADATA },
    Migration { version: 5, name: "consumers", sql: crate::consumer::CONSUMERS },
    Migration { version: 6, name: "tasks", sql: crate::task::TABLES },
    Migration { version: 7, name: "sagas", sql: crate::saga::TABLES },
    Migration { version: 8, name: "snapshots", sql: crate::aggregate::SNAPSHOTS },
    Migration { version: 9, name: "appending in one trip", sql: crate::log::APPEND },
    Migration { version: 10, name: "projections", sql: crate::projection::GENERATIONS },
    Migration { version: 11, name: "numbering in one trip", sql: crate::log::NUMBER },
    Migration { version: 12, name: "upkeep", sql: crate::upkeep::TABLE },
    Migration { version: 13, name: "sagas that are over", sql: crate::saga::FINISHED },
    Migration { version: 14, name: "dead letters that wait", sql: crate::upkeep::WAITING },
    Migration { version: 15, name: "appending in batches", sql: crate::log::BATCHES },
];

/// SQLite gives positions at the insert, since its transactions commit in the
/// order in which they write. PostgreSQL's do not: rows are inserted without a
/// position, and the sequencer numbers what has been committed.
const LOG: Sql = Sql::Each {
    sqlite: "CREATE TABLE durable_event (
        position INTEGER PRIMARY KEY,
        stream {text} NOT NULL,
        version {bigint} NOT NULL,
        type {text} NOT NULL,
        data {blob} NOT NULL,
        time {bigint} NOT NULL,
        traceparent {text} NOT NULL,
        actor {text} NOT NULL,
        UNIQUE (stream, version)
    );",
    postgres: "CREATE TABLE durable_event (
        id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        position {bigint} UNIQUE,
        stream {text} NOT NULL,
        version {bigint} NOT NULL,
        type {text} NOT NULL,
        data {blob} NOT NULL,
        time {bigint} NOT NULL,
        traceparent {text} NOT NULL,
        actor {text} NOT NULL,
        UNIQUE (stream, version)
    );
    CREATE INDEX durable_event_unnumbered ON durable_event (id) WHERE position IS NULL;
    CREATE TABLE durable_sequencer (
        single {bool} PRIMARY KEY DEFAULT TRUE CHECK (single),
        position {bigint} NOT NULL
    );
    INSERT INTO durable_sequencer (position) VALUES (0);",
};

const CHECKPOINTS: Sql = Sql::Both(
    "CREATE TABLE durable_checkpoint (
        consumer {text} PRIMARY KEY,
        position {bigint} NOT NULL,
        time {bigint} NOT NULL
    );",
);

const IDEMPOTENCY: Sql = Sql::Both(
    "CREATE TABLE durable_idempotency (
        caller {text} NOT NULL,
        command {text} NOT NULL,
        key {text} NOT NULL,
        request {blob} NOT NULL,
        answer {blob},
        expire_time {bigint} NOT NULL,
        PRIMARY KEY (caller, command, key)
    );
    CREATE INDEX durable_idempotency_expire_time ON durable_idempotency (expire_time);",
);
