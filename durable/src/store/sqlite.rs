//! SQLite: one connection that writes, some that read, several processes on one
//! file.

mod checkpoint;
mod connect;
mod group;
mod queue;
mod refusal;
pub(super) mod statement;
mod turn;
mod writer;

use std::{path::Path, sync::Arc, time::Duration};

use sqlx::{
    ConnectOptions as _, SqliteConnection, SqlitePool,
    sqlite::{SqliteConnectOptions, SqlitePoolOptions},
};

pub(crate) use statement::LocalRow;
pub(super) use turn::LocalTx;
pub(crate) use writer::{Writer, Written};

use crate::{Error, log::Signal};

/// How long a writer waits for one in another process. Above any sensible
/// transaction, below the patience of a caller.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a task waits for a reading connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);
/// Each reader is a thread and a page cache of 2 MB; more of them than cores
/// would only wait for each other.
const READERS: u32 = 4;

pub(crate) struct Sqlite {
    pub(super) writer: Writer,
    pub(super) readers: SqlitePool,
}

impl Sqlite {
    pub(super) async fn open(path: &str, signal: Arc<Signal>) -> Result<Self, Error> {
        make_folder(path)?;
        let writer = Writer::open(path, signal).await?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .busy_timeout(BUSY_TIMEOUT)
            .pragma("query_only", "ON");
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            // A connection is a file handle here: it does not go stale.
            .test_before_acquire(false)
            .max_lifetime(None)
            .idle_timeout(None)
            .connect_lazy_with(options);
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

fn make_folder(path: &str) -> Result<(), Error> {
    match Path::new(path).parent() {
        Some(folder) if !folder.as_os_str().is_empty() => std::fs::create_dir_all(folder)
            .map_err(|source| Error::Folder { path: path.to_owned(), source }),
        _ => Ok(()),
    }
}
