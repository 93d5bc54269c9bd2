//! PostgreSQL: a pool that writes, a pool that reads, and a few connections for
//! the log. Nothing but tables, and functions, of its own database is created.

use std::{str::FromStr as _, sync::Arc, time::Duration};

use sqlx::{
    Connection as _, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use crate::{
    Error,
    log::{Appends, Signal},
};

/// Six of each kind and four for the log keep six processes within the 97
/// connections that a server allows by default; two cores need no more.
const WRITERS: u32 = 6;
const READERS: u32 = 6;
/// Who writes appends together, sequencer, announcer and listener: a pool of their
/// own, so that busy handlers cannot starve the log.
const BACKGROUND: u32 = 4;
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);
/// A connection that rested for longer is asked whether it still lives.
pub(crate) const TRUSTED_IDLE: Duration = Duration::from_secs(5);
/// Limits of a session. A statement outlives no caller; a lock is waited for
/// shorter than that; a transaction whose process hangs gives its locks back.
const SESSION: &str = "SET statement_timeout = '30s';
    SET lock_timeout = '10s';
    SET idle_in_transaction_session_timeout = '60s'";

pub(crate) struct Postgres {
    pub(super) writers: PgPool,
    pub(super) readers: PgPool,
    pub(super) background: PgPool,
    pub(super) appends: Appends,
}

impl Postgres {
    /// `accepted` are settings that the URL says can be lived with.
    pub(super) async fn open(
        url: &str,
        accepted: &[&str],
        signal: Arc<Signal>,
    ) -> Result<Self, Error> {
        let options = PgConnectOptions::from_str(url)?.application_name("titan");
        let writers = pool(WRITERS).connect_with(options.clone()).await?;
        refuse_unsafe(&writers, accepted).await?;
        let reading = options.clone().options([("default_transaction_read_only", "on")]);
        let background = pool(BACKGROUND).connect_lazy_with(options);
        Ok(Self {
            writers,
            readers: pool(READERS).connect_lazy_with(reading),
            appends: Appends::start(background.clone(), signal),
            background,
        })
    }

    pub(crate) fn background(&self) -> &PgPool {
        &self.background
    }
}

fn pool(connections: u32) -> PgPoolOptions {
    PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        // A round trip before each use would double the cost of a small query.
        .test_before_acquire(false)
        .before_acquire(|connection, metadata| {
            Box::pin(async move {
                if metadata.idle_for > TRUSTED_IDLE {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
        .after_connect(|connection, _| {
            Box::pin(async move {
                sqlx::raw_sql(SESSION).execute(connection).await?;
                Ok(())
            })
        })
}

/// As the session has them, whatever the server's own are.
async fn refuse_unsafe(pool: &PgPool, accepted: &[&str]) -> Result<(), Error> {
    const SAFE: &str = "SELECT current_setting('synchronous_commit'), current_setting('fsync'),
        current_setting('full_page_writes')";
    let (commit, fsync, pages): (String, String, String) =
        sqlx::query_as(SAFE).fetch_one(pool).await?;
    let settings = [("synchronous_commit", commit), ("fsync", fsync), ("full_page_writes", pages)];
    for (setting, found) in settings.into_iter().filter(|(_, found)| found == "off") {
        if !accepted.contains(&setting) {
            return Err(Error::Unsafe { setting, found, wanted: "on" });
        }
        tracing::warn!(setting, "is off, which can lose acknowledged writes; the URL accepts it");
    }
    Ok(())
}
