//! What the service does: commands, queries, and the saga that brings a
//! confirmed order to its end.

mod answer;
mod ask;
pub(crate) mod commands;
mod handlers;
mod place_order;
mod policy;
pub(crate) mod queries;
mod shop;

use durable::aggregate::Failure;

pub(crate) use answer::answer;
pub(crate) use commands::Commands;
pub(crate) use handlers::Decide;
pub(crate) use place_order::place_order;
pub(crate) use policy::asker;
pub use shop::Shop;

use crate::domain::{Event, order::Refusal};

/// Why a command or a query did not do what it says.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The domain said no.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The inventory service did not answer.
    #[error("the inventory service did not answer")]
    Inventory(#[source] Box<tonic::Status>),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] durable::Error),
}

impl From<Failure<Refusal>> for Error {
    fn from(failure: Failure<Refusal>) -> Self {
        match failure {
            Failure::Missing => Refusal::NoOrder.into(),
            Failure::Refused(refusal) => refusal.into(),
            Failure::Store(error) => error.into(),
        }
    }
}

/// What a decision of the domain adds to an order's stream.
fn events(decided: Result<Option<Event>, Refusal>) -> Result<Vec<Event>, Refusal> {
    decided.map(|event| event.into_iter().collect())
}
