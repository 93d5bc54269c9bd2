//! Questions. They read what is committed, change nothing and lock nothing.

use durable::{Store, list::Query};

use super::Error;
use crate::{
    domain::{Applicant, ProjectId, Submission, SubmissionId, UserId, applicant, submission},
    store,
};

/// What is this submission?
#[derive(Clone, Debug)]
pub(crate) struct GetSubmission {
    pub(crate) by: UserId,
    pub(crate) submission: SubmissionId,
}

/// Which submissions are there for a project?
#[derive(Debug)]
pub(crate) struct ListSubmissions {
    pub(crate) by: UserId,
    pub(crate) project: ProjectId,
    pub(crate) query: Query,
}

/// Who is this applicant?
#[derive(Clone, Debug)]
pub(crate) struct GetApplicant {
    pub(crate) by: UserId,
    pub(crate) applicant: UserId,
}

impl GetSubmission {
    /// Only the two sides of a submission may see it. To a stranger it is
    /// refused and not denied to exist: its name cannot be guessed.
    pub(crate) async fn run(self, store: &Store) -> Result<Submission, Error> {
        let submission = store::submission(store, &self.submission).await?;
        let submission = submission.ok_or(submission::Refusal::NoSubmission)?;
        if !submission.involves(&self.by) {
            return Err(submission::Refusal::NotInvolved.into());
        }
        Ok(submission)
    }
}

impl ListSubmissions {
    /// A page of those that the caller may see, and the token of the next page.
    /// Empty for a project that nobody has applied for, whether it exists or not.
    pub(crate) async fn run(self, store: &Store) -> Result<(Vec<Submission>, String), Error> {
        Ok(store::list_submissions(store, &self.project, &self.by, self.query).await?)
    }
}

impl GetApplicant {
    /// Refused before it is looked up, so that nobody learns who has applied.
    pub(crate) async fn run(self, store: &Store) -> Result<Applicant, Error> {
        if self.by != self.applicant {
            return Err(applicant::Refusal::NotSelf.into());
        }
        let applicant = store::applicant(store, &self.applicant).await?;
        Ok(applicant.ok_or(applicant::Refusal::Unknown)?)
    }
}
