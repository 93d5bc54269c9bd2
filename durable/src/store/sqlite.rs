//! SQLite: one connection that writes, some that read, several processes on one
//! file.

use std::{path::Path, time::Duration};

use sqlx::{
    ConnectOptions as _, SqliteConnection, SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use crate::Error;

/// How long a writer waits for one in another process. Above any sensible
/// transaction, below the patience of a caller.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a task waits for the one writing connection of this process.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);
/// Each reader is a thread and a page cache of 2 MB; more of them than cores
/// would only wait for each other.
const READERS: u32 = 4;
/// The log file is cut back to this after a burst, in bytes.
const JOURNAL_SIZE_LIMIT: u32 = 16 * 1024 * 1024;

pub(crate) struct Sqlite {
    /// One connection: SQLite has one writer at a time, and a queue in front of
    /// it is fair, while its own busy handler is not.
    pub(super) writer: SqlitePool,
    pub(super) readers: SqlitePool,
}

impl Sqlite {
    pub(super) async fn open(path: &str) -> Result<Self, Error> {
        make_folder(path)?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .busy_timeout(BUSY_TIMEOUT)
            .foreign_keys(true)
            .journal_mode(SqliteJournalMode::Wal)
            // NORMAL would lose acknowledged commits with the power.
            .synchronous(SqliteSynchronous::Full)
            .pragma("journal_size_limit", JOURNAL_SIZE_LIMIT.to_string());
        let writer = pool(1).connect_with(options.clone()).await?;
        refuse_unsafe(&writer).await?;
        let readers = pool(READERS).connect_lazy_with(options.pragma("query_only", "ON"));
        Ok(Self { writer, readers })
    }

    /// A connection outside of the pools, for `PRAGMA data_version`, which
    /// counts what *other* connections changed.
    pub(crate) async fn observer(readers: &SqlitePool) -> Result<SqliteConnection, Error> {
        Ok(readers.connect_options().connect().await?)
    }

    pub(crate) fn readers(&self) -> &SqlitePool {
        &self.readers
    }
}

fn pool(connections: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        // A connection is a file handle here: it does not go stale.
        .test_before_acquire(false)
        .max_lifetime(None)
        .idle_timeout(None)
}

fn make_folder(path: &str) -> Result<(), Error> {
    match Path::new(path).parent() {
        Some(folder) if !folder.as_os_str().is_empty() => std::fs::create_dir_all(folder)
            .map_err(|source| Error::Folder { path: path.to_owned(), source }),
        _ => Ok(()),
    }
}

/// What was asked for is read back: a file system without shared memory, or a
/// database in memory, silently stays in another journal mode.
async fn refuse_unsafe(pool: &SqlitePool) -> Result<(), Error> {
    let journal: String = sqlx::query_scalar("PRAGMA journal_mode").fetch_one(pool).await?;
    if journal != "wal" {
        return Err(Error::Unsafe { setting: "journal_mode", found: journal, wanted: "wal" });
    }
    let synchronous: i64 = sqlx::query_scalar("PRAGMA synchronous").fetch_one(pool).await?;
    // 2 is FULL, 3 is EXTRA.
    if synchronous < 2 {
        let found = synchronous.to_string();
        return Err(Error::Unsafe { setting: "synchronous", found, wanted: "FULL" });
    }
    Ok(())
}
