//! A table by method path. Every call looks its method up here, on both sides, so
//! the hash is a few multiplications: the keys come from contracts and not from
//! callers, who can only miss, so that nobody can choose them to collide.

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
};

/// Something for each path.
pub(super) type Paths<T> = HashMap<String, T, BuildHasherDefault<PathHasher>>;

/// Multiplies and rotates, a word at a time.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct PathHasher(u64);

/// The golden ratio's fraction, whose multiples spread evenly.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

impl PathHasher {
    fn add(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(SPREAD);
    }
}

impl Hasher for PathHasher {
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.add(u64::from_le_bytes(*word));
        }
        let last = rest.iter().fold(0, |word, byte| word << 8 | u64::from(*byte));
        self.add(last);
    }

    fn write_u8(&mut self, byte: u8) {
        self.add(byte.into());
    }

    fn finish(&self) -> u64 {
        // The table looks at the lowest and the highest bits; the middle ones are
        // mixed best.
        self.0.rotate_left(26)
    }
}

#[cfg(test)]
mod tests {
    use std::hash::Hash as _;

    use super::*;

    #[test]
    fn paths_that_differ_in_a_letter_do_not_crowd_one_bucket() {
        let mut buckets = [0_u32; 64];
        for service in 0..16 {
            for method in 0..64 {
                let mut hasher = PathHasher::default();
                format!("/titan.s{service:x}.v1.Service/Get{method}").hash(&mut hasher);
                buckets[(hasher.finish() % 64) as usize] += 1;
            }
        }
        // Sixteen each would be ideal; a random function rarely passes 32.
        assert!(buckets.iter().all(|count| *count < 40), "{buckets:?}");
    }
}
