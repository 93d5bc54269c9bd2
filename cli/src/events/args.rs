//! The command line of `titan events`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// `titan events`
#[derive(Debug, Args)]
pub(crate) struct Events {
    /// The application whose log or consumers are meant, such as projects
    #[arg(value_name = "APP")]
    pub app: String,
    /// What to do
    #[command(subcommand)]
    pub verb: Verb,
    /// Print JSON, one value for each line of the answer
    #[arg(long, global = true)]
    pub json: bool,
}

/// What there is to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// List events of the log, the first after a position
    List {
        #[command(flatten)]
        matching: Matching,
        /// All that setting `event_archive` has kept in this folder, in place of what
        /// is left in the log
        #[arg(long, value_name = "DIR")]
        archive: Option<PathBuf>,
    },
    /// Show one event with its payload
    Show {
        /// Its position
        position: i64,
    },
    /// Print events as they are committed, those of the past first
    Follow(Matching),
    /// Show how the application's consumers stand
    Consumers,
    /// Show who follows the application's feed, and so holds up its log
    Subscribers,
    /// List the streams that consumers have set aside
    Parked(OfConsumer),
    /// List events whose last attempt failed, and what became of them
    DeadLetters(OfConsumer),
    /// Let a parked stream go on: its events are tried again, in order
    Release {
        /// The consumer
        consumer: String,
        /// The stream
        stream: String,
        #[command(flatten)]
        decision: Decided,
    },
    /// Take the event out that a stream waits for
    Discard {
        /// The consumer
        consumer: String,
        /// The stream
        stream: String,
        /// The event's position, as `parked` shows it
        position: i64,
        #[command(flatten)]
        decision: Decided,
    },
    /// Stop a consumer in all replicas
    Pause {
        /// The consumer
        consumer: String,
        #[command(flatten)]
        decision: Decided,
    },
    /// Let a paused consumer go on where it was
    Resume {
        /// The consumer
        consumer: String,
        #[command(flatten)]
        decision: Decided,
    },
    /// Let events take effect again
    Replay {
        /// The consumer
        consumer: String,
        /// Events after this position take effect again; 0 for all
        #[arg(long, value_name = "POSITION")]
        after: i64,
        /// Allow a position ahead of where the consumer is, and skip what is between
        #[arg(long)]
        skip: bool,
        #[command(flatten)]
        decision: Decided,
    },
    /// Forget a consumer that is gone for good, or a subscriber of the feed
    Forget {
        /// The consumer, as `consumers` or `subscribers` shows it
        consumer: String,
        /// Also when it is alive, which makes it begin anew, or when events wait in its
        /// parked streams, which are lost
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        decision: Decided,
    },
}

/// Which events.
#[derive(Debug, Args)]
pub(crate) struct Matching {
    /// Only events after this position
    #[arg(long, value_name = "POSITION", default_value_t = 0)]
    pub after: i64,
    /// Only this type (may be repeated), such as titan.projects.v1.ProjectCreated
    #[arg(long = "type", value_name = "TYPE")]
    pub types: Vec<String>,
    /// Only streams that begin with this (may be repeated), such as projects/
    #[arg(long = "stream", value_name = "PREFIX")]
    pub streams: Vec<String>,
}

/// Of which consumer.
#[derive(Debug, Args)]
pub(crate) struct OfConsumer {
    /// Only of this consumer
    #[arg(default_value = "")]
    pub consumer: String,
}

/// Who decides, and why; kept with what was done.
#[derive(Debug, Args)]
pub(crate) struct Decided {
    /// Why; kept for who asks later
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// Who decides
    #[arg(long, value_name = "NAME", env = "USER")]
    pub operator: String,
}
