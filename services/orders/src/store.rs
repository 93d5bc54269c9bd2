//! Orders in the log, and the tables that are made of it. Nothing else is
//! written: an order is its events.

mod events;
mod orders;

use durable::Migration;

pub(crate) use events::message;
pub(crate) use orders::{LISTING, Orders, list, order};

/// This service has no tables but those that are made of its log.
pub const MIGRATIONS: &[Migration] = &[];
