//! A field of a message, or of a message within it: where a path, a query, or a
//! part of a body goes, and where a response comes from.

use crate::{
    error::Problem,
    program::{Field, Kind, Label, Program, Programs, Shape, WireType},
    read,
    wire::{self, Wire},
};

/// Deepest path (`a.b.c`); recursive messages have no other bound.
const MAX_STEPS: usize = 16;

/// A field by way of the messages around it, from [`crate::Schema::field_path`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldPath {
    /// Message and index of the field, outermost first.
    steps: Vec<(u32, usize)>,
    json: String,
    takes_text: bool,
    is_repeated: bool,
    message: Option<u32>,
}

impl FieldPath {
    /// Resolves names divided by `.`, each by JSON or by the contract.
    pub(crate) fn resolve(programs: &Programs, message: u32, names: &str) -> Option<FieldPath> {
        let mut steps = Vec::new();
        let mut json = String::new();
        let mut within = Some(message);
        for name in names.split('.') {
            let message = within.filter(|_| steps.len() < MAX_STEPS)?;
            let program = &programs.messages[message as usize];
            if program.shape != Shape::Object {
                return None;
            }
            let index = program.names.get(name.as_bytes())?;
            let field = &program.fields[index];
            steps.push((message, index));
            if !json.is_empty() {
                json.push('.');
            }
            json.push_str(field.json_name());
            within = match (field.kind, field.label) {
                (Kind::Message(message), Label::Explicit) => Some(message),
                _ => None,
            };
        }
        let field = field(programs, *steps.last()?);
        Some(FieldPath {
            takes_text: read::takes_text(programs, field),
            is_repeated: matches!(field.label, Label::List { .. } | Label::Map),
            message: within,
            steps,
            json,
        })
    }

    /// The path by JSON names, as in a field violation.
    #[must_use]
    pub fn json(&self) -> &str {
        &self.json
    }

    /// Whether the field, or an element of it, can be given as plain text:
    /// numbers, strings, bytes, enums, wrappers, timestamps, durations and field
    /// masks, but no maps and no other messages.
    #[must_use]
    pub fn takes_text(&self) -> bool {
        self.takes_text
    }

    /// Whether the field is a list or a map.
    #[must_use]
    pub fn is_repeated(&self) -> bool {
        self.is_repeated
    }

    /// The message type of a field that holds one message.
    #[must_use]
    pub fn message(&self) -> Option<crate::MessageId> {
        self.message.map(crate::MessageId)
    }

    /// Whether both are one field, or one lies within the other.
    #[must_use]
    pub fn overlaps(&self, other: &FieldPath) -> bool {
        let len = self.steps.len().min(other.steps.len());
        self.steps[..len] == other.steps[..len]
    }

    /// The message that has the field, and the field's index.
    pub(crate) fn last(&self) -> (u32, usize) {
        *self.steps.last().expect("a path has a step")
    }

    /// The message that has the field, put together from all its parts; nothing
    /// where that is the whole message.
    pub(crate) fn innermost(&self, programs: &Programs, wire: &[u8]) -> Option<Vec<u8>> {
        let (_, outer) = self.steps.split_last()?;
        outer.iter().fold(None, |merged: Option<Vec<u8>>, step| {
            let number = field(programs, *step).number;
            let mut wire = Wire::new(merged.as_deref().unwrap_or(wire));
            let mut inner = Vec::new();
            while !wire.is_done() {
                // What is broken here is found when it is printed.
                let Ok(key) = wire.key() else { break };
                if key.number != number || key.wire_type != WireType::Length {
                    if wire.skip(key).is_err() {
                        break;
                    }
                } else if let Ok(content) = wire.length() {
                    inner.extend_from_slice(content.bytes);
                } else {
                    break;
                }
            }
            Some(inner)
        })
    }

    pub(crate) fn field<'p>(&self, programs: &'p Programs) -> &'p Field {
        field(programs, self.last())
    }

    /// Appends the messages around the field with what `put` appends in them;
    /// nothing when it fails.
    pub(crate) fn within<E>(
        &self,
        programs: &Programs,
        out: &mut Vec<u8>,
        put: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E> {
        let before = out.len();
        let outer = &self.steps[..self.steps.len() - 1];
        let mut opened = [0; MAX_STEPS];
        for (step, start) in outer.iter().zip(&mut opened) {
            out.extend_from_slice(field(programs, *step).tag.bytes());
            *start = wire::open(out);
        }
        let result = put(out);
        for start in opened[..outer.len()].iter().rev() {
            wire::close(out, *start);
        }
        if result.is_err() {
            out.truncate(before);
        }
        result
    }

    pub(crate) fn append_text(
        &self,
        programs: &Programs,
        text: &str,
        out: &mut Vec<u8>,
    ) -> Result<(), Problem> {
        let field = self.field(programs);
        self.within(programs, out, |out| read::append_text(programs, field, text.as_bytes(), out))
    }

    /// The encoded value of the field's last occurrence in a message, without
    /// its tag; the last entry or element of many. Nothing when it does not
    /// occur, or the bytes are no message.
    pub(crate) fn last_in<'w>(&self, programs: &Programs, wire: &'w [u8]) -> Option<&'w [u8]> {
        last_of(programs, &self.steps, wire)
    }
}

fn last_of<'w>(programs: &Programs, steps: &[(u32, usize)], wire: &'w [u8]) -> Option<&'w [u8]> {
    let mut found = None;
    let (step, rest) = steps.split_first()?;
    let number = field(programs, *step).number;
    let mut wire = Wire::new(wire);
    while !wire.is_done() {
        let key = wire.key().ok()?;
        let start = wire.at;
        if key.number != number {
            wire.skip(key).ok()?;
        } else if !rest.is_empty() {
            let inner = wire.length().ok()?;
            found = last_of(programs, rest, inner.bytes).or(found);
        } else if key.wire_type == WireType::Length {
            found = Some(wire.length().ok()?.bytes);
        } else {
            wire.skip(key).ok()?;
            found = Some(&wire.bytes[start..wire.at]);
        }
    }
    found
}

fn field(programs: &Programs, (message, index): (u32, usize)) -> &Field {
    let program: &Program = &programs.messages[message as usize];
    &program.fields[index]
}
