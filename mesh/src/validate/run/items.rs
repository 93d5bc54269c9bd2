//! The items of lists, packed or not.

use super::{
    super::{
        few::Few,
        plan::Kind,
        wire::{Fault, Found, Raw, Reader, Wire},
    },
    WRONG_WIRE,
};

/// The items in one occurrence of a list, packed or not.
pub(super) struct Items<'a> {
    wire: Wire,
    single: Option<Raw<'a>>,
    packed: Reader<'a>,
}

impl<'a> Items<'a> {
    pub(super) fn new(kind: Kind, found: Found<'a>) -> Result<Self, Fault> {
        let wire = kind.wire();
        let (single, packed) = match found.wire {
            found_wire if found_wire == wire => (Some(found.raw), &[][..]),
            Wire::Bytes => (None, found.raw.bytes()),
            _ => return Err(WRONG_WIRE),
        };
        Ok(Self { wire, single, packed: Reader::new(packed) })
    }

    pub(super) fn next(&mut self) -> Result<Option<Raw<'a>>, Fault> {
        if self.single.is_some() || self.packed.is_empty() {
            return Ok(self.single.take());
        }
        self.packed.value(self.wire).map(Some)
    }
}

pub(super) fn is_unique(number: u32, kind: Kind, parts: &[&[u8]]) -> Result<bool, Fault> {
    let mut values = Few::new(Raw::Bits(0));
    for part in parts {
        let mut reader = Reader::new(part);
        while let Some(found) = reader.field()? {
            if found.number != number {
                continue;
            }
            let mut items = Items::new(kind, found)?;
            while let Some(item) = items.next()? {
                kind.canonical(item).into_iter().for_each(|value| values.push(value));
            }
        }
    }
    let values = values.as_mut_slice();
    values.sort_unstable();
    Ok(!values.windows(2).any(|pair| pair[0] == pair[1]))
}
