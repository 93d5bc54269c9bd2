//! What the service does: commands, and the expiry of reservations.

mod answer;
pub(crate) mod commands;
mod events;
mod expiry;
mod handlers;

pub(crate) use commands::Commands;
pub use expiry::{expire, expiring};

use crate::domain::{product, reservation, stock};

/// Why a command or a query did not do what it says.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A product said no.
    #[error(transparent)]
    Product(#[from] product::Refusal),
    /// A reservation said no.
    #[error(transparent)]
    Reservation(#[from] reservation::Refusal),
    /// More arrived than can be.
    #[error(transparent)]
    Stock(#[from] stock::TooMany),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] durable::Error),
}
