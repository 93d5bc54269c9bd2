//! Gathers what the limit learns from, by a few atomic additions a call.

use std::{
    sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use tokio::time::Instant;

use super::limit;

/// A window lasts so long at least, and until it has seen so many calls.
const LENGTH: Duration = Duration::from_millis(100);
const CALLS: u64 = 10;

/// Slowdowns are summed in 256ths, with the number of calls above: 24 bits hold
/// more calls than a window sees, 40 bits their slowdowns.
const UNIT: f64 = 256.0;
const COUNT_SHIFT: u32 = 40;

#[derive(Debug)]
pub(super) struct Window {
    started: Instant,
    sums: AtomicU64,
    peak: AtomicU32,
    /// Nanoseconds from `started` at which the window may be closed.
    closes: AtomicU64,
}

impl Window {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            started: now,
            sums: AtomicU64::new(0),
            peak: AtomicU32::new(0),
            closes: AtomicU64::new(nanos(LENGTH)),
        }
    }

    /// Adds a call that has ended; `at_once` of them were at work then. Tells
    /// whether the window can be closed.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a slowdown is positive and bounded"
    )]
    pub(super) fn add(&self, slowdown: f64, at_once: u32, now: Instant) -> bool {
        let added = (1 << COUNT_SHIFT) + (slowdown * UNIT) as u64;
        let sums = self.sums.fetch_add(added, Relaxed);
        if self.peak.load(Relaxed) < at_once {
            self.peak.fetch_max(at_once, Relaxed);
        }
        (sums >> COUNT_SHIFT) + 1 >= CALLS && self.closed_at(now)
    }

    fn closed_at(&self, now: Instant) -> bool {
        nanos(now - self.started) >= self.closes.load(Relaxed)
    }

    /// Closes the window and opens the next; `None` when somebody else has just
    /// done so. To be called by one at a time.
    pub(super) fn close(&self, now: Instant) -> Option<limit::Window> {
        if !self.closed_at(now) {
            return None;
        }
        self.closes.store(nanos(now - self.started + LENGTH), Relaxed);
        let sums = self.sums.swap(0, Relaxed);
        let peak = self.peak.swap(0, Relaxed);
        let calls = sums >> COUNT_SHIFT;
        let slowdown = (sums & ((1 << COUNT_SHIFT) - 1)) as f64 / UNIT / calls as f64;
        (calls > 0).then_some(limit::Window { slowdown, peak })
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_closes_when_it_is_old_enough_and_has_seen_enough() {
        let start = Instant::now();
        let window = Window::new(start);
        for call in 1..=20 {
            assert!(!window.add(2.0, call, start), "too early");
        }
        assert!(window.close(start).is_none());
        let later = start + LENGTH;
        assert!(window.add(2.0, 3, later));
        let closed = window.close(later).unwrap();
        assert_eq!((closed.slowdown, closed.peak), (2.0, 20));
        assert!(window.close(later).is_none(), "it was closed already");
        assert!(!window.add(1.0, 1, later + LENGTH), "one call is too few");
    }
}
