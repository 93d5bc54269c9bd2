//! The tables of sagas.

use crate::store::Sql;

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

/// Finds those that are over, the first to end first.
pub(crate) const FINISHED: Sql = Sql::Both(
    "CREATE INDEX durable_saga_finished ON durable_saga (updated)
        WHERE status IN ('completed', 'compensated', 'resolved');",
);
