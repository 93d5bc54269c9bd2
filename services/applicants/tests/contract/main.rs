//! The applicants service at its public boundary, on every database there is,
//! beside a projects service that the test directs.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod deciding;
mod following;
mod projects;
mod repeating;
mod seeing;
mod submitting;
mod support;
