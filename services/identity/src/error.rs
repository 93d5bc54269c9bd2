//! Why a call fails. What the caller is told of it is decided in `grpc.rs`.

use std::{path::PathBuf, time::Duration};

use crate::domain::{session, user};

/// A failure of a use case.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// By a rule about users.
    #[error(transparent)]
    User(#[from] user::Refusal),
    /// By a rule about sessions.
    #[error(transparent)]
    Session(#[from] session::Refusal),
    /// More passwords are waiting to be checked than can be in good time.
    #[error("too many passwords are waiting to be checked")]
    Busy {
        /// When to try again.
        retry_after: Duration,
    },
    /// By the database.
    #[error(transparent)]
    Store(#[from] durable::Error),
    /// Stored preferences are not the JSON that this service writes.
    #[error("stored preferences cannot be read")]
    Preferences(#[from] serde_json::Error),
    /// By a signing key.
    #[error("a signing key cannot be used")]
    Key(#[from] mesh::identity::key::KeyError),
    /// There is no key to sign with, which lasts only until the first is made.
    #[error("there is no signing key yet")]
    NoKey,
    /// By the password hash.
    #[error("a password cannot be hashed: {0}")]
    Hash(argon2::password_hash::Error),
    /// The thread that hashed a password ended without an answer.
    #[error("the hashing of a password was interrupted")]
    Interrupted(#[from] tokio::task::JoinError),
    /// The file with the first administrator's password cannot be read.
    #[error("bootstrap_admin_password_file {} cannot be read", file.display())]
    PasswordFile {
        /// The file.
        file: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The first administrator's password is too short or too long.
    #[error("a password has 8 to 128 characters; that in {} has {found}", file.display())]
    PasswordLength {
        /// The file.
        file: PathBuf,
        /// Characters of the password.
        found: usize,
    },
    /// The operating system has no random bytes.
    #[error("the operating system gave no random bytes")]
    Random,
}
