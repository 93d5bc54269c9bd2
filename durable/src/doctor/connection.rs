//! One connection to either database, outside of any store: a store would bring
//! the schema up to date and refuse what is to be examined.

use std::str::FromStr as _;

use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection, SqliteConnection,
    postgres::PgConnectOptions,
    sqlite::{SqliteConnectOptions, SqliteSynchronous},
};

use crate::{Error, store::Location};

/// See the module.
pub(super) enum Connection {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl Connection {
    pub(super) async fn open(url: &str) -> Result<Self, Error> {
        match Location::of(url)? {
            Location::Sqlite(path) => {
                let options = SqliteConnectOptions::new()
                    .filename(path)
                    .create_if_missing(false)
                    // As a store asks for it; what became of it is read back.
                    .synchronous(SqliteSynchronous::Full)
                    .pragma("query_only", "ON");
                Ok(Self::Sqlite(options.connect().await?))
            }
            Location::Postgres { url, .. } => {
                let options = PgConnectOptions::from_str(&url)?.application_name("titan doctor");
                Ok(Self::Postgres(options.connect().await?))
            }
        }
    }

    /// The one text that a statement answers.
    pub(super) async fn text(&mut self, sql: &str) -> Result<String, Error> {
        let sql = AssertSqlSafe(sql.to_owned());
        Ok(match self {
            Self::Sqlite(sqlite) => sqlx::query_scalar(sql).fetch_one(sqlite).await?,
            Self::Postgres(postgres) => sqlx::query_scalar(sql).fetch_one(postgres).await?,
        })
    }

    /// The column of numbers that a statement answers.
    pub(super) async fn numbers(&mut self, sql: &str) -> Result<Vec<i64>, Error> {
        let sql = AssertSqlSafe(sql.to_owned());
        Ok(match self {
            Self::Sqlite(sqlite) => sqlx::query_scalar(sql).fetch_all(sqlite).await?,
            Self::Postgres(postgres) => sqlx::query_scalar(sql).fetch_all(postgres).await?,
        })
    }

    /// The one number that a statement answers; zero for none.
    pub(super) async fn number(&mut self, sql: &str) -> Result<i64, Error> {
        Ok(self.numbers(sql).await?.first().copied().unwrap_or_default())
    }

    /// Whether a table is there: an older program made fewer of them.
    pub(super) async fn has(&mut self, table: &str) -> Result<bool, Error> {
        let sql = match self {
            Self::Sqlite(_) => format!("SELECT count(*) FROM sqlite_schema WHERE name = '{table}'"),
            Self::Postgres(_) => {
                format!("SELECT (to_regclass('{table}') IS NOT NULL)::int::bigint")
            }
        };
        Ok(self.number(&sql).await? > 0)
    }

    pub(super) async fn close(self) -> Result<(), Error> {
        match self {
            Self::Sqlite(sqlite) => sqlite.close().await?,
            Self::Postgres(postgres) => postgres.close().await?,
        }
        Ok(())
    }
}

/// The file behind an SQLite URL.
pub(super) fn path(url: &str) -> Option<&str> {
    match Location::of(url) {
        Ok(Location::Sqlite(path)) => Some(path),
        _ => None,
    }
}
