//! When signing keys change. A key is published before it signs, so that every
//! verifier has it by then, and stays published until the last token that it
//! signed is dead. All replicas come to the same keys by the same rule; which one
//! makes the next key is settled by its number, which is unique.

use std::time::Duration;

use super::{Micros, micros};

/// How much longer than its tokens a key stays published: for a replica whose
/// clock is late and that signed with it a little longer.
const GRACE: Duration = Duration::from_mins(5);

/// Longest time that a key is published before it signs. Verifiers outside of
/// the mesh keep key sets for hours.
const LONGEST_LEAD: Duration = Duration::from_hours(24);

/// One key's place in the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Term {
    /// 1, 2, 3, …
    pub number: i64,
    /// When it begins to sign; it signs until its successor does.
    pub begins: Micros,
}

/// The rule.
#[derive(Clone, Copy, Debug)]
pub struct Rotation {
    /// How long a key signs.
    pub key_lifetime: Duration,
    /// How long an access token lives.
    pub token_lifetime: Duration,
}

impl Rotation {
    /// The key to be made now, if it is time. `terms` in their order.
    #[must_use]
    pub fn next(&self, terms: &[Term], now: Micros) -> Option<Term> {
        let Some(last) = terms.last() else {
            return Some(Term { number: 1, begins: now });
        };
        let lead = micros(LONGEST_LEAD.min(self.key_lifetime / 2));
        let ends = last.begins + micros(self.key_lifetime);
        // After a long stop the old key signs on until the new one is known.
        let begins = ends.max(now + lead);
        (now >= ends - lead).then_some(Term { number: last.number + 1, begins })
    }

    /// Which key signs now: the last that has begun.
    #[must_use]
    pub fn current(terms: &[Term], now: Micros) -> Option<usize> {
        let begun = terms.iter().rposition(|term| term.begins <= now);
        // A clock that was set back must not stop everybody from signing in.
        begun.or_else(|| (!terms.is_empty()).then_some(0))
    }

    /// Keys below this number have no living token any more.
    #[must_use]
    pub fn first_needed(&self, terms: &[Term], now: Micros) -> Option<i64> {
        let dead = now - micros(self.token_lifetime + GRACE);
        terms.iter().rev().find(|term| term.begins <= dead).map(|term| term.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Micros = 86_400_000_000;
    const MINUTE: Micros = 60_000_000;

    fn rotation() -> Rotation {
        Rotation {
            key_lifetime: Duration::from_hours(30 * 24),
            token_lifetime: Duration::from_mins(10),
        }
    }

    fn terms(begins: &[Micros]) -> Vec<Term> {
        let numbers = 1..;
        numbers.zip(begins).map(|(number, &begins)| Term { number, begins }).collect()
    }

    #[test]
    fn the_first_key_signs_at_once() {
        assert_eq!(rotation().next(&[], 7), Some(Term { number: 1, begins: 7 }));
    }

    #[test]
    fn the_next_key_is_published_a_day_before_it_signs_and_only_once() {
        let rotation = rotation();
        assert_eq!(rotation.next(&terms(&[0]), 29 * DAY - 1), None);
        let next = rotation.next(&terms(&[0]), 29 * DAY);
        assert_eq!(next, Some(Term { number: 2, begins: 30 * DAY }));
        assert_eq!(rotation.next(&terms(&[0, 30 * DAY]), 29 * DAY), None);
    }

    #[test]
    fn after_a_long_stop_a_new_key_is_still_published_before_it_signs() {
        let next = rotation().next(&terms(&[0]), 100 * DAY);
        assert_eq!(next, Some(Term { number: 2, begins: 101 * DAY }));
    }

    #[test]
    fn a_key_signs_until_its_successor_does() {
        let terms = terms(&[10, 20]);
        for (now, current) in [(5, 0), (10, 0), (19, 0), (20, 1), (99, 1)] {
            assert_eq!(Rotation::current(&terms, now), Some(current), "at {now}");
        }
        assert_eq!(Rotation::current(&[], 5), None);
    }

    #[test]
    fn a_key_goes_when_its_last_token_is_dead() {
        let terms = terms(&[0, 30 * DAY, 60 * DAY]);
        let dead = 30 * DAY + 15 * MINUTE;
        for (now, first) in [(15 * MINUTE, 1), (dead - 1, 1), (dead, 2), (60 * DAY, 2)] {
            assert_eq!(rotation().first_needed(&terms, now), Some(first), "at {now}");
        }
    }

    #[test]
    fn there_is_always_a_published_key_that_signs_and_tokens_outlive_no_key() {
        let rotation = rotation();
        let mut terms: Vec<Term> = Vec::new();
        let mut signed: Vec<(Micros, i64)> = Vec::new();
        for hour in 0..200 * 24 {
            let now = hour * DAY / 24;
            terms.extend(rotation.next(&terms, now));
            if let Some(first) = rotation.first_needed(&terms, now) {
                terms.retain(|term| term.number >= first);
            }
            let current = terms[Rotation::current(&terms, now).unwrap()];
            assert!(current.begins <= now);
            signed.push((now, current.number));
            for (at, number) in signed.iter().rev().take_while(|(at, _)| now - at < 10 * MINUTE) {
                assert!(terms.iter().any(|term| term.number == *number), "signed at {at}");
            }
            assert!(terms.len() <= 3, "{terms:?}");
        }
        assert_eq!(signed.last().unwrap().1, 7);
    }
}
