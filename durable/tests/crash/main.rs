//! What is left after a crash: at every named point, at every write to the disk,
//! with a disk that fails, with a worker that was stopped for too long.
//!
//! `program` is a whole service in little; the tests run it as processes of its
//! own, end them, start them again, and compare what is found with a run that
//! nothing happened to. `make crash`.
#![allow(clippy::unwrap_used, reason = "a test that fails should say where")]
#![allow(clippy::print_stdout, reason = "faults are counted, and the count is shown")]

mod disk;
mod points;
mod process;
mod program;
mod takeover;
mod upkeep;
