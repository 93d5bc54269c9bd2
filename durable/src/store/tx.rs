//! A transaction, owned by whoever holds it.

use std::{fmt, sync::Arc};

use sqlx::Transaction;

use super::{
    Dialect, Engine, Inner,
    home::Kept,
    sqlite::{self, LocalTx},
    statement::{self, Text},
};
use crate::{Error, Event, Row, Value, log::reference, task};

/// A transaction. Owned and `Send`: layers hand it inward and get it back.
/// Dropping it rolls back. On SQLite it has, from its first statement on, the one
/// writing connection of the process, and others may wait to be committed with
/// it: so no other service is called, and no other transaction awaited, within
/// one. Its statements run there on the caller's thread, without a hop.
pub struct Tx {
    kind: Kind,
    store: Arc<Inner>,
    /// What the feed is told after the commit.
    appended: Option<Appended>,
    /// Who caused this, when no call is being handled.
    actor: String,
    /// What waits for the commit, in the order in which it was asked for.
    hooks: Vec<Hook>,
    /// What its events belong to.
    correlation: String,
    /// The event that they are an effect of, as stream and version; zero for none.
    /// Most consumers append nothing, so its reference is written when it is needed.
    effect_of: (String, i64),
    broken: bool,
    contended: bool,
    unavailable: bool,
}

/// See [`Tx::after_commit`].
type Hook = Box<dyn FnOnce() + Send>;

enum Kind {
    Sqlite(LocalTx),
    Postgres(Kept<Transaction<'static, sqlx::Postgres>>),
}

/// Events of this transaction, for the wake-up after its commit.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Appended {
    /// They have their positions.
    Until(i64),
    /// The sequencer will number them.
    Unnumbered,
}

impl Tx {
    pub(super) async fn begin(store: Arc<Inner>) -> Result<Self, Error> {
        let home = &store.home;
        let kind = match &store.engine {
            Engine::Sqlite(sqlite) => Kind::Sqlite(sqlite.writer.begin()),
            Engine::Postgres(postgres) => {
                let connection = home.run(postgres.writers.acquire()).await?;
                // The pool knows of a transaction when BEGIN was answered. Given up
                // before that, the connection would rest within one.
                let tx = home.finish(Transaction::begin(connection, None)).await?;
                Kind::Postgres(home.keep(tx))
            }
        };
        Ok(Self {
            kind,
            store,
            appended: None,
            actor: String::new(),
            hooks: Vec::new(),
            correlation: String::new(),
            effect_of: (String::new(), 0),
            broken: false,
            contended: false,
            unavailable: false,
        })
    }

    /// Which database this is.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        match self.kind {
            Kind::Sqlite(_) => Dialect::Sqlite,
            Kind::Postgres(_) => Dialect::Postgres,
        }
    }

    /// Runs a statement that answers rows; parameters are `$1`, `$2`, …
    ///
    /// # Errors
    /// After one the transaction can only be rolled back, on both databases.
    pub async fn query(
        &mut self,
        sql: impl Into<Text>,
        params: Vec<Value>,
    ) -> Result<Vec<Row>, Error> {
        let sql = sql.into();
        let answer = match &mut self.kind {
            Kind::Sqlite(tx) => {
                let run = |connection: &_| sqlite::statement::query(connection, &sql, &params);
                tx.connection().await.and_then(run)
            }
            Kind::Postgres(tx) => statement::query(&mut ***tx, sql, params).await,
        };
        self.check(answer)
    }

    /// Like [`Tx::query`], for at most one row.
    ///
    /// # Errors
    /// As [`Tx::query`].
    pub async fn query_one(
        &mut self,
        sql: impl Into<Text>,
        params: Vec<Value>,
    ) -> Result<Option<Row>, Error> {
        Ok(self.query(sql, params).await?.into_iter().next())
    }

    /// Runs a statement and returns how many rows it touched.
    ///
    /// # Errors
    /// As [`Tx::query`].
    pub async fn execute(
        &mut self,
        sql: impl Into<Text>,
        params: Vec<Value>,
    ) -> Result<u64, Error> {
        let sql = sql.into();
        let answer = match &mut self.kind {
            Kind::Sqlite(tx) => {
                let run = |connection: &_| sqlite::statement::execute(connection, &sql, &params);
                tx.connection().await.and_then(run)
            }
            Kind::Postgres(tx) => statement::execute(tx, sql, params).await,
        };
        self.check(answer)
    }

    /// Runs several statements without parameters.
    pub(crate) async fn batch(&mut self, sql: String) -> Result<(), Error> {
        let answer = match &mut self.kind {
            Kind::Sqlite(tx) => {
                let run = |connection: &rusqlite::Connection| Ok(connection.execute_batch(&sql)?);
                tx.connection().await.and_then(run)
            }
            Kind::Postgres(tx) => {
                let sql = sqlx::raw_sql(sqlx::AssertSqlSafe(sql));
                sql.execute(&mut ***tx).await.map(|_| ()).map_err(Error::from)
            }
        };
        self.check(answer)
    }

    /// Makes it durable, then wakes who reads the feed.
    ///
    /// # Errors
    /// [`Error::Broken`] when a statement failed before, and nothing was
    /// committed; [`Error::Unavailable`] when the connection broke, and whether
    /// it was committed is unknown.
    pub async fn commit(self) -> Result<(), Error> {
        if self.broken {
            return Err(Error::Broken);
        }
        crate::crash::point("tx.commit.before");
        match self.kind {
            Kind::Sqlite(tx) => {
                let until = match self.appended {
                    Some(Appended::Until(position)) => Some(position),
                    Some(Appended::Unnumbered) | None => None,
                };
                // Who commits wakes the feed, also when nobody awaits this any more.
                tx.commit(until).await?;
            }
            Kind::Postgres(tx) => {
                tx.end(Transaction::commit).await?;
                if self.appended.is_some() {
                    self.store.signal.committed();
                }
            }
        }
        crate::crash::point("tx.commit.after");
        for hook in self.hooks {
            hook();
        }
        Ok(())
    }

    /// Runs `hook` in this process right after the commit, on the thread that
    /// awaits it, so it must neither block nor panic. It is dropped unrun when
    /// the transaction is rolled back, dropped or fails to commit; also when the
    /// outcome of the commit is unknown or nobody awaits it any more, so a hook
    /// may save time (waking somebody) but nothing may depend on it.
    pub fn after_commit(&mut self, hook: impl FnOnce() + Send + 'static) {
        self.hooks.push(Box::new(hook));
    }

    /// Undoes it and waits until that is done, and until what it has read is durable;
    /// dropping does not wait.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the connection broke, or what was read is not there:
    /// transactions on SQLite share a commit, and that one failed. It is undone in any
    /// case.
    pub async fn rollback(self) -> Result<(), Error> {
        match self.kind {
            Kind::Sqlite(tx) => tx.rollback().await?,
            Kind::Postgres(tx) => tx.end(Transaction::rollback).await?,
        }
        Ok(())
    }

    /// Whether a statement lost against a concurrent transaction, so that
    /// running all of it again is worth it.
    pub(super) fn contended(&self) -> bool {
        self.contended
    }

    /// Whether a statement failed for a reason that passes: whatever was to be done
    /// may work when it is done again.
    pub(crate) fn is_hindered(&self) -> bool {
        self.contended || self.unavailable
    }

    /// Says what the events appended from here on belong to, across services: the
    /// id of a saga, for instance. Without it they belong to the trace of the call
    /// that is being handled, and in a consumer to what its event belongs to.
    pub fn correlate(&mut self, correlation: &str) {
        correlation.clone_into(&mut self.correlation);
    }

    /// What is appended from here on is an effect of `event`, and of who was
    /// behind it, unless a call is being handled.
    pub(crate) fn follow_from(&mut self, event: &Event) {
        event.actor.clone_into(&mut self.actor);
        event.correlation.clone_into(&mut self.correlation);
        event.stream.clone_into(&mut self.effect_of.0);
        self.effect_of.1 = event.version;
    }

    /// Correlation and causation of what is appended now.
    pub(crate) fn cause(&self, traceparent: &str) -> (String, String) {
        let mut correlation = self.correlation.clone();
        if correlation.is_empty() {
            correlation = trace_id(traceparent);
        }
        let (stream, version) = &self.effect_of;
        let causation = if *version > 0 { reference(stream, *version) } else { String::new() };
        (correlation, causation)
    }

    /// Who is behind what is appended now.
    pub(crate) fn actor(&self) -> String {
        let caller = mesh::call::caller().actor();
        if caller.is_empty() { self.actor.clone() } else { caller }
    }

    pub(crate) fn note_appended(&mut self, appended: Appended) {
        self.appended = Some(appended);
    }

    /// What is appended from here on is done for somebody who asked for it before.
    pub(crate) fn act_for(&mut self, actor: &str, correlation: &str) {
        actor.clone_into(&mut self.actor);
        correlation.clone_into(&mut self.correlation);
    }

    /// Whom an enqueued task wakes.
    pub(crate) fn enqueued(&self) -> &Arc<task::Enqueued> {
        &self.store.enqueued
    }

    /// What was decided in it is not to become true, whoever still holds it.
    pub(crate) fn refuse_commit(&mut self) {
        self.broken = true;
    }

    /// Runs what needs SQLite's own connection, as a statement would.
    pub(crate) async fn on_sqlite<T>(
        &mut self,
        run: impl FnOnce(&rusqlite::Connection) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let answer = match &mut self.kind {
            Kind::Sqlite(tx) => tx.connection().await.and_then(run),
            Kind::Postgres(_) => unreachable!("its caller knows the dialect"),
        };
        self.check(answer)
    }

    /// PostgreSQL's own connection. What it answers is to be [checked](Tx::check).
    pub(crate) fn postgres(&mut self) -> Option<&mut sqlx::PgConnection> {
        match &mut self.kind {
            Kind::Sqlite(_) => None,
            Kind::Postgres(tx) => Some(tx),
        }
    }

    /// Remembers that a statement failed.
    pub(crate) fn check<T>(&mut self, answer: Result<T, Error>) -> Result<T, Error> {
        if let Err(error) = &answer {
            self.broken = true;
            self.contended |= error.is_contention();
            self.unavailable |= matches!(error, Error::Unavailable(_));
        }
        answer
    }
}

impl fmt::Debug for Tx {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Tx").field("dialect", &self.dialect()).finish_non_exhaustive()
    }
}

/// Of a `traceparent`, which is `version-trace-span-flags` (W3C Trace Context, 3.2).
pub(crate) fn trace_id(traceparent: &str) -> String {
    traceparent.split('-').nth(1).unwrap_or_default().to_owned()
}
