//! What the shop sells, how much of it there is, and for whom it is set aside.
//! Pure: times and ids come in as arguments, what happened goes out as events.

mod names;
pub mod product;
pub mod reservation;
pub mod stock;

pub use names::{ProductId, ReservationId};
pub use product::Product;
pub use reservation::Reservation;
pub use stock::Stock;

/// A time in microseconds since 1970, UTC: what both databases keep.
pub type Micros = i64;

/// An amount in minor units of a currency.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Money {
    /// Alphabetic code of ISO 4217.
    pub currency: String,
    /// Minor units.
    pub minor: i64,
}
