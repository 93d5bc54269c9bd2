//! Who applies for what: the aggregates [`Submission`] and [`Applicant`], and
//! [`Project`], what this service knows of somebody else's aggregate. Pure: time
//! and ids come in as arguments, what happened goes out as an [`Event`].

pub mod applicant;
mod names;
mod project;
pub mod submission;

pub use applicant::Applicant;
pub use names::{Etag, ProjectId, SubmissionId, UserId};
pub use project::{Project, Standing, Title};
pub use submission::{Event, Intent, Status, Submission};

/// A time in microseconds since 1970, UTC: what both databases keep.
pub type Micros = i64;
