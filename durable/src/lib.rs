//! The runtime of state: a store that is SQLite or PostgreSQL by URL, the log of
//! events written in the transaction of the state they tell of, feeds and
//! consumers that move them between services, lists, command handlers,
//! tasks and sagas.
//!
//! Everything here is one idea: an effect, the event that tells of it and the
//! note that it was done commit together, so a process may be killed at any
//! instruction.

pub mod aggregate;
pub mod archive;
pub mod backup;
pub mod command;
pub mod consumer;
pub mod crash;
mod digest;
pub mod doctor;
pub mod error;
pub mod events;
pub mod feed;
pub mod list;
pub mod log;
mod meter;
pub mod projection;
pub mod saga;
mod schema;
pub mod store;
pub mod task;
pub mod testing;
pub mod time;
pub mod upkeep;

pub use consumer::Consumer;
pub use error::{Conflict, Error};
pub use log::{Appended, Event, Expected, NewEvent};
pub use store::{Dialect, FromColumn, Migration, Row, Sql, Store, Tx, Value};
