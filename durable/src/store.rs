//! The store: SQLite or PostgreSQL, chosen by URL, with one set of statements.

mod home;
mod location;
mod migrate;
mod postgres;
pub(crate) mod queue;
mod row;
mod sqlite;
mod statement;
mod tx;
mod value;

use std::{fmt, sync::Arc};

use futures_util::future::BoxFuture;
use tokio::task::AbortHandle;

use home::Home;
pub(crate) use location::Location;
pub(crate) use postgres::{Postgres, TRUSTED_IDLE};
pub(crate) use sqlite::{Readers, Sqlite, Written, statement as local};
use statement::Text;
pub(crate) use statement::Visitor;
pub(crate) use tx::{Appended, trace_id};

pub use migrate::{Dialect, Migration, Sql};
pub use row::{FromColumn, Row};
pub use tx::Tx;
pub use value::Value;

use crate::{Error, log, task};

/// How often [`Store::transaction`] runs its closure before the contention is
/// the caller's to know of.
const MAX_ATTEMPTS: u32 = 5;

/// A service's database. Cheap to clone; the last clone that is dropped ends
/// its background tasks.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) engine: Engine,
    home: Home,
    pub(crate) signal: Arc<log::Signal>,
    pub(crate) tail: log::Tail,
    pub(crate) enqueued: Arc<task::Enqueued>,
    tasks: Vec<AbortHandle>,
}

pub(crate) enum Engine {
    Sqlite(Sqlite),
    Postgres(Postgres),
}

impl Store {
    /// Opens `sqlite:path` (made when missing, with its folder) or
    /// `postgres://…`, and brings its schema up to date: the tables of this
    /// crate, whose names begin with `durable_`, and the service's `migrations`.
    /// A PostgreSQL that is set up to lose acknowledged writes is refused, unless the
    /// URL names the setting: `postgres://…?allow_unsafe=fsync,full_page_writes`.
    /// Must be called within a tokio runtime, which runs its background tasks and
    /// drives its connections; the store may be used from any other.
    ///
    /// # Errors
    /// When the database cannot be reached, is set up to lose acknowledged
    /// writes, or holds migrations that differ from these.
    pub async fn open(url: &str, migrations: &[Migration]) -> Result<Self, Error> {
        let signal = Arc::new(log::Signal::default());
        let engine = Engine::open(url, signal.clone()).await?;
        let store = Self {
            inner: Arc::new(Inner {
                engine,
                home: Home::here(),
                signal,
                tail: log::Tail::new(),
                enqueued: Arc::default(),
                tasks: Vec::new(),
            }),
        };
        store.migrate(migrations).await?;
        store.start().await
    }

    async fn migrate(&self, migrations: &[Migration]) -> Result<(), Error> {
        let mut tx = self.begin().await?;
        migrate::run(&mut tx, "durable", crate::schema::MIGRATIONS).await?;
        migrate::run(&mut tx, "service", migrations).await?;
        tx.commit().await
    }

    async fn start(self) -> Result<Self, Error> {
        let end = log::end(&self).await?;
        self.inner.signal.advance(end);
        let mut inner = Arc::into_inner(self.inner).expect("nobody else has it yet");
        inner.tasks = log::tasks(&inner);
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Which database this is.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        match self.inner.engine {
            Engine::Sqlite(_) => Dialect::Sqlite,
            Engine::Postgres(_) => Dialect::Postgres,
        }
    }

    /// Starts a transaction. On SQLite its first statement waits for the one
    /// before it.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when none can be started within ten seconds, on SQLite
    /// from the first statement.
    pub async fn begin(&self) -> Result<Tx, Error> {
        Tx::begin(self.inner.clone()).await
    }

    /// Runs `work` in a transaction and commits. When the database ends it for
    /// the sake of a concurrent one, all of it is run again, so `work` must
    /// have no effect but on the transaction.
    ///
    /// # Errors
    /// Those of `work`, after which nothing was changed, and of the commit.
    pub async fn transaction<T, E, F>(&self, mut work: F) -> Result<T, E>
    where
        E: From<Error>,
        F: for<'t> FnMut(&'t mut Tx) -> BoxFuture<'t, Result<T, E>>,
    {
        let mut attempt = 1;
        loop {
            let mut tx = self.begin().await?;
            let worked = work(&mut tx).await;
            let again = attempt < MAX_ATTEMPTS;
            match worked {
                Ok(answer) => match tx.commit().await {
                    Ok(()) => return Ok(answer),
                    Err(error) if again && error.is_contention() => {}
                    Err(error) => return Err(error.into()),
                },
                Err(error) => {
                    let contended = tx.contended();
                    // Waited for, so that who sees the error also sees the state
                    // before; when it fails, the database does it by itself.
                    let _ = tx.rollback().await;
                    if !(again && contended) {
                        return Err(error);
                    }
                }
            }
            attempt += 1;
        }
    }

    /// Runs a reading statement outside of any transaction; parameters are
    /// `$1`, `$2`, … Sees everything that was committed before.
    ///
    /// # Errors
    /// [`Error::Database`] also when the statement writes.
    pub async fn query(&self, sql: impl Into<Text>, params: Vec<Value>) -> Result<Vec<Row>, Error> {
        let (sql, home) = (sql.into(), &self.inner.home);
        match &self.inner.engine {
            Engine::Sqlite(sqlite) => {
                let read =
                    move |connection: &_| sqlite::statement::query(connection, &sql, &params);
                sqlite.readers.run(read).await
            }
            Engine::Postgres(postgres) => {
                home.run(statement::query(&postgres.readers, sql, params)).await
            }
        }
    }

    /// Like [`Store::query`], for at most one row.
    ///
    /// # Errors
    /// As [`Store::query`].
    pub async fn query_one(
        &self,
        sql: impl Into<Text>,
        params: Vec<Value>,
    ) -> Result<Option<Row>, Error> {
        Ok(self.query(sql, params).await?.into_iter().next())
    }

    /// Reads row by row on PostgreSQL until `visit` has enough.
    pub(crate) async fn scan(
        &self,
        sql: impl Into<Text>,
        params: Vec<Value>,
        visit: &mut Visitor<'_>,
    ) -> Result<(), Error> {
        match &self.inner.engine {
            Engine::Postgres(postgres) => {
                let scanned = statement::scan(&postgres.readers, sql.into(), params, visit);
                self.inner.home.run(scanned).await
            }
            Engine::Sqlite(_) => unreachable!("its caller knows the dialect"),
        }
    }

    /// SQLite's connections, unless this is PostgreSQL.
    pub(crate) fn sqlite(&self) -> Option<&Sqlite> {
        match &self.inner.engine {
            Engine::Sqlite(sqlite) => Some(sqlite),
            Engine::Postgres(_) => None,
        }
    }

    /// Runs what needs PostgreSQL's own connections.
    pub(crate) async fn on_postgres<'s, F: Future>(
        &'s self,
        run: impl FnOnce(&'s sqlx::PgPool) -> F,
    ) -> F::Output {
        match &self.inner.engine {
            Engine::Postgres(postgres) => self.inner.home.run(run(&postgres.writers)).await,
            Engine::Sqlite(_) => unreachable!("its caller knows the dialect"),
        }
    }

    /// Who writes appends together on PostgreSQL.
    pub(crate) fn appends(&self) -> &log::Appends {
        match &self.inner.engine {
            Engine::Postgres(postgres) => &postgres.appends,
            Engine::Sqlite(_) => unreachable!("its caller knows the dialect"),
        }
    }

    pub(crate) fn signal(&self) -> &Arc<log::Signal> {
        &self.inner.signal
    }

    pub(crate) fn tail(&self) -> &log::Tail {
        &self.inner.tail
    }

    pub(crate) fn enqueued(&self) -> &Arc<task::Enqueued> {
        &self.inner.enqueued
    }

    /// Closes all connections and waits until they are; for a clean end of a
    /// process. Other clones of the store fail from here on.
    pub async fn close(&self) {
        for task in &self.inner.tasks {
            task.abort();
        }
        match &self.inner.engine {
            Engine::Sqlite(sqlite) => {
                sqlite.readers.close().await;
                sqlite.writer.close().await;
            }
            Engine::Postgres(postgres) => {
                postgres.appends.close().await;
                postgres.background.close().await;
                postgres.readers.close().await;
                postgres.writers.close().await;
            }
        }
    }
}

impl Engine {
    async fn open(url: &str, signal: Arc<log::Signal>) -> Result<Self, Error> {
        match Location::of(url)? {
            Location::Sqlite(path) => Sqlite::open(path, signal).await.map(Self::Sqlite),
            Location::Postgres { url, accepted } => {
                Postgres::open(&url, &accepted, signal).await.map(Self::Postgres)
            }
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Store").field("dialect", &self.dialect()).finish_non_exhaustive()
    }
}
