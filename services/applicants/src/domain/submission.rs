//! An application of one person for one project, from review to its end.

use super::{Etag, Micros, Project, Standing, SubmissionId, Title, UserId};

/// Where a submission is in its life. Approved and cancelled are ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// Waits for the project's owner.
    InReview,
    /// Accepted.
    Approved {
        /// The project's owner.
        by: UserId,
        /// When they accepted it.
        at: Micros,
    },
    /// Withdrawn by the applicant, or void.
    Cancelled {
        /// When.
        at: Micros,
    },
}

/// An application of one person for one project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submission {
    /// Its name, which holds the project's.
    pub id: SubmissionId,
    /// A copy of the project's title.
    pub title: Title,
    /// A copy of the project's owner, who never changes.
    pub owner: UserId,
    /// Who applies.
    pub applicant: UserId,
    /// What they have to say.
    pub comment: String,
    /// Where it is in its life.
    pub status: Status,
    /// When it was started.
    pub created: Micros,
    /// When it last changed; grows strictly.
    pub updated: Micros,
    /// Counts its states; the first is 1.
    pub version: i64,
}

/// Who asks for a change, when, and which state of the submission they have seen.
#[derive(Clone, Debug)]
pub struct Intent {
    /// Who asks.
    pub by: UserId,
    /// The state that the change was meant for; `None` = whichever it is.
    pub seen: Option<Etag>,
    /// When they ask.
    pub at: Micros,
}

/// What happened to a submission. Handlers inside this service hear it in the
/// transaction that made it happen; others hear of it through the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Somebody applied.
    Started {
        /// Who.
        applicant: UserId,
        /// When.
        at: Micros,
    },
    /// The project's owner accepted.
    Approved {
        /// The owner.
        by: UserId,
    },
    /// It was withdrawn or became void.
    Cancelled,
    /// The copy of the project's title was brought up to date.
    Retitled {
        /// The title.
        text: String,
        /// Position of the project's event that told it.
        source: i64,
    },
}

/// Why something did not happen.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Nothing to apply for.
    #[error("there is no such project")]
    NoProject,
    /// Closed for good.
    #[error("the project is archived")]
    ProjectArchived,
    /// Nobody applies for what they own.
    #[error("the project is your own")]
    OwnProject,
    /// As many submissions as it may have.
    #[error("the project takes no more submissions")]
    ProjectFull,
    /// One open or approved submission for a person and a project.
    #[error("you have applied for this project: {0}")]
    AlreadyApplied(SubmissionId),
    /// There is none.
    #[error("there is no such submission")]
    NoSubmission,
    /// Neither the applicant nor the project's owner.
    #[error("only the applicant and the project's owner may see a submission")]
    NotInvolved,
    /// Somebody else's project.
    #[error("only the project's owner may approve a submission")]
    NotProjectOwner,
    /// Somebody else's submission.
    #[error("only its applicant may cancel a submission")]
    NotApplicant,
    /// Too late to cancel.
    #[error("the submission is approved")]
    Approved,
    /// Too late to approve.
    #[error("the submission is cancelled")]
    Cancelled,
    /// The caller has seen an older state.
    #[error("the submission has changed since it was read")]
    Stale,
    /// Something in the comment that nobody can read.
    #[error("must have no control characters but tabs and line breaks")]
    Unreadable,
}

/// Whether a comment can be read by people; how long it may be says the contract.
pub fn check_comment(text: &str) -> Result<(), Refusal> {
    let readable = |c: char| !c.is_control() || matches!(c, '\t' | '\n' | '\r');
    if text.chars().all(readable) { Ok(()) } else { Err(Refusal::Unreadable) }
}

impl Submission {
    /// Applies for a project, with the newest that is known of it.
    pub fn start(
        id: SubmissionId,
        project: &Project,
        owner: UserId,
        applicant: UserId,
        comment: String,
        at: Micros,
    ) -> Result<(Submission, Event), Refusal> {
        match project.standing {
            Standing::Deleted => return Err(Refusal::NoProject),
            Standing::Archived => return Err(Refusal::ProjectArchived),
            Standing::Open if owner == applicant => return Err(Refusal::OwnProject),
            Standing::Open => {}
        }
        let event = Event::Started { applicant: applicant.clone(), at };
        let (title, status) = (project.title.clone(), Status::InReview);
        let (created, updated, version) = (at, at, 1);
        let submission =
            Submission { id, title, owner, applicant, comment, status, created, updated, version };
        Ok((submission, event))
    }

    /// Accepts it. Only the first approval yields an event.
    pub fn approve(&mut self, intent: &Intent) -> Result<Option<Event>, Refusal> {
        if intent.by != self.owner {
            return Err(Refusal::NotProjectOwner);
        }
        match self.status {
            Status::Approved { .. } => Ok(None),
            Status::Cancelled { .. } => Err(Refusal::Cancelled),
            Status::InReview => {
                self.expect(intent)?;
                let (by, at) = (intent.by.clone(), self.advance(intent.at));
                self.status = Status::Approved { by: by.clone(), at };
                Ok(Some(Event::Approved { by }))
            }
        }
    }

    /// Withdraws it. Only the first cancellation yields an event.
    pub fn cancel(&mut self, intent: &Intent) -> Result<Option<Event>, Refusal> {
        if intent.by != self.applicant {
            return Err(Refusal::NotApplicant);
        }
        match self.status {
            Status::Cancelled { .. } => Ok(None),
            Status::Approved { .. } => Err(Refusal::Approved),
            Status::InReview => {
                self.expect(intent)?;
                Ok(self.void(intent.at))
            }
        }
    }

    /// Cancels it because its project is gone; what has ended stays as it is.
    pub fn void(&mut self, at: Micros) -> Option<Event> {
        if self.status != Status::InReview {
            return None;
        }
        let at = self.advance(at);
        self.status = Status::Cancelled { at };
        Some(Event::Cancelled)
    }

    /// Takes over a title that the event at `source` told. An older one than the
    /// copy says nothing, so that the title never goes back: the copy may have
    /// come from an answer that was ahead of the feed.
    pub fn retitle(&mut self, title: &Title, source: i64, at: Micros) -> Option<Event> {
        if title.as_of <= self.title.as_of {
            return None;
        }
        self.advance(at);
        self.title = title.clone();
        Some(Event::Retitled { text: title.text.clone(), source })
    }

    /// Whether `user` may see it.
    pub fn involves(&self, user: &UserId) -> bool {
        *user == self.applicant || *user == self.owner
    }

    /// Stands for the present state.
    pub fn etag(&self) -> Etag {
        Etag::of(self.version)
    }

    /// Checked where a change is certain, so that a call repeated after its
    /// answer was lost succeeds although its etag is the one of before.
    fn expect(&self, intent: &Intent) -> Result<(), Refusal> {
        match &intent.seen {
            Some(seen) if *seen != self.etag() => Err(Refusal::Stale),
            _ => Ok(()),
        }
    }

    fn advance(&mut self, at: Micros) -> Micros {
        self.version += 1;
        self.updated = at.max(self.updated + 1);
        self.updated
    }
}

#[cfg(test)]
mod tests;
