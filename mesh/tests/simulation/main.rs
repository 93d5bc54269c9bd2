//! Whole meshes without a socket or a real second: faults of the network and of
//! peers, and what must hold under all of them.
#![allow(clippy::unwrap_used)]

mod attempts;
mod chain;
mod chaos;
mod faults;
mod hedging;
mod ledger;
mod peer;
mod seeds;
