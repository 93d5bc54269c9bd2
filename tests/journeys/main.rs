//! Journeys through a running system: processes as `titan up` starts them, and
//! clients that nobody here wrote. What a machine does not have is left out,
//! unless `TITAN_TEST_BACKENDS=all` demands it.
#![allow(clippy::unwrap_used, unreachable_pub)]
// What was left out, and what a system said before a test failed.
#![allow(clippy::print_stderr)]

mod backup;
mod chaos;
mod client;
mod command_line;
mod crash;
mod databases;
mod grpcurl;
mod openapi;
mod operator;
mod python;
mod racing;
mod refusals;
mod rest;
mod restart;
mod shop;
mod system;
mod tools;
mod traces;
