//! What can go wrong with stored state, sorted by what the caller can do about
//! it, and the one table from these errors to gRPC codes.

use mesh::status;
use tonic::{Code, Status};

/// A failure of the store or of what is built on it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Somebody else changed the same state first: redo the read-modify-write.
    #[error(transparent)]
    Conflict(#[from] Conflict),
    /// The database cannot be reached or is too busy: repeat the call later. For
    /// a commit the outcome is unknown.
    #[error("the database is unavailable")]
    Unavailable(#[source] sqlx::Error),
    /// The database refused a statement, which is a mistake in the program.
    #[error("the database refused a statement")]
    Database(#[source] sqlx::Error),
    /// An earlier statement of the transaction failed, so it cannot commit.
    /// PostgreSQL answers such a COMMIT with a silent ROLLBACK.
    #[error("the transaction cannot commit since one of its statements failed")]
    Broken,
    /// The database is set up in a way that loses what was acknowledged.
    #[error("{setting} is {found}, which can lose acknowledged writes; it must be {wanted}")]
    Unsafe {
        /// Name of the setting.
        setting: &'static str,
        /// Its value.
        found: String,
        /// What is needed.
        wanted: &'static str,
    },
    /// The URL names no database that this crate knows.
    #[error("database URL `{0}` must begin with `sqlite:` or `postgres://`")]
    Url(String),
    /// The folder of the SQLite file cannot be made.
    #[error("cannot make the folder of the database `{path}`")]
    Folder {
        /// The database file.
        path: String,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The recorded migrations are not those of this program.
    #[error("migration {version} `{name}` of {owner}: {problem}")]
    Migration {
        /// `durable` or `service`.
        owner: &'static str,
        /// Version of the migration.
        version: u32,
        /// Name of the migration.
        name: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// An event is larger than a feed may carry.
    #[error("an event of type {kind} has {bytes} bytes, {max} are allowed")]
    EventTooLarge {
        /// Full name of its message.
        kind: String,
        /// Its size.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// Events after this position are not in the log any more. Nobody is given a
    /// log with holes.
    #[error("events after position {after} were removed; the log begins after {start}")]
    Removed {
        /// Where reading was to begin.
        after: i64,
        /// The last position that was removed.
        start: i64,
    },
    /// The archive of the log cannot be written, so nothing is removed from it.
    #[error("the log cannot be archived")]
    Archive(#[from] crate::archive::Problem),
    /// Bytes that this crate stored are not what it reads.
    #[error("stored {what} cannot be decoded")]
    Corrupt {
        /// What they should be.
        what: &'static str,
        /// Why they are not.
        #[source]
        source: prost::DecodeError,
    },
    /// The stream of an aggregate holds what this program cannot fold.
    #[error("event {version} of {stream} cannot be folded: {problem}")]
    UnreadableStream {
        /// The stream.
        stream: String,
        /// Version of the event.
        version: i64,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A read model does not hold yet what was waited for: ask again later.
    #[error("`{projection}` is still behind")]
    Behind {
        /// Name of the projection.
        projection: &'static str,
    },
    /// A version was waited for that the stream does not have.
    #[error("{stream} has no version {version}")]
    NoSuchVersion {
        /// The stream.
        stream: String,
        /// The version.
        version: i64,
    },
    /// The task belongs to another worker by now, or is over: whoever was paused
    /// for longer than a lease lasts must not write. The transaction in which
    /// this was found cannot commit.
    #[error("the lease on task {kind}/{key} was lost")]
    Fenced {
        /// Kind of the task.
        kind: String,
        /// Its key.
        key: String,
    },
    /// A task is larger than the queue carries.
    #[error("task {kind}/{key} has {bytes} bytes, {max} are allowed")]
    TaskTooLarge {
        /// Kind of the task.
        kind: String,
        /// Its key.
        key: String,
        /// Its size.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// An idempotency key that is empty, too long or not printable ASCII.
    #[error("an idempotency key has 1 to 128 printable ASCII characters")]
    IdempotencyKeyInvalid,
    /// An idempotency key that was used for another request.
    #[error("the idempotency key was already used for another request")]
    IdempotencyKeyReused,
}

/// Why a write lost against another one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Conflict {
    /// A unique index holds the value already.
    #[error("a row with this value exists ({rule})")]
    Unique {
        /// The database's words: `users.email` (SQLite) or the constraint's name,
        /// `users_email_key` (PostgreSQL). Ask [`Conflict::on`].
        rule: String,
    },
    /// The stream is not where the writer believed it to be.
    #[error("stream {stream} is at version {actual}")]
    Version {
        /// The stream.
        stream: String,
        /// Its version; zero when it does not exist.
        actual: i64,
    },
    /// The database ended the transaction for the sake of another one.
    #[error("the transaction lost against a concurrent one")]
    Contention,
}

impl Conflict {
    /// Whether the unique index over this column was hit; for a PostgreSQL
    /// constraint with the name that PostgreSQL gives by itself.
    #[must_use]
    pub fn on(&self, table: &str, column: &str) -> bool {
        let Self::Unique { rule } = self else {
            return false;
        };
        let dotted = format!("{table}.{column}");
        rule.split(", ").any(|part| part == dotted) || *rule == format!("{table}_{column}_key")
    }
}

impl Error {
    /// Whether the same transaction may succeed when it is simply run again.
    #[must_use]
    pub fn is_contention(&self) -> bool {
        matches!(self, Self::Conflict(Conflict::Contention))
    }

    /// Whether a unique index over this column refused the row. A service makes
    /// its own ALREADY_EXISTS of it.
    #[must_use]
    pub fn is_duplicate(&self, table: &str, column: &str) -> bool {
        matches!(self, Self::Conflict(conflict) if conflict.on(table, column))
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Database(refusal) => match sort(refusal.as_ref()) {
                Sort::Conflict(conflict) => Self::Conflict(conflict),
                Sort::Unavailable => Self::Unavailable(error),
                Sort::Mistake => Self::Database(error),
            },
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed => Self::Unavailable(error),
            _ => Self::Database(error),
        }
    }
}

enum Sort {
    Conflict(Conflict),
    Unavailable,
    Mistake,
}

fn sort(refusal: &dyn sqlx::error::DatabaseError) -> Sort {
    if refusal.is_unique_violation() {
        let message = refusal.message();
        let rule = refusal.constraint().unwrap_or_else(|| {
            message.rsplit_once("failed: ").map_or(message, |(_, columns)| columns)
        });
        return Sort::Conflict(Conflict::Unique { rule: rule.to_owned() });
    }
    match refusal.code().as_deref().unwrap_or_default() {
        // serialization_failure, deadlock_detected
        "40001" | "40P01" => Sort::Conflict(Conflict::Contention),
        // lock_not_available, too_many_connections, cannot_connect_now, shutdowns
        "55P03" | "53300" | "57P01" | "57P02" | "57P03" => Sort::Unavailable,
        // disk_full, io_error
        "53100" | "58030" => Sort::Unavailable,
        // SQLITE_BUSY and its extended codes, SQLITE_LOCKED, SQLITE_FULL
        "5" | "261" | "517" | "773" | "6" | "13" => Sort::Unavailable,
        // SQLITE_IOERR is 10, its extended codes tell of the call in the second byte.
        code if code.len() < 5 && code.parse().is_ok_and(|code: u16| code & 0xff == 10) => {
            Sort::Unavailable
        }
        code if code.len() == 5 && code.starts_with("08") => Sort::Unavailable,
        _ => Sort::Mistake,
    }
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        match &error {
            Error::Conflict(conflict) => {
                status::refuse(Code::Aborted, "CONFLICT", conflict.to_string())
            }
            Error::Unavailable(_) => {
                tracing::warn!(error = status::chain(&error), "database unavailable");
                status::refuse(Code::Unavailable, "DATABASE_UNAVAILABLE", "try again later")
            }
            Error::Behind { .. } => {
                status::refuse(Code::Unavailable, "READ_MODEL_BEHIND", error.to_string())
            }
            Error::NoSuchVersion { .. } => {
                status::refuse(Code::OutOfRange, "VERSION_BEYOND_END", error.to_string())
            }
            Error::Fenced { .. } => status::refuse(Code::Aborted, "LEASE_LOST", error.to_string()),
            Error::Removed { .. } => {
                status::refuse(Code::OutOfRange, "POSITION_REMOVED", error.to_string())
            }
            Error::IdempotencyKeyInvalid => {
                let key = status::field("idempotency-key", "string.pattern", error.to_string());
                status::invalid(vec![key])
            }
            Error::IdempotencyKeyReused => {
                let reason = "IDEMPOTENCY_KEY_REUSED";
                status::refuse(Code::FailedPrecondition, reason, error.to_string())
            }
            _ => status::internal(&error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_become_the_codes_that_say_what_to_do() {
        let version = Conflict::Version { stream: "projects/1".into(), actual: 3 };
        let cases = [
            (Error::from(version), Code::Aborted),
            (sqlx::Error::PoolTimedOut.into(), Code::Unavailable),
            (sqlx::Error::RowNotFound.into(), Code::Internal),
            (Error::IdempotencyKeyReused, Code::FailedPrecondition),
            (Error::IdempotencyKeyInvalid, Code::InvalidArgument),
        ];
        for (error, code) in cases {
            assert_eq!(Status::from(error).code(), code);
        }
    }

    #[test]
    fn a_unique_index_is_recognised_in_the_words_of_both_databases() {
        for rule in ["users.email", "users.tenant, users.email", "users_email_key"] {
            let conflict = Conflict::Unique { rule: rule.into() };
            assert!(conflict.on("users", "email"), "{rule}");
            assert!(!conflict.on("users", "name"), "{rule}");
        }
    }
}
