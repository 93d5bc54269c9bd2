//! Opens connections that write, set up so that a commit is on the disk.

use std::{thread, time::Duration};

use rusqlite::{Connection, OpenFlags};

use super::BUSY_TIMEOUT;
use crate::Error;

/// The log file is cut back to this after a burst, in bytes: not below what it may
/// have at work, since a commit into a file that grows takes twice as long.
const JOURNAL_SIZE_LIMIT: u32 = 33 * 1024 * 1024;
/// Page cache of the writer, in KiB. It meets the index of the streams at
/// random places, and a page that fell out is read again within the write lock.
const CACHE_KIB: i32 = 16 * 1024;
/// Statements that stay prepared: above what a service has.
const STATEMENTS: usize = 256;

/// While another process writes, its lock is asked for this often. SQLite's own
/// handler waits up to 100 ms in between and would hardly ever find the moment
/// between two groups of a busy process.
const BUSY_POLL: Duration = Duration::from_micros(500);

pub(super) fn writer(path: &str) -> Result<Connection, Error> {
    let connection = Connection::open(path)?;
    connection.busy_handler(Some(wait))?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    enter_wal(&connection)?;
    // NORMAL would lose acknowledged commits with the power.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "journal_size_limit", JOURNAL_SIZE_LIMIT)?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    refuse_unsafe(&connection)?;
    Ok(connection)
}

/// One that refuses to write. Unlike a writer it does not make the file.
pub(super) fn reader(path: &str) -> Result<Connection, Error> {
    let flags = OpenFlags::default().difference(OpenFlags::SQLITE_OPEN_CREATE);
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.pragma_update(None, "query_only", true)?;
    Ok(connection)
}

/// Sleeps between half and one and a half of the period, so that processes do
/// not ask in step; gives up when the timeout has passed.
fn wait(attempts: i32) -> bool {
    let attempts = u32::try_from(attempts).unwrap_or(u32::MAX);
    if BUSY_POLL.saturating_mul(attempts) > BUSY_TIMEOUT {
        return false;
    }
    thread::sleep(BUSY_POLL.mul_f64(0.5 + fastrand::f64()));
    true
}

/// Two processes that make the file together collide here, and SQLite does not
/// ask the busy handler about it.
fn enter_wal(connection: &Connection) -> Result<(), Error> {
    let mut attempts = 0;
    loop {
        let entered = connection.pragma_update(None, "journal_mode", "WAL").map_err(Error::from);
        match entered {
            Err(Error::Unavailable(_)) if wait(attempts) => attempts += 1,
            outcome => return outcome,
        }
    }
}

/// What was asked for is read back: a file system without shared memory, or a
/// database in memory, silently stays in another journal mode.
fn refuse_unsafe(connection: &Connection) -> Result<(), Error> {
    let journal: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
    if journal != "wal" {
        return Err(Error::Unsafe { setting: "journal_mode", found: journal, wanted: "wal" });
    }
    let synchronous: i64 = connection.pragma_query_value(None, "synchronous", |row| row.get(0))?;
    // 2 is FULL, 3 is EXTRA.
    if synchronous < 2 {
        let found = synchronous.to_string();
        return Err(Error::Unsafe { setting: "synchronous", found, wanted: "FULL" });
    }
    Ok(())
}
