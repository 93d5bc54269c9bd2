//! What the fields of a message held so far, while it is read.

use super::super::{
    few::Few,
    plan::{Field, Shape},
    wire::Raw,
};

/// What was seen of a field so far.
#[derive(Clone, Copy)]
pub(super) enum Slot<'a> {
    Absent,
    Last(Raw<'a>),
    /// A message in several occurrences: the first, and those that [`Seen::more`]
    /// holds for the field from `since` on.
    Split {
        first: &'a [u8],
        since: usize,
    },
    Count(usize),
}

pub(super) struct Seen<'a> {
    pub(super) slots: Few<Slot<'a>>,
    /// Second and later occurrences of singular messages.
    pub(super) more: Vec<(usize, &'a [u8])>,
}

impl<'a> Seen<'a> {
    pub(super) fn nothing_of(fields: usize) -> Self {
        Self { slots: Few::filled(Slot::Absent, fields), more: Vec::new() }
    }

    /// The last value wins, but messages merge: the encoding of a merged message
    /// is that of its parts one after the other.
    pub(super) fn put(&mut self, index: usize, raw: Raw<'a>, merges: bool) {
        let slot = &mut self.slots.as_mut_slice()[index];
        *slot = match *slot {
            Slot::Last(first) if merges => {
                self.more.push((index, raw.bytes()));
                Slot::Split { first: first.bytes(), since: self.more.len() - 1 }
            }
            Slot::Split { .. } => {
                self.more.push((index, raw.bytes()));
                return;
            }
            _ => Slot::Last(raw),
        };
    }

    pub(super) fn is_set(&self, index: usize, field: &Field) -> bool {
        match (self.slots.as_slice()[index], &field.shape) {
            (Slot::Absent, _) => false,
            (Slot::Last(raw), Shape::One(value)) => field.explicit || !value.kind.is_zero(raw),
            (Slot::Last(_) | Slot::Split { .. }, _) => true,
            (Slot::Count(count), _) => count > 0,
        }
    }
}
