//! The names of things: ids that cannot be mixed up, and etags.

use std::fmt;

use uuid::Uuid;

/// Names a project; written as `projects/{project}`. Its form is the business
/// of the projects service.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ProjectId(String);

impl ProjectId {
    /// The project of a resource name whose form the contract has checked.
    pub fn named(name: &str) -> Self {
        ProjectId(name.to_owned())
    }

    /// The resource name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ProjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Names a submission; written as `projects/{project}/submissions/{uuid}`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SubmissionId {
    project: ProjectId,
    id: String,
}

impl SubmissionId {
    /// The submission of this unique id, for `project`.
    pub fn new(project: ProjectId, id: Uuid) -> Self {
        Self::stored(project, id.hyphenated().to_string())
    }

    /// A submission as it was stored.
    pub fn stored(project: ProjectId, id: String) -> Self {
        SubmissionId { project, id }
    }

    /// Reads a resource name; `None` when no submission can bear it. Only the
    /// canonical spelling is read, so that a submission has exactly one name.
    pub fn parse(name: &str) -> Option<Self> {
        let (project, text) = name.split_once("/submissions/")?;
        let id = Uuid::try_parse(text).ok()?;
        (id.hyphenated().to_string() == text).then(|| Self::new(ProjectId::named(project), id))
    }

    /// The bare id, without the project.
    pub fn as_str(&self) -> &str {
        &self.id
    }

    /// The project that it is for.
    pub fn project(&self) -> &ProjectId {
        &self.project
    }
}

impl fmt::Display for SubmissionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/submissions/{}", self.project, self.id)
    }
}

/// Names a user, also as an applicant, since an applicant is a user who applied.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct UserId(String);

impl UserId {
    /// The user of this id, as a token tells it.
    pub fn new(id: impl Into<String>) -> Self {
        UserId(id.into())
    }

    /// The user of a resource name, `users/{id}` or `applicants/{id}`.
    pub fn named(name: &str) -> Self {
        UserId::new(name.rsplit_once('/').map_or(name, |(_, id)| id))
    }

    /// The bare id.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As the resource `users/{user}`.
    pub fn user(&self) -> String {
        format!("users/{}", self.0)
    }

    /// As the resource `applicants/{applicant}`.
    pub fn applicant(&self) -> String {
        format!("applicants/{}", self.0)
    }
}

/// Stands for one state of a submission. Opaque to users.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Etag(String);

impl Etag {
    /// The etag of a state, by its number.
    pub(super) fn of(version: i64) -> Self {
        Etag(version.to_string())
    }

    /// What a caller sent; `None` when they left it out.
    pub fn given(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| Etag(text.to_owned()))
    }
}

impl fmt::Display for Etag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_submission_has_exactly_one_name() {
        let id = SubmissionId::new(ProjectId::named("projects/bridge"), Uuid::from_u128(0xab));
        assert_eq!(SubmissionId::parse(&id.to_string()), Some(id));
        for name in [
            "",
            "projects/bridge",
            "projects/bridge/submissions/",
            "projects/bridge/submissions/first",
            "projects/bridge/submissions/000000000000000000000000000000ab",
            "projects/bridge/submissions/00000000-0000-0000-0000-0000000000AB",
        ] {
            assert_eq!(SubmissionId::parse(name), None, "{name:?}");
        }
    }

    #[test]
    fn a_user_is_an_applicant_under_another_name() {
        let ada = UserId::named("users/ada");
        assert_eq!(UserId::named("applicants/ada"), ada);
        assert_eq!(
            (ada.user().as_str(), ada.applicant().as_str()),
            ("users/ada", "applicants/ada")
        );
    }
}
