//! The contracts of `titan.inventory.v1`: parse, decide, answer.

mod products;
mod reservations;
mod stock;
mod wire;

use durable::Store;
use tonic::{Response, Status};
use uuid::Uuid;

use crate::{app::Commands, domain::Micros};

/// Answers calls.
#[derive(Clone)]
pub(crate) struct Grpc {
    pub(crate) commands: Commands,
    pub(crate) store: Store,
    /// The time; injected, since the domain has no clock.
    pub(crate) clock: fn() -> Micros,
    /// New ids, unique and growing with time.
    pub(crate) ids: fn() -> Uuid,
}

type Answer<T> = Result<Response<T>, Status>;
