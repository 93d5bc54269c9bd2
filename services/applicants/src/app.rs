//! What the service does: commands, queries, and what it does when it hears of a
//! project.

mod answer;
mod ask;
pub(crate) mod commands;
mod events;
mod feed;
mod handlers;
pub(crate) mod queries;

pub(crate) use ask::Projects;
pub(crate) use commands::Commands;
pub(crate) use feed::follow;

use crate::domain::{applicant, submission};

/// Why a command or a query did not do what it says.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A submission said no.
    #[error(transparent)]
    Submission(#[from] submission::Refusal),
    /// An applicant said no.
    #[error(transparent)]
    Applicant(#[from] applicant::Refusal),
    /// The projects service did not answer.
    #[error("the projects service did not answer")]
    Projects(#[source] Box<tonic::Status>),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] durable::Error),
}
