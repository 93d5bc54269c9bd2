//! The literal segments that lead on from a node: an open-addressed table, so
//! that finding one costs the same among ten and among ten thousand.

use crate::percent::canonical_bytes;

/// Canonical literals and where they lead. Contracts fill it, requests only ask,
/// so nobody can make its chains long from outside.
#[derive(Debug, Default)]
pub(super) struct Literals {
    /// Twice as many places as entries at least, a power of two; one more than
    /// the index of an entry, or zero.
    slots: Box<[u32]>,
    entries: Vec<(Box<str>, u32)>,
}

impl Literals {
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Where a segment leads; `odd` says that it holds more than unreserved
    /// characters. Every entry that is compared adds to `steps`.
    pub(super) fn get(&self, segment: &str, odd: bool, steps: &mut u32) -> Option<u32> {
        if self.entries.is_empty() {
            return None;
        }
        let mask = self.slots.len() - 1;
        let mut slot = hash(segment, odd) & mask;
        while let Some(entry) = (self.slots[slot] as usize).checked_sub(1) {
            *steps += 1;
            let (literal, node) = &self.entries[entry];
            if equal(literal, segment, odd) {
                return Some(*node);
            }
            slot = (slot + 1) & mask;
        }
        None
    }

    /// Where a canonical literal leads; to `node` from now on, if it is new.
    pub(super) fn get_or_insert(&mut self, literal: &str, node: u32) -> u32 {
        if let Some(known) = self.get(literal, true, &mut 0) {
            return known;
        }
        self.entries.push((literal.into(), node));
        if self.entries.len() * 2 > self.slots.len() {
            self.slots = vec![0; (self.entries.len() * 4).next_power_of_two()].into();
            for at in 0..self.entries.len() {
                self.place(at);
            }
        } else {
            self.place(self.entries.len() - 1);
        }
        node
    }

    fn place(&mut self, entry: usize) {
        let mask = self.slots.len() - 1;
        let mut slot = hash(&self.entries[entry].0, true) & mask;
        while self.slots[slot] != 0 {
            slot = (slot + 1) & mask;
        }
        self.slots[slot] = u32::try_from(entry + 1).expect("fewer literals than 2³²");
    }
}

/// FNV-1a: short texts, and a table that is no target.
fn hash(segment: &str, odd: bool) -> usize {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0100_0000_01b3;
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(PRIME);
    let hash = if odd {
        canonical_bytes(segment).fold(OFFSET, step)
    } else {
        segment.bytes().fold(OFFSET, step)
    };
    // The low bits of FNV know little of the last bytes' high bits.
    usize::try_from((hash ^ (hash >> 32)) & u64::from(u32::MAX)).expect("32 bits fit")
}

fn equal(literal: &str, segment: &str, odd: bool) -> bool {
    if odd { literal.bytes().eq(canonical_bytes(segment)) } else { literal == segment }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_of_literals_are_found_in_a_few_steps() {
        let mut literals = Literals::default();
        for at in 0..5_000 {
            assert_eq!(literals.get_or_insert(&format!("name{at}"), at), at);
            assert_eq!(literals.get_or_insert(&format!("name{at}"), at + 1), at);
        }
        let mut steps = 0;
        for at in 0..5_000 {
            assert_eq!(literals.get(&format!("name{at}"), false, &mut steps), Some(at));
        }
        assert!(steps < 2 * 5_000, "{steps} steps");
        assert_eq!(literals.get("name5000", false, &mut steps), None);
        assert_eq!(Literals::default().get("name0", false, &mut steps), None);
    }

    #[test]
    fn a_literal_is_found_in_every_way_it_may_be_written() {
        let mut literals = Literals::default();
        literals.get_or_insert("a%2Cb%C3%A9", 7);
        for segment in ["a,bé", "a%2cb%c3%a9", "a%2Cb%C3%A9", "a,b%C3%a9"] {
            assert_eq!(literals.get(segment, true, &mut 0), Some(7), "{segment}");
        }
        // A code that needed none is another text.
        assert_eq!(literals.get("%61,bé", true, &mut 0), None);
    }
}
