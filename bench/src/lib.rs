//! Measures hot paths beside their baselines in the same run and prints ratios:
//! machines differ, ratios hold.
//!
//! A measurement takes three processes: one that runs it, one that serves, one
//! that loads. Both others are this program again, so that a subject and its
//! baseline differ in nothing but what is compared, and CPU time is counted for
//! each side.

mod args;
mod callgrind;
mod child;
mod deadline;
mod durable;
mod echo;
mod edge;
mod envoy;
mod features;
mod fixture;
mod floor;
mod load;
mod open;
mod overload;
mod report;
mod run;
mod serve;
mod sidecar;
mod slow;
mod unary;
mod usage;
mod work;

use clap::Parser as _;

/// Does what the command line says: measures, or is one side of a measurement.
///
/// # Errors
/// What keeps a measurement from being made.
pub fn main() -> anyhow::Result<()> {
    match args::Args::parse().command {
        args::Command::Run(options) => run::run(&options),
        args::Command::Serve(options) => serve::serve(&options),
        args::Command::Load(options) => load::load(&options),
    }
}
