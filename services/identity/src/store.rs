//! The tables of this service and the statements on them; what the rows mean is
//! decided in the domain.

mod keys;
mod sessions;
mod users;

use durable::{Dialect, Migration, Tx};

pub(crate) use users::LISTING;

/// The schema, for [`durable::Store::open`].
pub const MIGRATIONS: &[Migration] = &[Migration::new(
    1,
    "users, sessions and signing keys",
    "CREATE TABLE users (
        id {text} PRIMARY KEY,
        email {text} NOT NULL UNIQUE,
        password_hash {text} NOT NULL,
        display_name {text} NOT NULL,
        preferences {text} NOT NULL,
        roles {text} NOT NULL,
        created {bigint} NOT NULL,
        updated {bigint} NOT NULL,
        version {bigint} NOT NULL
    );
    CREATE INDEX users_created ON users (created, id);
    CREATE TABLE sessions (
        id {text} PRIMARY KEY,
        user_id {text} NOT NULL REFERENCES users (id),
        created {bigint} NOT NULL,
        expires {bigint} NOT NULL,
        ended {bigint}
    );
    CREATE INDEX sessions_live ON sessions (user_id, id) WHERE ended IS NULL;
    CREATE INDEX sessions_expires ON sessions (expires);
    CREATE INDEX sessions_ended ON sessions (ended) WHERE ended IS NOT NULL;
    CREATE TABLE refresh_tokens (
        digest {blob} PRIMARY KEY,
        session_id {text} NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
        expires {bigint} NOT NULL,
        spent {bigint}
    );
    CREATE INDEX refresh_tokens_session ON refresh_tokens (session_id);
    CREATE INDEX refresh_tokens_expires ON refresh_tokens (expires);
    CREATE TABLE signing_keys (
        number {bigint} PRIMARY KEY,
        begins {bigint} NOT NULL,
        pkcs8 {blob} NOT NULL
    )",
)];

/// The users, sessions and keys.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    db: durable::Store,
}

impl Store {
    pub(crate) fn new(db: durable::Store) -> Self {
        Self { db }
    }
}

/// Reads rows that the transaction is about to change. SQLite has one writer and
/// needs no lock.
fn locking(tx: &Tx, select: &str) -> String {
    match tx.dialect() {
        Dialect::Sqlite => select.to_owned(),
        Dialect::Postgres => format!("{select} FOR UPDATE"),
    }
}
