//! Between the wire and the domain: names, messages, and the one table from
//! errors to codes.

use durable::time;
use mesh::status::{self, field, refuse, refuse_resource};
use titan::applicants::v1 as proto;
use tonic::{Code, Status};

use crate::{
    app::Error,
    domain::{Applicant, SubmissionId, UserId, applicant, submission::Refusal},
};

const SUBMISSION: &str = "applicants.titan/Submission";

/// The user who calls.
pub(super) fn caller() -> Result<UserId, Status> {
    Ok(UserId::new(&*mesh::call::caller().user()?.id))
}

/// The submission of a resource name. One that no submission can bear is not
/// found either: the form of an id is nobody's business.
pub(super) fn submission_id(name: &str) -> Result<SubmissionId, Status> {
    SubmissionId::parse(name).ok_or_else(|| Error::from(Refusal::NoSubmission).into())
}

/// The applicant of a resource name; `applicants/me` is the caller.
pub(super) fn applicant_id(name: &str, caller: &UserId) -> UserId {
    match UserId::named(name) {
        me if me.as_str() == "me" => caller.clone(),
        other => other,
    }
}

impl From<Applicant> for proto::Applicant {
    fn from(applicant: Applicant) -> Self {
        proto::Applicant {
            name: applicant.user.applicant(),
            user: applicant.user.user(),
            submission_count: i32::try_from(applicant.submissions).unwrap_or(i32::MAX),
            create_time: Some(time::to_proto(applicant.created)),
            verify_time: Some(time::to_proto(applicant.verified)),
        }
    }
}

/// The table from errors to codes.
impl From<Error> for Status {
    fn from(error: Error) -> Self {
        match error {
            Error::Submission(refusal) => from_submission(&refusal),
            Error::Applicant(refusal) => {
                let (code, reason) = match refusal {
                    applicant::Refusal::Unknown => (Code::NotFound, "APPLICANT_NOT_FOUND"),
                    applicant::Refusal::NotSelf => (Code::PermissionDenied, "NOT_SELF"),
                };
                refuse(code, reason, refusal.to_string())
            }
            Error::Projects(status) => unanswered(&status),
            Error::Store(error) => error.into(),
        }
    }
}

fn from_submission(refusal: &Refusal) -> Status {
    let message = refusal.to_string();
    let (code, reason) = match refusal {
        Refusal::NoProject => (Code::NotFound, "PROJECT_NOT_FOUND"),
        Refusal::ProjectArchived => (Code::FailedPrecondition, "PROJECT_ARCHIVED"),
        Refusal::ProjectFull => (Code::FailedPrecondition, "PROJECT_FULL"),
        Refusal::OwnProject => (Code::FailedPrecondition, "OWN_PROJECT"),
        Refusal::AlreadyApplied(existing) => {
            let (code, reason) = (Code::AlreadyExists, "ALREADY_APPLIED");
            return refuse_resource(code, reason, SUBMISSION, existing.to_string(), message);
        }
        Refusal::NoSubmission => (Code::NotFound, "SUBMISSION_NOT_FOUND"),
        Refusal::NotInvolved => (Code::PermissionDenied, "NOT_INVOLVED"),
        Refusal::NotProjectOwner => (Code::PermissionDenied, "NOT_PROJECT_OWNER"),
        Refusal::NotApplicant => (Code::PermissionDenied, "NOT_APPLICANT"),
        Refusal::Approved => (Code::FailedPrecondition, "SUBMISSION_APPROVED"),
        Refusal::Cancelled => (Code::FailedPrecondition, "SUBMISSION_CANCELLED"),
        Refusal::Stale => (Code::Aborted, "ETAG_MISMATCH"),
        Refusal::Unreadable => {
            return status::invalid(vec![field("submission.comment", "string.pattern", message)]);
        }
    };
    refuse(code, reason, message)
}

/// Whether the call may be repeated is passed on as the projects service said it;
/// anything else that it said was not meant for our caller.
fn unanswered(status: &Status) -> Status {
    match status.code() {
        code @ (Code::Unavailable | Code::DeadlineExceeded | Code::ResourceExhausted) => {
            Status::with_details(code, status.message(), status.details().to_vec().into())
        }
        _ => status::internal(status),
    }
}
