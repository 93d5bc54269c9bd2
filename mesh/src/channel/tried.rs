//! Who has been tried: the instances that one call has gone to already, and
//! should not go to again while anybody else can be called.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// Attempts that are remembered: the most that a contract may ask for (5), and
/// the repetitions of what was proved not to be processed (3). Of more, the
/// latest are known.
const REMEMBERED: usize = 8;

/// What tells one instance from another within this process. Unlike an address
/// it is a word, and unlike a place in a list it stays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Number(u32);

impl Number {
    /// One that no other instance has.
    pub(crate) fn next() -> Self {
        // Zero is nobody's. After four thousand million instances the first
        // numbers come again, when their owners are long gone.
        static LAST: AtomicU32 = AtomicU32::new(0);
        Self(LAST.fetch_add(1, Relaxed).wrapping_add(1).max(1))
    }
}

/// The instances that a call has tried. It is copied, not shared, and allocates
/// nothing.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tried {
    numbers: [Number; REMEMBERED],
    count: u8,
}

impl Tried {
    /// The call goes to this one now.
    pub(crate) fn add(&mut self, number: Number) {
        if !self.contains(number) {
            self.numbers[usize::from(self.count) % REMEMBERED] = number;
            self.count = self.count.wrapping_add(1);
        }
    }

    pub(crate) fn contains(&self, number: Number) -> bool {
        self.numbers.contains(&number)
    }

    /// Whether this is the call's first attempt.
    pub(crate) fn is_empty(&self) -> bool {
        self.numbers[0] == Number::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_tried_is_known_and_nobody_else() {
        let (first, second) = (Number::next(), Number::next());
        let mut tried = Tried::default();
        assert!(tried.is_empty());
        tried.add(first);
        assert!(tried.contains(first) && !tried.contains(second) && !tried.is_empty());
    }

    #[test]
    fn of_very_many_the_latest_are_known() {
        let mut tried = Tried::default();
        let numbers: Vec<Number> = (0..1_000).map(|_| Number::next()).collect();
        for number in &numbers {
            tried.add(*number);
            tried.add(*number);
        }
        let (old, new) = numbers.split_at(numbers.len() - REMEMBERED);
        assert!(new.iter().all(|number| tried.contains(*number)));
        assert!(!old.iter().any(|number| tried.contains(*number)));
    }
}
