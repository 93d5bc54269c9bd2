//! An order from its placing to its end: the aggregate [`Order`], whose state is
//! the fold of its [`Event`]s. Pure: time, ids and prices come in as arguments,
//! what happened goes out as events.

mod money;
mod names;
pub mod order;

pub use money::{Currency, Money};
pub use names::{Etag, OrderId, ProductId, UserId};
pub use order::{Address, Event, Fact, Intent, Item, Order, Placed, Reason, State};

/// A time in microseconds since 1970, UTC: what both databases keep.
pub type Micros = i64;
