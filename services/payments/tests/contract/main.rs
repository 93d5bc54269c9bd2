//! The payments service at its public boundary, on every database there is.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod cards;
mod changes;
mod events;
mod lost;
mod seeing;
mod support;
