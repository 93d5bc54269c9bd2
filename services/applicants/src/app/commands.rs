//! Commands: what may be asked to happen, as plain values, and the layers that
//! each of them passes on its way to its handler.

use durable::{
    Store,
    command::{self, Command, Handler, Validate, handler},
};
use titan::applicants::v1 as proto;
use tower::{ServiceBuilder, ServiceExt as _, util::BoxCloneSyncService};

use super::{
    Error, Projects,
    ask::AskLayer,
    handlers::{Decide, Start},
};
use crate::domain::{
    Intent, Micros, SubmissionId, UserId,
    submission::{Refusal, check_comment},
};

/// Applies for a project.
#[derive(Clone, Debug)]
pub(crate) struct StartSubmission {
    pub(crate) submission: SubmissionId,
    pub(crate) by: UserId,
    pub(crate) comment: String,
    pub(crate) at: Micros,
}

/// Accepts a submission.
#[derive(Clone, Debug)]
pub(crate) struct ApproveSubmission {
    pub(crate) submission: SubmissionId,
    pub(crate) intent: Intent,
}

/// Withdraws a submission.
#[derive(Clone, Debug)]
pub(crate) struct CancelSubmission {
    pub(crate) submission: SubmissionId,
    pub(crate) intent: Intent,
}

impl Validate for StartSubmission {
    type Error = Refusal;

    fn validate(&self) -> Result<(), Refusal> {
        check_comment(&self.comment)
    }
}

/// A command's way to its handler. The answer is a message of the contract, since
/// that is what is kept and given again when a call is repeated.
type Way<C> = BoxCloneSyncService<Command<C>, proto::Submission, Error>;

/// The ways of all commands.
#[derive(Clone)]
pub(crate) struct Commands {
    start: Way<StartSubmission>,
    approve: Way<ApproveSubmission>,
    cancel: Way<CancelSubmission>,
}

impl Commands {
    /// `most` is how many submissions a project takes in.
    pub(crate) fn new(store: &Store, projects: Projects, most: i64) -> Self {
        // Outermost first.
        let start = ServiceBuilder::new()
            // The span holds all that follows.
            .layer(command::trace())
            // Nobody is asked for a command that is wrong in itself.
            .layer(command::validate())
            // Before the transaction, which would be held for as long as it takes.
            .layer(AskLayer(projects))
            .layer(command::transaction(store.clone()))
            // Within it: an answer is kept when its effect is.
            .layer(command::idempotent())
            .service(handler(Start { most }));
        Self { start: Way::new(start), approve: decide(store), cancel: decide(store) }
    }

    pub(crate) async fn start(&self, it: Command<StartSubmission>) -> Answer {
        self.start.clone().oneshot(it).await
    }

    pub(crate) async fn approve(&self, it: Command<ApproveSubmission>) -> Answer {
        self.approve.clone().oneshot(it).await
    }

    pub(crate) async fn cancel(&self, it: Command<CancelSubmission>) -> Answer {
        self.cancel.clone().oneshot(it).await
    }
}

type Answer = Result<proto::Submission, Error>;

/// The way of a command on a submission that is there: nothing can be wrong with
/// it in itself, and nobody has to be asked.
fn decide<C: Send + 'static>(store: &Store) -> Way<C>
where
    Decide: Handler<C, Answer = proto::Submission, Error = Error>,
{
    let way = ServiceBuilder::new()
        .layer(command::trace())
        .layer(command::transaction(store.clone()))
        .layer(command::idempotent())
        .service(handler(Decide));
    Way::new(way)
}
