//! The field that a query parameter names: `page_size`, `pageSize`,
//! `criteria.isLent`.

use super::Step;
use crate::program::{Kind, Label, Programs, Shape};

/// Deepest field path of a parameter (`a.b.c`); recursive messages have no other
/// bound, and no contract is nested so deep on purpose.
const MAX_STEPS: usize = 16;

/// Parameters that clients and intermediaries add and that mean nothing here,
/// unless the request has a field of that name.
pub(super) fn is_ignored(name: &str) -> bool {
    name.starts_with("utm_") || matches!(name, "$alt" | "access_token")
}

/// A path of fields, in place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Steps {
    steps: [Step; MAX_STEPS],
    len: usize,
}

impl std::ops::Deref for Steps {
    type Target = [Step];

    fn deref(&self) -> &[Step] {
        &self.steps[..self.len]
    }
}

/// The fields that a parameter names, from the request message down; nothing
/// when there is no such field, or one that a query cannot give. "The parameter
/// name is the field path in the request message"; each name is a JSON name or
/// the contract's.
pub(super) fn resolve(programs: &Programs, input: u32, name: &str) -> Option<Steps> {
    let mut steps = Steps { steps: [Step::default(); MAX_STEPS], len: 0 };
    let mut message = Some(input);
    for part in name.split('.') {
        let at = message?;
        let program = &programs.messages[at as usize];
        let index = program.names.get(part.as_bytes())?;
        let step = Step { message: at, field: u32::try_from(index).ok()? };
        *steps.steps.get_mut(steps.len)? = step;
        steps.len += 1;
        message = within(programs, step);
    }
    takes(programs, *steps.last()?).then_some(steps)
}

/// The message whose fields are parameters of their own.
pub(super) fn within(programs: &Programs, step: Step) -> Option<u32> {
    let field = step.of(programs);
    match field.kind {
        Kind::Message(at) | Kind::Group(at)
            if matches!(field.label, Label::Implicit | Label::Explicit)
                && programs.messages[at as usize].shape == Shape::Object =>
        {
            Some(at)
        }
        _ => None,
    }
}

/// "Note that fields which are mapped to URL query parameters must have a
/// primitive type or a repeated primitive type": and those well-known types
/// whose JSON is a string or a primitive, but not lists of them ("Repeated
/// message fields must not be mapped to URL query parameters").
fn takes(programs: &Programs, step: Step) -> bool {
    let field = step.of(programs);
    match field.kind {
        Kind::Message(at) => {
            let shape = programs.messages[at as usize].shape;
            matches!(field.label, Label::Implicit | Label::Explicit)
                && matches!(
                    shape,
                    Shape::Wrapper | Shape::Timestamp | Shape::Duration | Shape::FieldMask
                )
        }
        Kind::Group(_) => false,
        _ => true,
    }
}
