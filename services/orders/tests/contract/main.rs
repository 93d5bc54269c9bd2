//! The orders service at its public boundary, on every database there is, beside
//! a shop that the test directs.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod cancelling;
mod placing;
mod processing;
mod racing;
mod repeating;
mod seeing;
mod shop;
mod support;
mod together;
