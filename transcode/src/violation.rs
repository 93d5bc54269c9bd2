//! What is wrong with a request, and where: the path of the field by its JSON
//! names, from the request message down (`project.title`, `items[2].name`,
//! `preferences["a b"]`).

use crate::error::{JsonError, Reason};

/// Most violations that are collected from one request; a client fixes a few at
/// a time, and a hostile one must not make the answer larger than its question.
pub const MAX_VIOLATIONS: usize = 32;

/// Longest path that is reported; keys of a map and unknown names are the
/// client's own text.
const MAX_FIELD_CHARS: usize = 256;

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Where; empty for the request as a whole.
    pub field: String,
    /// Which kind.
    pub reason: Reason,
    /// What, for people.
    pub description: String,
}

/// Collects mistakes.
#[derive(Debug, Default)]
pub(crate) struct Findings(Vec<Violation>);

impl Findings {
    pub(crate) fn add(
        &mut self,
        field: impl Into<String>,
        reason: Reason,
        description: impl Into<String>,
    ) {
        if self.0.len() < MAX_VIOLATIONS {
            let mut field = field.into();
            if let Some((end, _)) = field.char_indices().nth(MAX_FIELD_CHARS) {
                field.truncate(end);
                field.push('…');
            }
            self.0.push(Violation { field, reason, description: description.into() });
        }
    }

    /// Adds what is wrong with a body.
    pub(crate) fn add_read(&mut self, read: Result<(), JsonError>) {
        if let Err(JsonError { problem, path, .. }) = read {
            self.add(path, problem.reason(), problem.to_string());
        }
    }

    pub(crate) fn into_result<T>(self, value: T) -> Result<T, Vec<Violation>> {
        if self.0.is_empty() { Ok(value) } else { Err(self.0) }
    }
}
