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
    /// Fewer and shorter rounds: under two minutes, and noisier.
    #[arg(long)]
    pub(crate) quick: bool,
    /// Where the report goes; the same as Markdown goes beside it.
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
    /// Settings of the mesh beside the usual ones: `key=value`.
    #[arg(long = "set")]
    pub(crate) settings: Vec<String>,
    #[command(flatten)]
    pub(crate) capacity: Capacity,
}

/// What an instance can do of `WorkService`.
#[derive(Group, Clone, Debug)]
pub(crate) struct Capacity {
    /// Pieces of work that make headway at once.
    #[arg(long, default_value_t = 1)]
    pub(crate) hands: usize,
    /// How long one takes, in milliseconds.
    #[arg(long, default_value_t = 0)]
    pub(crate) takes_ms: u64,
    /// What it calls itself.
    #[arg(long, default_value = "")]
    pub(crate) instance: String,
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
    /// Connections that the calls are spread over.
    #[arg(long, default_value_t = 1)]
    pub(crate) connections: usize,
    /// Bytes of a message, each way.
    #[arg(long, default_value_t = 64)]
    pub(crate) size: usize,
    #[arg(long, value_enum, default_value_t)]
    pub(crate) method: Method,
    /// Calls a second, all workers together; as fast as it goes without.
    #[arg(long)]
    pub(crate) rate: Option<u32>,
    /// Send a body, and this token with it.
    #[arg(long)]
    pub(crate) post: Option<String>,
    /// Settings of the mesh beside the usual ones: `key=value`.
    #[arg(long = "set")]
    pub(crate) settings: Vec<String>,
}

/// What serves or loads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Subject {
    /// The mesh's server, with one worker per core, and its channel, everything on.
    Mesh,
    /// tonic as its documentation shows it.
    TonicMultiThread,
    /// tonic on a current-thread runtime.
    TonicCurrentThread,
    /// The `h2` crate alone on both ends, on a current-thread runtime: what no
    /// gRPC on top of it can beat.
    H2,
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
            Self::H2 => "h2 alone",
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

/// The method that is called: all of them do the same, and each lacks one policy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Method {
    /// Every policy.
    #[default]
    Echo,
    /// No deadline.
    WithoutDeadline,
    /// No rules of validation.
    Unchecked,
    /// No access rule.
    Public,
    /// Never repeated.
    Once,
}
