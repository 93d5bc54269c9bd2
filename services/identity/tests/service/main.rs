//! Identity as its callers see it: over gRPC, through the mesh, on every
//! database there is.
#![allow(clippy::unwrap_used, reason = "a test that fails should stop there")]
#![allow(clippy::print_stdout, reason = "a failed test tells on which database")]

mod admin;
mod keys;
mod sessions;
mod support;
mod users;
