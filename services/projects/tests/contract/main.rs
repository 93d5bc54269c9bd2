//! The projects service at its public boundary, on every database there is.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod changes;
mod events;
mod lists;
mod publishing;
mod support;
