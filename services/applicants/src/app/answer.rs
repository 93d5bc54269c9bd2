//! A submission as the contract tells of it. Commands answer with it, since a
//! repeated call is given the very answer of the first.

use durable::time;
use titan::applicants::v1::{self as proto, submission::State};

use crate::domain::{Status, Submission};

impl From<Submission> for proto::Submission {
    fn from(submission: Submission) -> Self {
        let state = match submission.status {
            Status::InReview => State::InReview,
            Status::Approved { .. } => State::Approved,
            Status::Cancelled { .. } => State::Cancelled,
        };
        proto::Submission {
            name: submission.id.to_string(),
            applicant: submission.applicant.applicant(),
            state: state.into(),
            create_time: Some(time::to_proto(submission.created)),
            update_time: Some(time::to_proto(submission.updated)),
            etag: submission.etag().to_string(),
            project_title: submission.title.text,
            comment: submission.comment,
        }
    }
}
