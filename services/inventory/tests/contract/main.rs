//! The inventory service at its public boundary, on every database there is.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod events;
mod expiring;
mod products;
mod racing;
mod reserving;
mod stock;
mod support;
