//! The tables of consumers: who works on what and how far, and what was set
//! aside.

use crate::store::Sql;

/// A consumer that had one checkpoint goes on from it in every partition. The old
/// row is set to the end of all positions: a program from before, which may still
/// run during an upgrade, finds nothing left to do and applies nothing twice.
pub(crate) const CONSUMERS: Sql = Sql::Both(
    "CREATE TABLE durable_consumer (
        consumer {text} PRIMARY KEY,
        paused {bool} NOT NULL,
        feed_end {bigint} NOT NULL,
        oldest {bigint} NOT NULL,
        error {text} NOT NULL,
        time {bigint} NOT NULL
    );
    CREATE TABLE durable_replica (
        consumer {text} NOT NULL,
        owner {text} NOT NULL,
        alive_until {bigint} NOT NULL,
        PRIMARY KEY (consumer, owner)
    );
    CREATE TABLE durable_partition (
        consumer {text} NOT NULL,
        number {bigint} NOT NULL,
        position {bigint} NOT NULL,
        owner {text} NOT NULL,
        epoch {bigint} NOT NULL,
        time {bigint} NOT NULL,
        PRIMARY KEY (consumer, number)
    );
    CREATE TABLE durable_parked_stream (
        consumer {text} NOT NULL,
        stream {text} NOT NULL,
        status {text} NOT NULL,
        attempts {bigint} NOT NULL,
        first_time {bigint} NOT NULL,
        last_time {bigint} NOT NULL,
        due {bigint} NOT NULL,
        error {text} NOT NULL,
        PRIMARY KEY (consumer, stream)
    );
    CREATE TABLE durable_parked_event (
        consumer {text} NOT NULL,
        position {bigint} NOT NULL,
        stream {text} NOT NULL,
        version {bigint} NOT NULL,
        type {text} NOT NULL,
        data {blob} NOT NULL,
        time {bigint} NOT NULL,
        traceparent {text} NOT NULL,
        actor {text} NOT NULL,
        correlation {text} NOT NULL,
        causation {text} NOT NULL,
        PRIMARY KEY (consumer, position)
    );
    CREATE INDEX durable_parked_event_stream ON durable_parked_event (consumer, stream, position);
    CREATE TABLE durable_dead_letter (
        consumer {text} NOT NULL,
        position {bigint} NOT NULL,
        stream {text} NOT NULL,
        version {bigint} NOT NULL,
        type {text} NOT NULL,
        data {blob} NOT NULL,
        time {bigint} NOT NULL,
        traceparent {text} NOT NULL,
        actor {text} NOT NULL,
        correlation {text} NOT NULL,
        causation {text} NOT NULL,
        status {text} NOT NULL,
        attempts {bigint} NOT NULL,
        first_time {bigint} NOT NULL,
        last_time {bigint} NOT NULL,
        error {text} NOT NULL,
        PRIMARY KEY (consumer, position)
    );
    CREATE TABLE durable_operation_record (
        id {text} PRIMARY KEY,
        consumer {text} NOT NULL,
        verb {text} NOT NULL,
        target {text} NOT NULL,
        operator {text} NOT NULL,
        reason {text} NOT NULL,
        time {bigint} NOT NULL
    );
    CREATE TABLE durable_subscriber (
        name {text} PRIMARY KEY,
        position {bigint} NOT NULL,
        time {bigint} NOT NULL
    );
    CREATE TABLE durable_log_start (
        single {bool} PRIMARY KEY DEFAULT TRUE CHECK (single),
        position {bigint} NOT NULL
    );
    INSERT INTO durable_log_start (position) VALUES (0);
    INSERT INTO durable_consumer (consumer, paused, feed_end, oldest, error, time)
        SELECT consumer, FALSE, position, 0, '', time FROM durable_checkpoint;
    WITH RECURSIVE partition_number (number) AS (
        SELECT 0 UNION ALL SELECT number + 1 FROM partition_number WHERE number < 15
    )
    INSERT INTO durable_partition (consumer, number, position, owner, epoch, time)
        SELECT consumer, number, position, '', 0, time
        FROM durable_checkpoint CROSS JOIN partition_number;
    UPDATE durable_checkpoint SET position = 9223372036854775807;",
);
