//! The accounts service at its public boundary, on every database there is.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod cash;
mod lives;
mod statements;
mod support;
mod transfers;
