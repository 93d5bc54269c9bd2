//! What the bank does: commands on accounts, questions about them, and transfers
//! between them.

mod answer;
pub(crate) mod commands;
mod handlers;
pub(crate) mod queries;
mod transferring;

pub(crate) use answer::account;
pub(crate) use commands::Commands;
pub(crate) use transferring::{MoveMoney, definition};

use durable::aggregate::Failure;

use crate::domain::{account::Refusal as AccountRefusal, transfer::Refusal as TransferRefusal};

/// Why a command or a query did not do what it says.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// There is no such account, or there was none then.
    #[error("there is no such account")]
    NoAccount,
    /// There is no such transfer.
    #[error("there is no such transfer")]
    NoTransfer,
    /// An account said no.
    #[error(transparent)]
    Account(#[from] AccountRefusal),
    /// A transfer said no.
    #[error(transparent)]
    Transfer(#[from] TransferRefusal),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] durable::Error),
}

impl From<Failure<AccountRefusal>> for Error {
    fn from(failure: Failure<AccountRefusal>) -> Self {
        match failure {
            Failure::Missing => Error::NoAccount,
            Failure::Refused(refusal) => Error::Account(refusal),
            Failure::Store(error) => Error::Store(error),
        }
    }
}

impl From<Failure<TransferRefusal>> for Error {
    fn from(failure: Failure<TransferRefusal>) -> Self {
        match failure {
            Failure::Missing => Error::NoTransfer,
            Failure::Refused(refusal) => Error::Transfer(refusal),
            Failure::Store(error) => Error::Store(error),
        }
    }
}
