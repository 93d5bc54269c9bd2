//! A project from its first day to its archive: what it holds, who may change
//! it, and what each change tells others. Pure: time and ids come in as
//! arguments, what happened goes out as an [`Event`].

use std::fmt;

use uuid::Uuid;

/// Most characters of a title, white space around it not counted.
pub const MAX_TITLE_CHARS: usize = 200;

/// A time in microseconds since 1970, UTC: what both databases keep.
pub type Micros = i64;

/// Names a project; written as `projects/{uuid}`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ProjectId(String);

impl ProjectId {
    /// The project of this unique id.
    pub fn new(id: Uuid) -> Self {
        ProjectId(format!("projects/{}", id.hyphenated()))
    }

    /// A name as it was stored.
    pub fn stored(name: String) -> Self {
        ProjectId(name)
    }

    /// Reads a resource name; `None` when no project can bear it. Only the
    /// canonical spelling is read, so that a project has exactly one name.
    pub fn parse(name: &str) -> Option<Self> {
        let text = name.strip_prefix("projects/")?;
        let id = Uuid::try_parse(text).ok()?;
        Some(ProjectId::new(id)).filter(|id| id.as_str() == name)
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

/// Names a user; written as `users/{user}`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct UserId(String);

impl UserId {
    /// The user that a token speaks for.
    pub fn new(id: &str) -> Self {
        UserId(format!("users/{id}"))
    }

    /// A name as it was stored.
    pub fn stored(name: String) -> Self {
        UserId(name)
    }

    /// The resource name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One line of 1 to [`MAX_TITLE_CHARS`] characters, without white space around
/// it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Title(String);

impl Title {
    /// Trims and checks what a user typed.
    pub fn parse(text: &str) -> Result<Self, TitleError> {
        let text = text.trim();
        if text.chars().any(|c| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')) {
            return Err(TitleError::NotOneLine);
        }
        match text.chars().count() {
            0 => Err(TitleError::Empty),
            1..=MAX_TITLE_CHARS => Ok(Title(text.to_owned())),
            _ => Err(TitleError::TooLong),
        }
    }

    /// A title as it was stored; the rules of today do not apply to it.
    pub fn stored(text: String) -> Self {
        Title(text)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why a text is no title.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TitleError {
    /// Nothing but white space.
    #[error("must not be empty")]
    Empty,
    /// More than [`MAX_TITLE_CHARS`].
    #[error("must have at most {MAX_TITLE_CHARS} characters")]
    TooLong,
    /// A line break or another control character.
    #[error("must be one line without control characters")]
    NotOneLine,
}

/// Stands for one state of a project. Opaque to users.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Etag(String);

impl Etag {
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

/// Where a project is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Open for applications and changes.
    Active,
    /// Closed for good.
    Archived {
        /// When it was closed.
        at: Micros,
    },
}

/// Something that people can apply for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Project {
    /// Its name.
    pub id: ProjectId,
    /// What it is called.
    pub title: Title,
    /// What it is about; free text.
    pub description: String,
    /// Who published it, and alone may change it.
    pub owner: UserId,
    /// Where it is in its life.
    pub state: State,
    /// When it was published.
    pub created: Micros,
    /// When it last changed. Grows strictly with every change, also when clocks
    /// differ between replicas: consumers order what they know of a project by it.
    pub updated: Micros,
    /// Counts its states; the first is 1.
    pub version: i64,
}

/// Who asks for a change, when, and which state of the project they have seen.
#[derive(Clone, Debug)]
pub struct Intent {
    /// Who asks.
    pub by: UserId,
    /// The state that the change was meant for; `None` = whichever it is.
    pub seen: Option<Etag>,
    /// When they ask.
    pub at: Micros,
}

/// New values; what is `None` stays.
#[derive(Clone, Debug, Default)]
pub struct Revision {
    /// The title.
    pub title: Option<Title>,
    /// The description.
    pub description: Option<String>,
}

/// What happened to a project, for others to hear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// It was published.
    Created {
        /// Its first title.
        title: Title,
        /// Who published it.
        owner: UserId,
    },
    /// It has another title.
    TitleChanged {
        /// The new one.
        title: Title,
        /// [`Project::updated`] after the change.
        updated: Micros,
    },
    /// It was closed for good.
    Archived,
    /// It is gone.
    Deleted,
}

/// Why a change did not happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Somebody else's project.
    #[error("only its owner may change a project")]
    NotOwner,
    /// Closed for good.
    #[error("an archived project can no longer change")]
    Archived,
    /// The caller has seen an older state.
    #[error("the project has changed since it was read")]
    Stale,
}

impl Project {
    /// A new project, open for applications.
    pub fn publish(
        id: ProjectId,
        title: Title,
        description: String,
        owner: UserId,
        at: Micros,
    ) -> (Project, Event) {
        let event = Event::Created { title: title.clone(), owner: owner.clone() };
        let state = State::Active;
        let (created, updated, version) = (at, at, 1);
        (Project { id, title, description, owner, state, created, updated, version }, event)
    }

    /// Gives it new values. Only a title that differs yields an event, and a
    /// revision that says nothing new changes nothing.
    pub fn revise(&mut self, to: Revision, intent: &Intent) -> Result<Option<Event>, Refusal> {
        self.admit(intent)?;
        if self.state != State::Active {
            return Err(Refusal::Archived);
        }
        let title = to.title.filter(|title| *title != self.title);
        let description = to.description.filter(|text| *text != self.description);
        if title.is_none() && description.is_none() {
            return Ok(None);
        }
        let updated = self.advance(intent)?;
        if let Some(description) = description {
            self.description = description;
        }
        Ok(title.map(|title| {
            self.title = title.clone();
            Event::TitleChanged { title, updated }
        }))
    }

    /// Closes it for good. Only the first archiving yields an event: a repeated
    /// call must find the same project and must not announce it twice.
    pub fn archive(&mut self, intent: &Intent) -> Result<Option<Event>, Refusal> {
        self.admit(intent)?;
        match self.state {
            State::Archived { .. } => Ok(None),
            State::Active => {
                let at = self.advance(intent)?;
                self.state = State::Archived { at };
                Ok(Some(Event::Archived))
            }
        }
    }

    /// Lets it go; an archived one too, since its owner must be able to.
    pub fn delete(mut self, intent: &Intent) -> Result<Event, Refusal> {
        self.admit(intent)?;
        self.advance(intent)?;
        Ok(Event::Deleted)
    }

    /// Stands for the present state.
    pub fn etag(&self) -> Etag {
        Etag(self.version.to_string())
    }

    fn admit(&self, intent: &Intent) -> Result<(), Refusal> {
        if intent.by == self.owner { Ok(()) } else { Err(Refusal::NotOwner) }
    }

    /// Begins the next state. Called where a change is certain, so that a call
    /// repeated after its answer was lost succeeds although its etag is the one
    /// of before: RFC 9110 §13.1.1 allows it when the state is as asked for.
    fn advance(&mut self, intent: &Intent) -> Result<Micros, Refusal> {
        if intent.seen.as_ref().is_some_and(|seen| *seen != self.etag()) {
            return Err(Refusal::Stale);
        }
        self.version += 1;
        self.updated = intent.at.max(self.updated + 1);
        Ok(self.updated)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Micros {
        seconds * 1_000_000
    }

    fn title(text: &str) -> Title {
        Title::parse(text).unwrap()
    }

    fn project() -> Project {
        let id = ProjectId::new(Uuid::from_u128(7));
        Project::publish(id, title("Bridge"), "Wood".into(), UserId::new("ada"), at(1)).0
    }

    fn intent(seconds: i64) -> Intent {
        Intent { by: UserId::new("ada"), seen: None, at: at(seconds) }
    }

    fn retitled(text: &str) -> Revision {
        Revision { title: Some(title(text)), ..Revision::default() }
    }

    #[test]
    fn a_project_starts_active_and_announces_title_and_owner() {
        let id = ProjectId::new(Uuid::from_u128(7));
        let (project, event) =
            Project::publish(id, title("Bridge"), String::new(), UserId::new("ada"), at(1));
        assert_eq!(project.state, State::Active);
        assert_eq!((project.created, project.updated), (at(1), at(1)));
        assert_eq!(event, Event::Created { title: title("Bridge"), owner: UserId::new("ada") });
    }

    #[test]
    fn a_title_is_one_trimmed_line_of_1_to_200_characters() {
        let longest = "ä".repeat(MAX_TITLE_CHARS);
        assert_eq!(title("  Bridge \n").as_str(), "Bridge");
        assert_eq!(title(&longest).as_str(), longest);
        for (text, error) in [
            ("", TitleError::Empty),
            (" \t\n", TitleError::Empty),
            (&*format!("{longest}x"), TitleError::TooLong),
            ("two\nlines", TitleError::NotOneLine),
            ("two\rlines", TitleError::NotOneLine),
            ("two\u{2028}lines", TitleError::NotOneLine),
            ("a\u{0}b", TitleError::NotOneLine),
        ] {
            assert_eq!(Title::parse(text), Err(error), "{text:?}");
        }
    }

    #[test]
    fn a_project_has_exactly_one_name() {
        let id = ProjectId::new(Uuid::from_u128(0x018f_0000));
        assert_eq!(ProjectId::parse(&id.to_string()), Some(id));
        for name in [
            "",
            "projects/",
            "projects/bridge",
            "users/00000000-0000-0000-0000-00000018f000",
            "projects/0000000000000000000000000018f000",
            "projects/00000000-0000-0000-0000-00000018F000",
        ] {
            assert_eq!(ProjectId::parse(name), None, "{name:?}");
        }
    }

    #[test]
    fn a_new_title_is_told_and_a_new_description_is_not() {
        let mut project = project();
        let event = project.revise(retitled("Tower"), &intent(2)).unwrap();
        assert_eq!(event, Some(Event::TitleChanged { title: title("Tower"), updated: at(2) }));

        let stone = Revision { description: Some("Stone".into()), ..Revision::default() };
        assert_eq!(project.revise(stone, &intent(3)), Ok(None));
        assert_eq!((project.title.as_str(), &*project.description), ("Tower", "Stone"));
        assert_eq!((project.version, project.updated), (3, at(3)));
    }

    #[test]
    fn a_revision_that_says_nothing_new_changes_nothing() {
        let mut project = project();
        let before = project.clone();
        let same = Revision { title: Some(title("Bridge")), description: Some("Wood".into()) };
        assert_eq!(project.revise(same, &intent(2)), Ok(None));
        assert_eq!(project.revise(Revision::default(), &intent(2)), Ok(None));
        assert_eq!(project, before);
    }

    #[test]
    fn archiving_twice_keeps_the_first_date_and_speaks_once() {
        let mut project = project();
        assert_eq!(project.archive(&intent(2)), Ok(Some(Event::Archived)));
        let before = project.clone();
        assert_eq!(project.archive(&intent(3)), Ok(None));
        assert_eq!(project, before);
        assert_eq!(project.state, State::Archived { at: at(2) });
    }

    #[test]
    fn an_archived_project_refuses_revisions_and_can_be_deleted() {
        let mut project = project();
        project.archive(&intent(2)).unwrap();
        let before = project.clone();
        assert_eq!(project.revise(retitled("Tower"), &intent(3)), Err(Refusal::Archived));
        assert_eq!(project, before);
        assert_eq!(project.delete(&intent(4)), Ok(Event::Deleted));
    }

    #[test]
    fn only_the_owner_changes_a_project() {
        let mut project = project();
        let before = project.clone();
        let stranger = Intent { by: UserId::new("bob"), ..intent(2) };
        assert_eq!(project.revise(retitled("Tower"), &stranger), Err(Refusal::NotOwner));
        assert_eq!(project.archive(&stranger), Err(Refusal::NotOwner));
        assert_eq!(project.clone().delete(&stranger), Err(Refusal::NotOwner));
        assert_eq!(project, before);
    }

    #[test]
    fn a_change_meant_for_another_state_is_refused() {
        let mut project = project();
        let seen = Some(project.etag());
        project.revise(retitled("Tower"), &intent(2)).unwrap();
        let before = project.clone();
        let stale = Intent { seen, ..intent(3) };
        assert_eq!(project.revise(retitled("Castle"), &stale), Err(Refusal::Stale));
        assert_eq!(project.archive(&stale), Err(Refusal::Stale));
        assert_eq!(project.clone().delete(&stale), Err(Refusal::Stale));
        assert_eq!(project, before);

        let fresh = Intent { seen: Some(project.etag()), ..intent(3) };
        assert!(project.revise(retitled("Castle"), &fresh).is_ok());
    }

    #[test]
    fn a_call_repeated_after_its_answer_was_lost_succeeds_with_its_old_etag() {
        let mut project = project();
        let first = Intent { seen: Some(project.etag()), ..intent(2) };
        project.revise(retitled("Tower"), &first).unwrap();
        assert_eq!(project.revise(retitled("Tower"), &first), Ok(None));

        let second = Intent { seen: Some(project.etag()), ..intent(3) };
        project.archive(&second).unwrap();
        assert_eq!(project.archive(&second), Ok(None));
    }

    #[test]
    fn time_moves_on_with_every_change_though_the_clock_stands_or_goes_back() {
        let mut project = project();
        project.revise(retitled("Tower"), &intent(1)).unwrap();
        assert_eq!(project.updated, at(1) + 1);
        project.revise(retitled("Castle"), &intent(0)).unwrap();
        assert_eq!(project.updated, at(1) + 2);
    }
}
