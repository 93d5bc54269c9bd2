//! The rules of the bank. Pure: a decision looks at a state and answers events,
//! and a state is the fold of its events. Time and ids come in as arguments.

pub mod account;
pub mod money;
pub mod names;
pub mod transfer;

pub use account::Account;
pub use money::{Currency, Money};
pub use names::{AccountId, Etag, TransferId, UserId};
pub use transfer::Transfer;

/// A time in microseconds since 1970, UTC: what both databases keep.
pub type Micros = i64;
