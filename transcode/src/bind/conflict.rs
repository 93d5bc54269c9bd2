//! Whether the body gave what the path gives, and if so, whether it says the same.
//! The body is looked at as it was encoded: a few fields are stepped over, and
//! nothing is kept.

use super::Step;
use crate::{
    program::{Field, Kind, Label, Programs, WireType},
    wire::{Key, Wire},
};

/// What the body holds of a field that the path gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InBody<'a> {
    /// Nothing.
    Nothing,
    /// This encoded value, without its tag.
    Value(&'a [u8]),
    /// Another field of a oneof that it, or a message around it, belongs to.
    Excluded(Step),
}

/// Looks for a field in an encoded message; of several occurrences the last
/// counts. A field without presence that holds its default counts as not given,
/// as everywhere in proto3.
pub(super) fn find<'a>(programs: &Programs, message: &'a [u8], steps: &[Step]) -> InBody<'a> {
    let Some((step, rest)) = steps.split_first() else { return InBody::Nothing };
    let field = step.of(programs);
    let mut found = InBody::Nothing;
    let mut wire = Wire::new(message);
    while !wire.is_done() {
        let Ok(key) = wire.key() else { return found };
        let start = wire.at;
        if key.number != field.number {
            if let Some(other) = other_of_oneof(programs, *step, key) {
                return InBody::Excluded(other);
            }
            if wire.skip(key).is_err() {
                return found;
            }
            continue;
        }
        let inner = match key.wire_type {
            WireType::Length | WireType::Start => wire.content(key).map(|part| part.bytes),
            _ => wire.skip(key).map(|()| &message[start..wire.at]),
        };
        let Ok(inner) = inner else { return found };
        let here = if rest.is_empty() { value(field, inner) } else { find(programs, inner, rest) };
        match here {
            InBody::Nothing => {}
            InBody::Value(_) => found = here,
            InBody::Excluded(_) => return here,
        }
    }
    found
}

fn value<'a>(field: &Field, bytes: &'a [u8]) -> InBody<'a> {
    let is_default = match field.kind {
        Kind::Message(_) | Kind::Group(_) => false,
        _ => bytes.iter().all(|byte| *byte == 0) && !holds_zeros(field, bytes),
    };
    if field.label == Label::Implicit && is_default {
        return InBody::Nothing;
    }
    InBody::Value(bytes)
}

/// Zeros in a string or in bytes are content.
fn holds_zeros(field: &Field, bytes: &[u8]) -> bool {
    matches!(field.kind, Kind::String | Kind::Bytes) && !bytes.is_empty()
}

fn other_of_oneof(programs: &Programs, step: Step, key: Key) -> Option<Step> {
    let oneof = step.of(programs).oneof?;
    let program = &programs.messages[step.message as usize];
    let at = program.by_number(key.number)?;
    let other = Step { message: step.message, field: u32::try_from(at).ok()? };
    (program.fields[at].oneof == Some(oneof)).then_some(other)
}
