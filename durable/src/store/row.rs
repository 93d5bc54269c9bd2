//! Rows of an answer, whichever database it came from.

use sqlx::{Row as _, postgres::PgRow, sqlite::SqliteRow};

use crate::Error;

/// A row.
pub struct Row(Kind);

enum Kind {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

impl Row {
    /// The value of a column; `Option` where it may be null.
    ///
    /// # Errors
    /// [`Error::Database`] when there is no such column or it has another type.
    pub fn get<T: FromColumn>(&self, column: &str) -> Result<T, Error> {
        Ok(match &self.0 {
            Kind::Sqlite(row) => T::from_sqlite(row, column)?,
            Kind::Postgres(row) => T::from_postgres(row, column)?,
        })
    }
}

impl std::fmt::Debug for Row {
    /// Says nothing of the values, which may be secrets.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Row")
    }
}

impl From<SqliteRow> for Row {
    fn from(row: SqliteRow) -> Self {
        Self(Kind::Sqlite(row))
    }
}

impl From<PgRow> for Row {
    fn from(row: PgRow) -> Self {
        Self(Kind::Postgres(row))
    }
}

/// A type that a column can be read as.
pub trait FromColumn: Sized {
    /// Reads it from SQLite.
    ///
    /// # Errors
    /// When the column is missing or of another type.
    fn from_sqlite(row: &SqliteRow, column: &str) -> Result<Self, sqlx::Error>;

    /// Reads it from PostgreSQL.
    ///
    /// # Errors
    /// When the column is missing or of another type.
    fn from_postgres(row: &PgRow, column: &str) -> Result<Self, sqlx::Error>;
}

macro_rules! columns {
    ($($type:ty),*) => {$(
        impl FromColumn for $type {
            fn from_sqlite(row: &SqliteRow, column: &str) -> Result<Self, sqlx::Error> {
                row.try_get(column)
            }

            fn from_postgres(row: &PgRow, column: &str) -> Result<Self, sqlx::Error> {
                row.try_get(column)
            }
        }

        impl FromColumn for Option<$type> {
            fn from_sqlite(row: &SqliteRow, column: &str) -> Result<Self, sqlx::Error> {
                row.try_get(column)
            }

            fn from_postgres(row: &PgRow, column: &str) -> Result<Self, sqlx::Error> {
                row.try_get(column)
            }
        }
    )*};
}

columns!(i64, bool, f64, String, Vec<u8>);
