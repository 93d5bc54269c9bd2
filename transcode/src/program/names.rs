//! A table from names to small numbers: a hash whose seed is chosen when the
//! table is made so that, nearly always, each name has a slot to itself.

/// Slots per name at least: with four, a seed without any collision is found
/// within a few tries for messages of ordinary size.
const SLOTS_PER_NAME: usize = 4;

/// Seeds that are tried; the best one stays, and its collisions are probed.
const SEEDS: u64 = 64;

/// An odd number of mixed bits (2^64 over the golden ratio).
const MIX: u64 = 0x9e37_79b9_7f4a_7c15;

/// A name and its number.
type Entry = (Box<[u8]>, u32);

/// Names, each with a number.
#[derive(Debug)]
pub(crate) struct Names {
    /// One more than the index of an entry, or zero: most slots are free, and a
    /// schema has hundreds of thousands of them.
    slots: Box<[u32]>,
    entries: Box<[Entry]>,
    seed: u64,
}

impl Names {
    /// Makes a table. Where a name comes twice, the earlier one counts.
    pub(crate) fn new<'n>(names: impl Iterator<Item = (&'n str, usize)>) -> Names {
        let mut unique: Vec<(&str, usize)> = Vec::new();
        let mut known = std::collections::HashSet::new();
        for (name, value) in names {
            if known.insert(name) {
                unique.push((name, value));
            }
        }
        let size = (unique.len() * SLOTS_PER_NAME).next_power_of_two();
        let collisions = |seed: &u64| {
            let mut taken = vec![false; size];
            let hashes = unique.iter().map(|(name, _)| slot(hash(*seed, name.as_bytes()), size));
            hashes.filter(|&at| std::mem::replace(&mut taken[at], true)).count()
        };
        let mut best = (0, usize::MAX);
        for seed in 0..SEEDS {
            let count = collisions(&seed);
            if count < best.1 {
                best = (seed, count);
            }
            if count == 0 {
                break;
            }
        }
        let small = |value| u32::try_from(value).expect("a message has fewer fields than 2^32");
        let mut slots = vec![0; size];
        for (entry, (name, _)) in unique.iter().enumerate() {
            let mut at = slot(hash(best.0, name.as_bytes()), size);
            while slots[at] != 0 {
                at = (at + 1) & (size - 1);
            }
            slots[at] = small(entry + 1);
        }
        let entries = unique.iter().map(|(name, value)| (name.as_bytes().into(), small(*value)));
        Names { slots: slots.into(), entries: entries.collect(), seed: best.0 }
    }

    /// The number of a name.
    #[inline]
    pub(crate) fn get(&self, name: &[u8]) -> Option<usize> {
        let size = self.slots.len();
        let mut at = slot(hash(self.seed, name), size);
        // Three slots of four are free, so this ends.
        while let Some(entry) = self.slots[at].checked_sub(1) {
            let (known, value) = &self.entries[entry as usize];
            if **known == *name {
                return Some(*value as usize);
            }
            at = (at + 1) & (size - 1);
        }
        None
    }
}

#[inline]
#[allow(clippy::cast_possible_truncation, reason = "the high bits are the mixed ones")]
fn slot(hash: u64, size: usize) -> usize {
    (hash >> 32) as usize & (size - 1)
}

/// Every byte counts; eight are taken at a time.
#[inline]
fn hash(seed: u64, name: &[u8]) -> u64 {
    let mut hash = seed ^ (name.len() as u64).wrapping_mul(MIX);
    let (words, rest) = name.as_chunks::<8>();
    for word in words {
        hash = mix(hash, u64::from_le_bytes(*word));
    }
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    mix(hash, u64::from_le_bytes(last))
}

#[inline]
fn mix(hash: u64, word: u64) -> u64 {
    (hash ^ word).rotate_left(23).wrapping_mul(MIX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found_and_no_other() {
        let names: Vec<String> = (0..500).map(|at| format!("some_name_{at}_of_many")).collect();
        let table = Names::new(names.iter().enumerate().map(|(at, name)| (name.as_str(), at)));
        for (at, name) in names.iter().enumerate() {
            assert_eq!(table.get(name.as_bytes()), Some(at));
        }
        for other in ["", "some", "some_name_500_of_many", "some_name_1_of_manY"] {
            assert_eq!(table.get(other.as_bytes()), None, "{other}");
        }
        assert_eq!(Names::new(std::iter::empty()).get(b"x"), None);
    }

    #[test]
    fn the_first_of_two_equal_names_counts() {
        let table = Names::new([("a", 1), ("a", 2)].into_iter());
        assert_eq!(table.get(b"a"), Some(1));
    }
}
