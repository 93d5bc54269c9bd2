//! What is wrong with a request, and where: the path of the field by its JSON
//! names, from the request message down (`project.title`, `items[2].name`,
//! `preferences["a b"]`).

use std::fmt;

/// Most violations that are collected from one request; a client fixes a few at
/// a time, and a hostile one must not make the answer larger than its question.
pub const MAX: usize = 32;

/// Longest path that is reported; keys of a map and unknown names are the
/// client's own text.
const MAX_FIELD_CHARS: usize = 256;

/// The kind of a mistake; stable, for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The body is not JSON.
    InvalidJson,
    /// Deeper or more numerous than the limits allow.
    LimitExceeded,
    /// No field of this name.
    UnknownField,
    /// A field is given twice in one place.
    DuplicateField,
    /// A value of another JSON type than the field takes.
    InvalidType,
    /// A value that the field cannot hold.
    InvalidValue,
    /// Two parts of the request say different things.
    Conflict,
    /// No query parameter of this name.
    UnknownParameter,
    /// A body where the rule has none.
    UnexpectedBody,
}

impl Reason {
    /// As it stands in `google.rpc.BadRequest.FieldViolation.reason`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Reason::InvalidJson => "INVALID_JSON",
            Reason::LimitExceeded => "LIMIT_EXCEEDED",
            Reason::UnknownField => "UNKNOWN_FIELD",
            Reason::DuplicateField => "DUPLICATE_FIELD",
            Reason::InvalidType => "INVALID_TYPE",
            Reason::InvalidValue => "INVALID_VALUE",
            Reason::Conflict => "CONFLICT",
            Reason::UnknownParameter => "UNKNOWN_PARAMETER",
            Reason::UnexpectedBody => "UNEXPECTED_BODY",
        }
    }
}

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Where.
    pub field: String,
    /// Which kind.
    pub reason: Reason,
    /// What, for people.
    pub description: String,
}

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Name(String),
    Index(usize),
    Key(String),
}

/// Where a reader stands.
#[derive(Clone, Debug, Default)]
pub(super) struct Trail(Vec<Step>);

impl Trail {
    pub(super) fn push(&mut self, step: Step) {
        self.0.push(step);
    }

    pub(super) fn pop(&mut self) {
        self.0.pop();
    }

    pub(super) fn depth(&self) -> usize {
        self.0.len()
    }
}

impl fmt::Display for Trail {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, step) in self.0.iter().enumerate() {
            match step {
                Step::Name(name) if at == 0 => formatter.write_str(name)?,
                Step::Name(name) => write!(formatter, ".{name}")?,
                Step::Index(index) => write!(formatter, "[{index}]")?,
                Step::Key(key) => write!(formatter, "[{key:?}]")?,
            }
        }
        Ok(())
    }
}

/// Collects mistakes along a trail.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) trail: Trail,
    violations: Vec<Violation>,
}

impl Findings {
    pub(super) fn add(&mut self, reason: Reason, description: impl Into<String>) {
        self.add_at(self.trail.to_string(), reason, description);
    }

    pub(super) fn add_at(&mut self, field: String, reason: Reason, description: impl Into<String>) {
        if self.violations.len() < MAX {
            let field = match field.char_indices().nth(MAX_FIELD_CHARS) {
                Some((end, _)) => format!("{}…", &field[..end]),
                None => field,
            };
            self.violations.push(Violation { field, reason, description: description.into() });
        }
    }

    /// Runs `read` one step further down.
    pub(super) fn at<T>(&mut self, step: Step, read: impl FnOnce(&mut Findings) -> T) -> T {
        self.trail.push(step);
        let result = read(self);
        self.trail.pop();
        result
    }

    pub(super) fn into_result<T>(self, value: T) -> Result<T, Vec<Violation>> {
        if self.violations.is_empty() { Ok(value) } else { Err(self.violations) }
    }
}
