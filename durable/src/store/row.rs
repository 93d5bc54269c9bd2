//! Rows of an answer, whichever database it came from.

use sqlx::{Row as _, postgres::PgRow};

use rusqlite::types::Value as Stored;

use super::sqlite::LocalRow;
use crate::Error;

/// A row.
pub struct Row(Kind);

enum Kind {
    Local(LocalRow),
    Postgres(PgRow),
}

impl Row {
    /// The value of a column; `Option` where it may be null.
    ///
    /// # Errors
    /// [`Error::Database`] when there is no such column or it has another type.
    pub fn get<T: FromColumn>(&self, column: &str) -> Result<T, Error> {
        Ok(match &self.0 {
            Kind::Local(row) => {
                T::from_stored(row.value(column)?).ok_or_else(|| mismatch::<T>(column))?
            }
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

impl From<LocalRow> for Row {
    fn from(row: LocalRow) -> Self {
        Self(Kind::Local(row))
    }
}

impl From<PgRow> for Row {
    fn from(row: PgRow) -> Self {
        Self(Kind::Postgres(row))
    }
}

/// A type that a column can be read as.
pub trait FromColumn: Sized {
    /// Reads it from PostgreSQL.
    ///
    /// # Errors
    /// When the column is missing or of another type.
    fn from_postgres(row: &PgRow, column: &str) -> Result<Self, sqlx::Error>;

    /// Takes what SQLite stored; `None` when it is of another type.
    fn from_stored(stored: &Stored) -> Option<Self>;
}

fn mismatch<T>(column: &str) -> sqlx::Error {
    let source = format!("it is no {}", std::any::type_name::<T>()).into();
    sqlx::Error::ColumnDecode { index: column.to_owned(), source }
}

macro_rules! columns {
    ($($type:ty: $pattern:pat => $value:expr;)*) => {$(
        impl FromColumn for $type {
            fn from_postgres(row: &PgRow, column: &str) -> Result<Self, sqlx::Error> {
                row.try_get(column)
            }

            fn from_stored(stored: &Stored) -> Option<Self> {
                match stored {
                    $pattern => Some($value),
                    _ => None,
                }
            }
        }

        impl FromColumn for Option<$type> {
            fn from_postgres(row: &PgRow, column: &str) -> Result<Self, sqlx::Error> {
                row.try_get(column)
            }

            fn from_stored(stored: &Stored) -> Option<Self> {
                match stored {
                    Stored::Null => Some(None),
                    stored => <$type>::from_stored(stored).map(Some),
                }
            }
        }
    )*};
}

columns! {
    i64: Stored::Integer(value) => *value;
    // SQLite has no type for it.
    bool: Stored::Integer(value) => *value != 0;
    f64: Stored::Real(value) => *value;
    String: Stored::Text(value) => value.clone();
    Vec<u8>: Stored::Blob(value) => value.clone();
}
