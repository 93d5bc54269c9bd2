//! What durability rests on, looked up where it is: settings of the database as
//! it has them now, not as somebody wrote them down, and traces of clocks that
//! jumped. Changes nothing.

mod connection;
mod postgres;
mod signs;
mod sqlite;

use self::connection::Connection;
use crate::{Error, store::Location};

/// What a finding means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// As it should be.
    Good,
    /// Nothing is lost by it, but somebody should know.
    Doubtful,
    /// What was acknowledged can be lost, or be done at the wrong time.
    Unsafe,
}

/// What was found out about one thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at, by the name by which it can be allowed.
    pub check: &'static str,
    /// What it means.
    pub verdict: Verdict,
    /// What was found.
    pub found: String,
    /// What to do; empty when there is nothing to do.
    pub advice: &'static str,
}

impl Finding {
    /// As it should be.
    #[must_use]
    pub fn good(check: &'static str, found: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Good, found: found.into(), advice: "" }
    }

    /// Worth knowing.
    #[must_use]
    pub fn doubtful(check: &'static str, found: impl Into<String>, advice: &'static str) -> Self {
        Self { check, verdict: Verdict::Doubtful, found: found.into(), advice }
    }

    /// Not to be relied on.
    #[must_use]
    pub fn dangerous(check: &'static str, found: impl Into<String>, advice: &'static str) -> Self {
        Self { check, verdict: Verdict::Unsafe, found: found.into(), advice }
    }
}

/// The checks whose findings a URL accepts: `postgres://…?allow_unsafe=fsync`.
///
/// # Errors
/// When it names no database.
pub fn accepted(url: &str) -> Result<Vec<&str>, Error> {
    Ok(match Location::of(url)? {
        Location::Postgres { accepted, .. } => accepted,
        Location::Sqlite(_) => Vec::new(),
    })
}

/// Looks at the database behind `sqlite:path` or `postgres://…`, which must exist.
///
/// # Errors
/// When it cannot be opened or read.
pub async fn examine(url: &str) -> Result<Vec<Finding>, Error> {
    let mut connection = Connection::open(url).await?;
    let mut findings = match &mut connection {
        Connection::Sqlite(_) => sqlite::examine(&mut connection, url).await?,
        Connection::Postgres(_) => postgres::examine(&mut connection).await?,
    };
    findings.extend(signs::examine(&mut connection).await?);
    connection.close().await?;
    Ok(findings)
}
