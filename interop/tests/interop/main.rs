//! The mesh against itself and, where they are installed, against Ruby's and
//! Python's implementations of gRPC: our client with their servers, their clients
//! with our server. What is not installed is left out, unless
//! `TITAN_TEST_BACKENDS=all` demands it.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod ours;
mod process;
mod python;
mod ruby;
