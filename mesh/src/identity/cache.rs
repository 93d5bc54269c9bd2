//! Remembers what was proven, so that the proof is checked once and not with
//! every call. A fixed array of slots, each holding the last value that fell
//! into it: bounded without an eviction rule, read and written without a lock.
//! Two keys in one slot push each other out, which costs a check, not an error.

use std::fmt;

use arc_swap::ArcSwapOption;

/// How many bytes at the end of a key choose its slot: in Base64, four times as
/// many bits as it takes for the largest cache.
const SIGNED_BYTES: usize = 8;

pub(super) struct Cache<V> {
    slots: Box<[ArcSwapOption<Entry<V>>]>,
}

struct Entry<V> {
    key: Box<[u8]>,
    until: u64,
    value: V,
}

impl<V: Clone> Cache<V> {
    pub(super) fn new(slots: usize) -> Self {
        let slots = std::iter::repeat_with(ArcSwapOption::empty).take(slots);
        Self { slots: slots.collect() }
    }

    /// What is known of `key`, until the second in which it ends.
    pub(super) fn get(&self, key: &[u8], now: u64) -> Option<V> {
        let entry = self.slot(key).load();
        let entry = entry.as_ref()?;
        (now < entry.until && same(&entry.key, key)).then(|| entry.value.clone())
    }

    pub(super) fn put(&self, key: &[u8], until: u64, value: V) {
        let entry = Entry { key: key.into(), until, value };
        self.slot(key).store(Some(entry.into()));
    }

    /// By the end of a key: it is a part of a signature or of a digest, as good as
    /// random already, and nobody can choose it for what verifies.
    fn slot(&self, key: &[u8]) -> &ArcSwapOption<Entry<V>> {
        let end = key.iter().rev().take(SIGNED_BYTES);
        let hash = end.fold(0, |hash: usize, byte| hash.wrapping_mul(31) + usize::from(*byte));
        &self.slots[hash % self.slots.len()]
    }
}

impl<V> fmt::Debug for Cache<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Keys and values are credentials and people.
        write!(f, "Cache({} slots)", self.slots.len())
    }
}

/// Compares without leaving early: how far a guess agrees with a credential must
/// not show in the time it takes.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |differs, (a, b)| differs | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_known_until_it_ends() {
        let cache = Cache::new(8);
        cache.put(b"key", 10, "value");
        assert_eq!(cache.get(b"key", 9), Some("value"));
        assert_eq!(cache.get(b"key", 10), None);
        assert_eq!(cache.get(b"kex", 9), None);
    }

    #[test]
    fn keys_that_share_a_slot_push_each_other_out_and_never_mix() {
        let cache = Cache::new(1);
        cache.put(b"one", 10, 1);
        cache.put(b"two", 10, 2);
        assert_eq!(cache.get(b"one", 0), None);
        assert_eq!(cache.get(b"two", 0), Some(2));
    }
}
