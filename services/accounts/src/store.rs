//! What the bank keeps: the events of accounts and transfers, which are its
//! truth, and two read models that can be made from them again.

mod account;
mod accounts;
mod entries;
mod transfer;
mod wire;

use durable::Migration;

pub(crate) use accounts::{Accounts, LISTING as ACCOUNTS, list_accounts};
pub(crate) use entries::{Entries, Entry, LISTING as ENTRIES, Movement, list_entries};

/// The tables of this service beside those of its events and projections: none.
pub const MIGRATIONS: &[Migration] = &[];
