//! What SQLite refused, in the shape in which the errors of the other driver
//! are sorted: one table tells what they mean, wherever they come from.

use std::{borrow::Cow, error::Error as StdError, fmt};

use sqlx::error::{DatabaseError, ErrorKind};

use crate::Error;

#[derive(Clone, Debug)]
pub(super) struct Refusal {
    /// SQLite's extended result code.
    code: i32,
    message: String,
}

impl Refusal {
    /// The error of a transaction whose outcome is unknown, whatever the code.
    pub(super) fn unknown_outcome(&self) -> Error {
        Error::Unavailable(sqlx::Error::Database(Box::new(self.clone())))
    }

    /// SQLite has ended a transaction, as it does when it cannot go on.
    pub(super) fn rolled_back() -> Self {
        Self { code: rusqlite::ffi::SQLITE_ABORT, message: "the group was rolled back".to_owned() }
    }
}

impl From<&rusqlite::Error> for Refusal {
    fn from(error: &rusqlite::Error) -> Self {
        let code = match error {
            rusqlite::Error::SqliteFailure(error, _) => error.extended_code,
            _ => rusqlite::ffi::SQLITE_MISUSE,
        };
        let message = match error {
            rusqlite::Error::SqliteFailure(_, Some(message)) => message.clone(),
            other => other.to_string(),
        };
        Self { code, message }
    }
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        sqlx::Error::Database(Box::new(Refusal::from(&error))).into()
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} (code {})", self.message, self.code)
    }
}

impl StdError for Refusal {}

impl DatabaseError for Refusal {
    fn message(&self) -> &str {
        &self.message
    }

    fn code(&self) -> Option<Cow<'_, str>> {
        Some(self.code.to_string().into())
    }

    fn as_error(&self) -> &(dyn StdError + Send + Sync + 'static) {
        self
    }

    fn as_error_mut(&mut self) -> &mut (dyn StdError + Send + Sync + 'static) {
        self
    }

    fn into_error(self: Box<Self>) -> Box<dyn StdError + Send + Sync + 'static> {
        self
    }

    fn kind(&self) -> ErrorKind {
        use rusqlite::ffi;
        match self.code {
            ffi::SQLITE_CONSTRAINT_UNIQUE
            | ffi::SQLITE_CONSTRAINT_PRIMARYKEY
            | ffi::SQLITE_CONSTRAINT_ROWID => ErrorKind::UniqueViolation,
            ffi::SQLITE_CONSTRAINT_FOREIGNKEY => ErrorKind::ForeignKeyViolation,
            ffi::SQLITE_CONSTRAINT_NOTNULL => ErrorKind::NotNullViolation,
            ffi::SQLITE_CONSTRAINT_CHECK => ErrorKind::CheckViolation,
            _ => ErrorKind::Other,
        }
    }
}
