//! SQLite: `VACUUM INTO`, one reading transaction that hinders no writer.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use sqlx::{
    ConnectOptions as _, Connection as _, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteLockingMode},
};

use super::{Copied, Error, sync};

/// A connection that is just being closed is waited for.
const PATIENCE: Duration = Duration::from_millis(500);

pub(super) async fn copy(path: &Path, file: &Path) -> Result<Copied, Error> {
    let mut from = options(path).connect().await?;
    sqlx::query("VACUUM INTO $1").bind(text(file)?).execute(&mut from).await?;
    from.close().await?;
    let mut copy = options(file).connect().await?;
    check(&mut copy, file).await?;
    // Read from the copy: the database itself has gone on.
    let position = sqlx::query_scalar("SELECT coalesce(max(position), 0) FROM durable_event")
        .fetch_one(&mut copy)
        .await?;
    copy.close().await?;
    Ok(Copied { position })
}

pub(super) async fn restore(file: &Path, path: &Path) -> Result<(), Error> {
    let mut copy = options(file).connect().await?;
    check(&mut copy, file).await?;
    copy.close().await?;
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(at(folder))?;
    }
    let staged = beside(path, "-restoring");
    fs::copy(file, &staged).map_err(at(&staged))?;
    sync(&staged)?;
    if path.is_file() {
        close(path).await?;
    }
    // A log that outlives its database would be played into the next one.
    for suffix in ["-wal", "-shm"] {
        let leftover = beside(path, suffix);
        match fs::remove_file(&leftover) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(at(&leftover)(error));
            }
            _ => {}
        }
    }
    fs::rename(&staged, path).map_err(at(path))?;
    sync(path)
}

/// Takes the whole database for a moment, which nobody can do while somebody
/// else has it open, be it idle.
async fn close(path: &Path) -> Result<(), Error> {
    let options = options(path).locking_mode(SqliteLockingMode::Exclusive);
    let mut last = options.busy_timeout(PATIENCE).connect().await?;
    let taken = sqlx::raw_sql("BEGIN EXCLUSIVE; ROLLBACK").execute(&mut last).await;
    match taken.map_err(crate::Error::from) {
        Ok(_) => Ok(last.close().await?),
        Err(crate::Error::Unavailable(_)) => Err(Error::InUse),
        // It is damaged, which may be why it is replaced.
        Err(_) => Ok(()),
    }
}

async fn check(copy: &mut SqliteConnection, file: &Path) -> Result<(), Error> {
    let damaged = |problem| Error::Damaged { path: file.to_owned(), problem };
    let found: Result<String, _> =
        sqlx::query_scalar("PRAGMA integrity_check(1)").fetch_one(copy).await;
    match found {
        Ok(found) if found == "ok" => Ok(()),
        Ok(problem) => Err(damaged(problem)),
        Err(error) => Err(damaged(error.to_string())),
    }
}

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new().filename(path)
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn text(path: &Path) -> Result<&str, Error> {
    let unreadable = || io::Error::new(io::ErrorKind::InvalidFilename, "is not UTF-8");
    path.to_str().ok_or_else(|| at(path)(unreadable()))
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    |source| Error::File { path, source }
}
