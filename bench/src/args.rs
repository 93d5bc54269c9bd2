//! The command line, most of which this program uses to call itself.

use std::path::PathBuf;

use clap::{Args as Group, Parser, Subcommand, ValueEnum};

/// Benchmarks with their baselines.
#[derive(Parser)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Measure and print ratios.
    Run(Run),
    /// Serve one side of a measurement (used by `run`).
    #[command(hide = true)]
    Serve(Serve),
    /// Load one side of a measurement (used by `run`).
    #[command(hide = true)]
    Load(Load),
}

#[derive(Group)]
pub(crate) struct Run {
    /// Only benches whose name begins with this: `mesh/`, `edge/rest`.
    #[arg(default_value = "")]
    pub(crate) only: String,
    /// Fewer and shorter rounds: under a minute, and noisier.
    #[arg(long)]
    pub(crate) quick: bool,
    /// Where the report goes.
    #[arg(long, default_value = "target/bench/report.json")]
    pub(crate) report: PathBuf,
}

#[derive(Group)]
pub(crate) struct Serve {
    #[arg(long)]
    pub(crate) subject: Subject,
    /// What an edge calls.
    #[arg(long)]
    pub(crate) upstream: Option<String>,
}

#[derive(Group)]
pub(crate) struct Load {
    #[arg(long)]
    pub(crate) subject: Subject,
    #[arg(long)]
    pub(crate) address: String,
    #[arg(long)]
    pub(crate) calls: usize,
    #[arg(long)]
    pub(crate) concurrency: usize,
    /// Send a body, and this token with it.
    #[arg(long)]
    pub(crate) post: Option<String>,
}

/// What serves or loads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Subject {
    /// The mesh's server and channel, everything on, on a current-thread runtime.
    Mesh,
    /// tonic as its documentation shows it.
    TonicMultiThread,
    /// tonic on a current-thread runtime.
    TonicCurrentThread,
    /// The gateway, on the multi-thread runtime that it runs on.
    Edge,
    /// A handler written by hand with axum, serde and tonic's channel.
    AxumMultiThread,
    /// The same on a current-thread runtime.
    AxumCurrentThread,
    /// An HTTP/1.1 client; loads only.
    Http,
}

impl Subject {
    /// What the report calls it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Mesh => "mesh",
            Self::TonicMultiThread => "tonic multi-thread",
            Self::TonicCurrentThread => "tonic current-thread",
            Self::Edge => "titan edge",
            Self::AxumMultiThread => "axum by hand, multi-thread",
            Self::AxumCurrentThread => "axum by hand, current-thread",
            Self::Http => "http client",
        }
    }

    pub(crate) fn multi_thread(self) -> bool {
        matches!(self, Self::TonicMultiThread | Self::AxumMultiThread | Self::Edge)
    }
}
