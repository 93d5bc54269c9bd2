//! Commands for who operates the system: what it does by itself, and what waits
//! for a human.

use std::num::NonZeroU32;

use clap::{Subcommand, ValueEnum};
use mesh::proto::SagaStatus;

/// `titan sagas`
#[derive(Debug, clap::Args)]
pub(crate) struct Sagas {
    /// What to do with them.
    #[command(subcommand)]
    pub command: SagasCommand,
    /// Only those of this application
    #[arg(long, global = true, value_name = "APP", value_parser = super::application)]
    pub app: Option<String>,
}

/// What `titan sagas` can do.
#[derive(Debug, Subcommand)]
pub(crate) enum SagasCommand {
    /// List sagas; without --status those that are not over
    List {
        /// Only those that stand so
        #[arg(long, value_enum)]
        status: Option<Standing>,
        /// Only those of this definition
        #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
        definition: String,
        /// At most so many of each application and status
        #[arg(short = 'n', long, value_name = "SAGAS", default_value = "50")]
        limit: NonZeroU32,
        /// Print a titan.mesh.v1.Saga as JSON on each line
        #[arg(long)]
        json: bool,
    },
    /// Show a saga and everything that happened to it
    Show {
        /// The saga
        id: String,
        /// Print titan.mesh.v1.GetSagaResponse as JSON
        #[arg(long)]
        json: bool,
    },
    /// Try the step that needs attention again
    Retry {
        /// The saga
        id: String,
        /// Why; stands in its history
        #[arg(long, default_value = "", hide_default_value = true)]
        reason: String,
    },
    /// Leave out the step that needs attention: it was done by hand
    Skip {
        /// The saga
        id: String,
        /// Why nothing has to be done any more; stands in its history
        #[arg(long)]
        reason: String,
    },
    /// Turn a saga back that has not passed its pivot
    Cancel {
        /// The saga
        id: String,
        /// Why; stands in its history
        #[arg(long, default_value = "", hide_default_value = true)]
        reason: String,
    },
}

/// How a saga stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Standing {
    /// It goes forward
    Running,
    /// It goes back
    Compensating,
    /// It waits for a human
    NeedsAttention,
    /// Every step was done
    Completed,
    /// Every step that may have been done was undone
    Compensated,
    /// It ended as a human decided
    Resolved,
}

impl From<Standing> for SagaStatus {
    fn from(standing: Standing) -> Self {
        match standing {
            Standing::Running => Self::Running,
            Standing::Compensating => Self::Compensating,
            Standing::NeedsAttention => Self::NeedsAttention,
            Standing::Completed => Self::Completed,
            Standing::Compensated => Self::Compensated,
            Standing::Resolved => Self::Resolved,
        }
    }
}

/// `titan tasks`
#[derive(Debug, clap::Args)]
pub(crate) struct Tasks {
    /// What to do with them.
    #[command(subcommand)]
    pub command: TasksCommand,
    /// Only those of this application
    #[arg(long, global = true, value_name = "APP", value_parser = super::application)]
    pub app: Option<String>,
}

/// What `titan tasks` can do.
#[derive(Debug, Subcommand)]
pub(crate) enum TasksCommand {
    /// List the tasks that were given up
    List {
        /// Print a titan.mesh.v1.DeadTask as JSON on each line
        #[arg(long)]
        json: bool,
    },
    /// Give a task that was given up its attempts again
    Requeue {
        /// Its kind
        kind: String,
        /// Its key; a recurring task has none
        #[arg(default_value = "", hide_default_value = true)]
        key: String,
    },
    /// Remove a task that was given up
    Discard {
        /// Its kind
        kind: String,
        /// Its key; a recurring task has none
        #[arg(default_value = "", hide_default_value = true)]
        key: String,
    },
}

/// `titan doctor`
#[derive(Debug, clap::Args)]
pub(crate) struct Doctor {
    /// Databases to look at, instead of those of the data directory
    #[arg(value_name = "URL")]
    pub urls: Vec<String>,
    /// Where the services keep their state, if `titan up` was told
    #[arg(long, value_name = "URL", value_parser = super::database, conflicts_with = "urls")]
    pub database: Option<String>,
    /// Accept what this check finds, whatever that is (may be repeated)
    #[arg(long, value_name = "CHECK")]
    pub allow: Vec<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}
