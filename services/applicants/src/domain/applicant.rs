//! A person who has applied for a project.

use super::{Micros, UserId};

/// A person who has applied for a project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applicant {
    /// The user.
    pub user: UserId,
    /// Submissions ever started.
    pub submissions: i64,
    /// When they first applied.
    pub created: Micros,
    /// When they last applied: the token of that call proved that they exist.
    pub verified: Micros,
}

/// Why something did not happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The caller has not applied yet.
    #[error("you have not applied for a project yet")]
    Unknown,
    /// Somebody else.
    #[error("applicants are seen by themselves only")]
    NotSelf,
}

impl Applicant {
    /// Someone who applies for the first time.
    pub fn create(user: UserId, at: Micros) -> Self {
        Applicant { user, submissions: 1, created: at, verified: at }
    }

    /// Someone known applies again.
    pub fn verify(&mut self, at: Micros) {
        self.submissions = self.submissions.saturating_add(1);
        self.verified = self.verified.max(at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn applying_again_counts_and_verifies_and_keeps_the_first_date() {
        let (first, second) = (1, 2);
        let mut applicant = Applicant::create(UserId::new("ada"), first);
        assert_eq!(applicant.submissions, 1);
        applicant.verify(second);
        applicant.verify(first);
        assert_eq!(applicant.submissions, 3);
        assert_eq!((applicant.created, applicant.verified), (first, second));
    }
}
