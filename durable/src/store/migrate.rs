//! Migrations: forward only, recorded with a checksum, run under a lock so that
//! replicas that start together run each of them once.

use std::collections::BTreeMap;

use crate::{Error, params, store::Tx, time};

/// One step of a schema.
#[derive(Clone, Copy, Debug)]
pub struct Migration {
    /// Place in the order; starts at 1, never reused.
    pub version: u32,
    /// What it does, for people.
    pub name: &'static str,
    /// Its statements.
    pub sql: Sql,
}

/// Statements of a migration. Names of types differ between the databases, so
/// `{bigint}`, `{text}`, `{blob}`, `{bool}`, `{real}` are replaced; `{text}` is
/// compared byte by byte on both, whatever the database's locale.
#[derive(Clone, Copy, Debug)]
pub enum Sql {
    /// For both databases.
    Both(&'static str),
    /// Where they differ.
    Each {
        /// For SQLite.
        sqlite: &'static str,
        /// For PostgreSQL.
        postgres: &'static str,
    },
}

/// Which database a store is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// A file of this process's own machine.
    Sqlite,
    /// A server.
    Postgres,
}

impl Migration {
    /// A step with the same statements for both databases.
    #[must_use]
    pub const fn new(version: u32, name: &'static str, sql: &'static str) -> Self {
        Self { version, name, sql: Sql::Both(sql) }
    }
}

impl Sql {
    /// The statements for one database, types still to be replaced.
    #[must_use]
    pub fn template(&self, dialect: Dialect) -> &'static str {
        match (self, dialect) {
            (Self::Both(sql), _) => sql,
            (Self::Each { sqlite, .. }, Dialect::Sqlite) => sqlite,
            (Self::Each { postgres, .. }, Dialect::Postgres) => postgres,
        }
    }

    /// The statements for one database.
    #[must_use]
    pub fn render(&self, dialect: Dialect) -> String {
        let types = match dialect {
            Dialect::Sqlite => ["INTEGER", "TEXT", "BLOB", "BOOLEAN", "REAL"],
            Dialect::Postgres => {
                ["BIGINT", "TEXT COLLATE \"C\"", "BYTEA", "BOOLEAN", "DOUBLE PRECISION"]
            }
        };
        let names = ["{bigint}", "{text}", "{blob}", "{bool}", "{real}"];
        let mut sql = self.template(dialect).to_owned();
        for (name, replacement) in names.iter().zip(types) {
            sql = sql.replace(name, replacement);
        }
        sql
    }
}

const LEDGER: Sql = Sql::Both(
    "CREATE TABLE IF NOT EXISTS durable_migration (
        owner {text} NOT NULL,
        version {bigint} NOT NULL,
        name {text} NOT NULL,
        checksum {text} NOT NULL,
        time {bigint} NOT NULL,
        PRIMARY KEY (owner, version)
    )",
);

/// Any constant does, as long as no other program in this database uses it.
const LOCK: i64 = 0x7469_7461_6e00_0001;

/// Runs what was not run yet, in a transaction that the caller commits.
pub(super) async fn run(
    tx: &mut Tx,
    owner: &'static str,
    migrations: &[Migration],
) -> Result<(), Error> {
    if tx.dialect() == Dialect::Postgres {
        tx.query("SELECT pg_advisory_xact_lock($1)", params![LOCK]).await?;
    }
    tx.batch(LEDGER.render(tx.dialect())).await?;
    let done = ledger(tx, owner).await?;
    let newest = done.last_key_value().map_or(0, |(version, _)| *version);
    let mut before = 0;
    for migration in migrations {
        let problem = |problem| Error::Migration {
            owner,
            version: migration.version,
            name: migration.name.to_owned(),
            problem,
        };
        if migration.version <= before {
            return Err(problem("versions must start at 1 and rise"));
        }
        before = migration.version;
        let checksum = checksum(migration, tx.dialect());
        match done.get(&i64::from(migration.version)) {
            Some(recorded) if *recorded == checksum => {}
            Some(_) => return Err(problem("was changed after it ran; add a new one instead")),
            None if i64::from(migration.version) < newest => {
                return Err(problem("was added below one that ran already"));
            }
            None => apply(tx, owner, migration, &checksum).await?,
        }
    }
    // A newer program may have been here: during a rolling upgrade the old
    // replicas restart on the new schema, which is why schemas only grow.
    if newest > i64::from(before) {
        tracing::warn!(owner, newest, known = before, "the database is newer than this program");
    }
    Ok(())
}

async fn ledger(tx: &mut Tx, owner: &str) -> Result<BTreeMap<i64, String>, Error> {
    let sql = "SELECT version, checksum FROM durable_migration WHERE owner = $1";
    let rows = tx.query(sql, params![owner]).await?;
    rows.iter().map(|row| Ok((row.get("version")?, row.get("checksum")?))).collect()
}

async fn apply(
    tx: &mut Tx,
    owner: &str,
    migration: &Migration,
    checksum: &str,
) -> Result<(), Error> {
    tx.batch(migration.sql.render(tx.dialect())).await?;
    tx.execute(
        "INSERT INTO durable_migration (owner, version, name, checksum, time)
         VALUES ($1, $2, $3, $4, $5)",
        params![owner, migration.version, migration.name, checksum, time::now()],
    )
    .await?;
    tracing::info!(owner, version = migration.version, name = migration.name, "migrated");
    Ok(())
}

/// Of the template, so that a type's rendering can be corrected later on.
fn checksum(migration: &Migration, dialect: Dialect) -> String {
    let sql = migration.sql.template(dialect);
    crate::digest::hex(&crate::digest::sha256(&[sql.as_bytes()]))
}
