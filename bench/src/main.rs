//! Measures hot paths beside their baselines in the same run and prints ratios:
//! machines differ, ratios hold.
//!
//! A measurement takes three processes: this one, one that serves, one that
//! loads. Both others are this program again, so that a subject and its baseline
//! differ in nothing but what is compared, and CPU time is counted for each side.

mod args;
mod child;
mod edge;
mod fixture;
mod load;
mod report;
mod run;
mod serve;
mod unary;

use clap::Parser as _;

fn main() -> anyhow::Result<()> {
    match args::Args::parse().command {
        args::Command::Run(options) => run::run(&options),
        args::Command::Serve(options) => serve::serve(&options),
        args::Command::Load(options) => load::load(&options),
    }
}
