//! Copies of a database that is in use, and their return.
//!
//! A copy is one moment of one database: everything that was committed before it
//! began, nothing of what came later. Copies of several services are of several
//! moments, so who follows others is copied before those whom it follows: then
//! no checkpoint lies beyond the end of the log that it points into, and what a
//! step asked of another service is known there, where it is repeated under the
//! same key.

mod postgres;
mod sqlite;

use std::{
    io,
    path::{Path, PathBuf},
};

use crate::store::Location;

/// Why a copy could not be made or brought back.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The database cannot be opened or read.
    #[error(transparent)]
    Store(#[from] crate::Error),
    /// A file cannot be written or read.
    #[error("{}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Somebody works in the database that is to be replaced.
    #[error("somebody has the database open")]
    InUse,
    /// The file is not a whole database.
    #[error("the database in {} is damaged: {problem}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What SQLite found.
        problem: String,
    },
    /// `pg_dump` or `pg_restore` is not on the `PATH`, or refused.
    #[error("{tool}: {said}")]
    Tool {
        /// Name of the program.
        tool: &'static str,
        /// Its complaint.
        said: String,
    },
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// What a copy holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Copied {
    /// Last position of the log; zero when it is empty.
    pub position: i64,
}

/// Whether there is a database under this URL.
///
/// # Errors
/// When its server cannot be asked.
pub async fn exists(url: &str) -> Result<bool, Error> {
    match Location::of(url)? {
        Location::Sqlite(path) => Ok(Path::new(path).is_file()),
        Location::Postgres { url, .. } => postgres::exists(&url).await,
    }
}

/// Writes what a database holds at this moment into a new file, which is on disk
/// when this returns. Writers and readers go on meanwhile. SQLite's copy is a
/// database itself; PostgreSQL's is an archive of `pg_dump`, which must be on
/// the `PATH`. Dropped in the middle it leaves a part of the file.
///
/// # Errors
/// When the database cannot be read or the file not be written.
pub async fn copy(url: &str, file: &Path) -> Result<Copied, Error> {
    let copied = match Location::of(url)? {
        Location::Sqlite(path) => sqlite::copy(Path::new(path), file).await?,
        Location::Postgres { url, .. } => postgres::copy(&url, file).await?,
    };
    sync(file)?;
    Ok(copied)
}

/// Puts a copy in the place of a database that nobody has open. What was there
/// is gone. Interrupted, it has to be repeated before the database is used.
///
/// # Errors
/// [`Error::InUse`] and [`Error::Damaged`], after which nothing was changed;
/// those of the file system and of `pg_restore`.
pub async fn restore(file: &Path, url: &str) -> Result<(), Error> {
    match Location::of(url)? {
        Location::Sqlite(path) => sqlite::restore(file, Path::new(path)).await,
        Location::Postgres { url, .. } => postgres::restore(file, &url).await,
    }
}

/// Waits until a file is on disk under its name.
fn sync(file: &Path) -> Result<(), Error> {
    let folder = match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    for path in [file, folder] {
        std::fs::File::open(path)
            .and_then(|opened| opened.sync_all())
            .map_err(|source| Error::File { path: path.to_owned(), source })?;
    }
    Ok(())
}
