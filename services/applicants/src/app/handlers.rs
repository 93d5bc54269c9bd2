//! What each command does in its transaction.

use durable::{Tx, command::Handler};
use titan::applicants::v1 as proto;

use super::{
    Error,
    ask::Asked,
    commands::{ApproveSubmission, CancelSubmission},
    events::dispatch,
};
use crate::{
    domain::{
        Event, Submission, SubmissionId,
        submission::Refusal::{self, AlreadyApplied, NoProject, NoSubmission},
    },
    store,
};

/// Handles [`StartSubmission`](super::commands::StartSubmission).
#[derive(Clone, Debug)]
pub(crate) struct Start {
    /// Submissions that a project takes in.
    pub(crate) most: i64,
}

impl Handler<Asked> for Start {
    type Answer = proto::Submission;
    type Error = Error;

    async fn handle(&self, tx: &mut Tx, asked: Asked) -> Result<proto::Submission, Error> {
        let Asked { command, project: found } = asked;
        let found = found.ok_or(NoProject)?;
        let id = command.submission;
        // What was said a moment ago, and what has been heard since: the newer counts.
        let mut project = store::lock_project(tx, id.project()).await?;
        project.hear_title(found.title);
        project.hear_standing(found.standing);
        if let Some(live) = store::live_submission(tx, id.project(), &command.by).await? {
            return Err(AlreadyApplied(live.id).into());
        }
        let (submission, event) =
            Submission::start(id, &project, found.owner, command.by, command.comment, command.at)?;
        project.take_in(self.most)?;
        store::save_project(tx, &project).await?;
        store::insert_submission(tx, &submission).await?;
        dispatch(tx, &submission.id, event).await?;
        Ok(submission.into())
    }
}

/// Handles what is decided on a submission that is there.
#[derive(Clone, Debug)]
pub(crate) struct Decide;

impl Handler<ApproveSubmission> for Decide {
    type Answer = proto::Submission;
    type Error = Error;

    async fn handle(&self, tx: &mut Tx, it: ApproveSubmission) -> Result<proto::Submission, Error> {
        change(tx, &it.submission, |submission| submission.approve(&it.intent)).await
    }
}

impl Handler<CancelSubmission> for Decide {
    type Answer = proto::Submission;
    type Error = Error;

    async fn handle(&self, tx: &mut Tx, it: CancelSubmission) -> Result<proto::Submission, Error> {
        change(tx, &it.submission, |submission| submission.cancel(&it.intent)).await
    }
}

async fn change(
    tx: &mut Tx,
    id: &SubmissionId,
    decide: impl FnOnce(&mut Submission) -> Result<Option<Event>, Refusal>,
) -> Result<proto::Submission, Error> {
    let mut submission = store::lock_submission(tx, id).await?.ok_or(NoSubmission)?;
    if let Some(event) = decide(&mut submission)? {
        store::save_submission(tx, &submission).await?;
        dispatch(tx, id, event).await?;
    }
    Ok(submission.into())
}
