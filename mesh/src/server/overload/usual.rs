//! How long a method usually takes: a long-term mean, learned while the process
//! has room. Calls of different methods become comparable by it, so that a
//! change of the mix is not taken for a change of the load.

use std::{
    sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// The first calls are averaged; from then on each weighs so little. Netflix's
/// gradient limiter has a window of 600 calls.
const MEMORY: u32 = 512;

/// Learned from in any case: there is nothing better to compare with.
const FIRST: u32 = 16;

/// Below a millisecond the difference between two calls is the scheduler's.
const LEAST_NANOS: u64 = 1_000_000;

/// One call among many that hangs must not look like all of them being late.
const MOST_SLOWDOWN: f64 = 10.0;

/// The mean of one method. Updates may lose each other, which costs a sample.
#[derive(Debug, Default)]
pub(crate) struct Usual {
    nanos: AtomicU64,
    seen: AtomicU32,
}

impl Usual {
    /// Times the usual that a call took; 1 when nothing is known.
    pub(super) fn slowdown(&self, took: Duration) -> f64 {
        let usual = match self.nanos.load(Relaxed) {
            0 => return 1.0,
            nanos => nanos.max(LEAST_NANOS),
        };
        (nanos(took).max(LEAST_NANOS) as f64 / usual as f64).min(MOST_SLOWDOWN)
    }

    /// Takes a call into the mean; `hurried` when the process was short of room,
    /// so that the call says nothing about what is usual.
    pub(super) fn learn(&self, took: Duration, hurried: bool) {
        let seen = self.seen.load(Relaxed);
        if hurried && seen >= FIRST {
            return;
        }
        let seen = (seen + 1).min(MEMORY);
        self.seen.store(seen, Relaxed);
        let (old, new) = (self.nanos.load(Relaxed), nanos(took));
        let share = |difference: u64| (difference / u64::from(seen)).max(1);
        let next = if new >= old { old + share(new - old) } else { old - share(old - new) };
        self.nanos.store(next, Relaxed);
    }
}

fn nanos(took: Duration) -> u64 {
    u64::try_from(took.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(calls: u32, millis: u64) -> Usual {
        let usual = Usual::default();
        for _ in 0..calls {
            usual.learn(Duration::from_millis(millis), false);
        }
        usual
    }

    #[test]
    fn a_method_that_was_never_called_is_neither_fast_nor_slow() {
        assert_eq!(Usual::default().slowdown(Duration::from_secs(9)), 1.0);
    }

    #[test]
    fn what_takes_twice_as_long_is_twice_as_slow() {
        let slowdown = after(100, 10).slowdown(Duration::from_millis(20));
        assert!((slowdown - 2.0).abs() < 0.01, "{slowdown}");
    }

    #[test]
    fn a_lasting_change_becomes_usual() {
        let usual = after(1_000, 10);
        for _ in 0..5_000 {
            usual.learn(Duration::from_millis(30), false);
        }
        let slowdown = usual.slowdown(Duration::from_millis(30));
        assert!((slowdown - 1.0).abs() < 0.05, "{slowdown}");
    }

    #[test]
    fn a_hurried_call_teaches_nothing() {
        let usual = after(100, 10);
        usual.learn(Duration::from_secs(10), true);
        let slowdown = usual.slowdown(Duration::from_millis(10));
        assert!((slowdown - 1.0).abs() < 0.01, "{slowdown}");
    }

    #[test]
    fn microseconds_do_not_count() {
        let usual = Usual::default();
        usual.learn(Duration::from_micros(20), false);
        assert_eq!(usual.slowdown(Duration::from_micros(900)), 1.0);
    }

    #[test]
    fn one_call_that_hangs_is_bounded() {
        assert_eq!(after(100, 10).slowdown(Duration::from_secs(60)), MOST_SLOWDOWN);
    }
}
