//! Where in a message the check is. Linked through the stack, and written out
//! only when there is something to report.

use std::fmt;

use super::{
    plan::Kind,
    wire::{Fault, Raw},
};

/// A way from the root of a message to a field, item or entry.
#[derive(Clone, Copy)]
pub(super) struct Path<'s> {
    parent: Option<&'s Path<'s>>,
    name: &'s str,
    subscript: Subscript<'s>,
    /// How many messages lie around this one.
    pub(super) depth: usize,
}

#[derive(Clone, Copy)]
enum Subscript<'s> {
    None,
    Index(usize),
    Key(Kind, Raw<'s>),
}

/// Bytes that are no message, and where.
pub(super) struct Malformed {
    pub(super) field: String,
    pub(super) problem: Fault,
}

impl<'s> Path<'s> {
    pub(super) const ROOT: Path<'static> =
        Path { parent: None, name: "", subscript: Subscript::None, depth: 0 };

    pub(super) fn field<'c>(&'c self, name: &'c str) -> Path<'c> {
        Path { parent: Some(self), name, subscript: Subscript::None, depth: self.depth + 1 }
    }

    pub(super) fn item<'c>(&'c self, name: &'c str, index: usize) -> Path<'c> {
        Path { subscript: Subscript::Index(index), ..self.field(name) }
    }

    pub(super) fn entry<'c>(&'c self, name: &'c str, kind: Kind, key: Raw<'c>) -> Path<'c> {
        Path { subscript: Subscript::Key(kind, key), ..self.field(name) }
    }

    pub(super) fn malformed(&self, problem: Fault) -> Malformed {
        Malformed { field: self.to_string(), problem }
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            parent.fmt(f)?;
            if parent.parent.is_some() {
                f.write_str(".")?;
            }
        }
        f.write_str(self.name)?;
        match self.subscript {
            Subscript::None => Ok(()),
            Subscript::Index(index) => write!(f, "[{index}]"),
            Subscript::Key(Kind::String, key) => {
                write!(f, "[{:?}]", String::from_utf8_lossy(key.bytes()))
            }
            Subscript::Key(Kind::Bool, key) => write!(f, "[{}]", key.bits() != 0),
            Subscript::Key(kind, key) if kind.is_signed() => {
                write!(f, "[{}]", kind.signed(key.bits()))
            }
            Subscript::Key(kind, key) => write!(f, "[{}]", kind.unsigned(key.bits())),
        }
    }
}
