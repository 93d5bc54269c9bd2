//! What this service knows of a project, from two sources that may overtake each
//! other: the feed of the projects service, and its answers to calls.

use super::{Micros, ProjectId, submission::Refusal};

/// A title, and the `update_time` of the project with which it was told.
///
/// That time grows strictly with every change of a project, wherever it is read,
/// so it orders what the feed and an answer say about the title. A position in
/// the feed could not: an answer has none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Title {
    /// The text.
    pub text: String,
    /// True as of this `update_time`.
    pub as_of: Micros,
}

/// How far a project's life is known to have come. Never goes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// Open for applications, as far as is known.
    Open,
    /// Closed for good.
    Archived,
    /// Gone.
    Deleted,
}

/// A project as this service knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Project {
    /// Its name.
    pub id: ProjectId,
    /// The newest title heard of.
    pub title: Title,
    /// The furthest standing heard of.
    pub standing: Standing,
    /// Submissions ever started for it.
    pub submissions: i64,
}

impl Project {
    /// A project that nothing has been heard of.
    pub fn unheard(id: ProjectId) -> Self {
        let title = Title { text: String::new(), as_of: 0 };
        Project { id, title, standing: Standing::Open, submissions: 0 }
    }

    /// Hears of a title; an older one than is known says nothing.
    pub fn hear_title(&mut self, title: Title) {
        if title.as_of > self.title.as_of {
            self.title = title;
        }
    }

    /// Hears of a standing; an earlier one than is known says nothing.
    pub fn hear_standing(&mut self, standing: Standing) {
        self.standing = self.standing.max(standing);
    }

    /// Takes in one more submission, unless that would be more than `most`.
    pub fn take_in(&mut self, most: i64) -> Result<(), Refusal> {
        if self.submissions >= most {
            return Err(Refusal::ProjectFull);
        }
        self.submissions += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn title(text: &str, seconds: i64) -> Title {
        let as_of = seconds * 1_000_000;
        Title { text: text.into(), as_of }
    }

    #[test]
    fn the_newest_title_wins_in_whatever_order_it_is_heard() {
        for order in [[1, 2, 3], [1, 3, 2], [2, 1, 3], [2, 3, 1], [3, 1, 2], [3, 2, 1]] {
            let mut project = Project::unheard(ProjectId::named("projects/bridge"));
            for seconds in order {
                project.hear_title(title(&seconds.to_string(), seconds));
            }
            assert_eq!(project.title, title("3", 3), "{order:?}");
        }
    }

    #[test]
    fn a_project_takes_in_so_many_submissions_and_no_more() {
        let mut project = Project::unheard(ProjectId::named("projects/bridge"));
        assert_eq!((project.take_in(2), project.take_in(2)), (Ok(()), Ok(())));
        assert_eq!(project.take_in(2), Err(Refusal::ProjectFull));
        assert_eq!(project.submissions, 2);
    }

    #[test]
    fn a_project_that_was_deleted_does_not_come_back() {
        let mut project = Project::unheard(ProjectId::named("projects/bridge"));
        project.hear_standing(Standing::Deleted);
        project.hear_standing(Standing::Open);
        project.hear_standing(Standing::Archived);
        assert_eq!(project.standing, Standing::Deleted);
    }
}
