//! Answers that are kept for bad times, within a bound of bytes.
//!
//! The oldest goes first, not the one that was used least lately: each good answer
//! takes the place of its predecessor and is the youngest, so that what is called
//! often is young, and what is oldest is the first to be too old to be given.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, MutexGuard},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use tokio::time::Instant;

use super::LastGood;

/// What one answer takes beside its bytes: the entries of both tables, roughly.
const OVERHEAD_BYTES: usize = 512;

/// SHA-256 of who asks for what: nobody finds another request with the same.
pub(crate) type Key = [u8; 32];

/// A whole unary answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) headers: HeaderMap,
    pub(crate) message: Bytes,
    pub(crate) trailers: HeaderMap,
}

impl Answer {
    /// Copies: what comes from a connection is a part of a larger buffer, all of
    /// which would be kept.
    pub(crate) fn copied(headers: &HeaderMap, message: &[u8], trailers: &HeaderMap) -> Self {
        let copied = |headers: &HeaderMap| {
            let copy = |value: &HeaderValue| {
                let copy = HeaderValue::from_bytes(value.as_bytes());
                copy.expect("it was a value")
            };
            headers.iter().map(|(name, value)| (name.clone(), copy(value))).collect()
        };
        let message = Bytes::copy_from_slice(message);
        Self { headers: copied(headers), message, trailers: copied(trailers) }
    }

    fn bytes(&self) -> usize {
        let of = |headers: &HeaderMap| -> usize {
            headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum()
        };
        OVERHEAD_BYTES + self.message.len() + of(&self.headers) + of(&self.trailers)
    }
}

/// The answers of a channel.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) config: LastGood,
    all: Mutex<All>,
}

#[derive(Debug, Default)]
struct All {
    answers: HashMap<Key, Entry>,
    /// By the order in which they came.
    ages: BTreeMap<u64, Key>,
    next: u64,
    bytes: usize,
}

#[derive(Debug)]
struct Entry {
    answer: Answer,
    at: Instant,
    number: u64,
    bytes: usize,
}

impl Kept {
    pub(crate) fn new(config: LastGood) -> Self {
        Self { config, all: Mutex::default() }
    }

    /// Keeps an answer in the place of its predecessor. One that is larger than all
    /// may be together is not kept.
    pub(crate) fn put(&self, key: Key, answer: Answer, now: Instant) {
        let bytes = answer.bytes();
        let mut all = self.all();
        all.remove(&key);
        if bytes > self.config.max_bytes {
            return;
        }
        while all.bytes + bytes > self.config.max_bytes && all.remove_oldest() {}
        let number = all.next;
        all.next += 1;
        all.bytes += bytes;
        all.ages.insert(number, key);
        all.answers.insert(key, Entry { answer, at: now, number, bytes });
    }

    /// The answer and when it was given, unless it is too old.
    pub(crate) fn get(&self, key: &Key, now: Instant) -> Option<(Answer, Instant)> {
        let mut all = self.all();
        let entry = all.answers.get(key)?;
        if now.saturating_duration_since(entry.at) > self.config.max_age {
            all.remove(key);
            return None;
        }
        Some((entry.answer.clone(), entry.at))
    }

    fn all(&self) -> MutexGuard<'_, All> {
        self.all.lock().expect("nothing panics while it is held")
    }
}

impl All {
    fn remove(&mut self, key: &Key) {
        if let Some(entry) = self.answers.remove(key) {
            self.ages.remove(&entry.number);
            self.bytes -= entry.bytes;
        }
    }

    /// Whether there was one.
    fn remove_oldest(&mut self) -> bool {
        let oldest = self.ages.first_key_value().map(|(_, key)| *key);
        oldest.inspect(|key| self.remove(key)).is_some()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn answer(bytes: usize) -> Answer {
        let message = vec![0; bytes].into();
        Answer { headers: HeaderMap::new(), message, trailers: HeaderMap::new() }
    }

    #[test]
    fn the_oldest_answer_makes_room_and_a_refreshed_one_is_young() {
        let max_bytes = 2 * (100 + OVERHEAD_BYTES);
        let kept = Kept::new(LastGood { max_bytes, ..LastGood::default() });
        let now = Instant::now();
        for key in [[1; 32], [2; 32], [1; 32], [3; 32]] {
            kept.put(key, answer(100), now);
        }
        let has = |key| kept.get(&[key; 32], now).is_some();
        assert_eq!([has(1), has(2), has(3)], [true, false, true]);
    }

    #[test]
    fn an_answer_that_is_too_old_is_forgotten() {
        let kept = Kept::new(LastGood::default());
        let now = Instant::now();
        kept.put([1; 32], answer(1), now);
        let late = now + Duration::from_secs(60);
        assert!(kept.get(&[1; 32], late).is_some());
        assert!(kept.get(&[1; 32], late + Duration::from_nanos(1)).is_none());
        assert_eq!(kept.all().bytes, 0);
    }

    proptest! {
        #[test]
        fn whatever_comes_the_bytes_are_bounded_and_counted(
            puts in prop::collection::vec((0_u8..8, 0_usize..5_000), 0..100),
        ) {
            let max_bytes = 8_000;
            let kept = Kept::new(LastGood { max_bytes, ..LastGood::default() });
            for (key, bytes) in puts {
                kept.put([key; 32], answer(bytes), Instant::now());
                let all = kept.all();
                let counted: usize = all.answers.values().map(|entry| entry.answer.bytes()).sum();
                prop_assert_eq!(all.bytes, counted);
                prop_assert!(all.bytes <= max_bytes);
                prop_assert_eq!(all.ages.len(), all.answers.len());
            }
        }
    }
}
