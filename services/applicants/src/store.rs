//! The tables of this service. Reads that a change rests on lock their row by
//! writing it to itself, the one row lock that both databases know: the later of
//! two racing changes waits, and then decides on what the first left. Locks are
//! taken in the order project, submissions, applicant, so they cannot cross.

mod applicants;
mod projects;
mod submissions;

use durable::Migration;

pub(crate) use applicants::{applicant, lock_applicant, save_applicant};
pub(crate) use projects::{lock_project, save_project};
pub(crate) use submissions::{
    LISTING, insert_submission, list_submissions, live_submission, lock_submission,
    lock_submissions, save_submission, submission,
};

/// The tables.
pub const MIGRATIONS: &[Migration] = &[
    Migration::new(1, "projects", projects::TABLE),
    Migration::new(2, "submissions", submissions::TABLE),
    Migration::new(3, "applicants", applicants::TABLE),
];
