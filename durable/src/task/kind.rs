//! How tasks of one kind are done.

use std::time::Duration;

/// Enough to overlap waiting for other services, few enough that one kind does
/// not take every connection of a store.
const CONCURRENCY: usize = 16;
/// Beyond this a task is one of those that no repeating helps: with the waits
/// below, the tenth attempt begins some 45 s after the first on average.
const ATTEMPTS: u32 = 10;
/// Bounds of the first and of any wait. A failure is either a hiccup, over in a
/// moment, or an outage, in which more than two attempts a minute help nobody.
const RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(30));

/// A kind of task: its name, how many at once, and what follows a failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kind {
    pub(super) name: String,
    pub(super) concurrency: usize,
    pub(super) attempts: u32,
    pub(super) initial: Duration,
    pub(super) max: Duration,
    pub(super) every: Option<Duration>,
}

impl Kind {
    /// Sixteen at once in this process; ten attempts, with waits drawn from zero
    /// to a bound that doubles from 0.1 s to 30 s.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            concurrency: CONCURRENCY,
            attempts: ATTEMPTS,
            initial: RETRY.0,
            max: RETRY.1,
            every: None,
        }
    }

    /// How many are done at once in this process; one at least.
    #[must_use]
    pub fn concurrency(mut self, most: usize) -> Self {
        self.concurrency = most.max(1);
        self
    }

    /// Bounds of the waits after failures: full jitter below a bound that doubles
    /// from `initial` to `max`.
    #[must_use]
    pub fn retry(mut self, initial: Duration, max: Duration) -> Self {
        (self.initial, self.max) = (initial, max.max(initial));
        self
    }

    /// After how many attempts without success a task is buried; an attempt that
    /// took its process with it counts. `u32::MAX` never gives up.
    #[must_use]
    pub fn attempts(mut self, most: u32) -> Self {
        self.attempts = most.max(1);
        self
    }

    /// Makes it recur: there is one task of this kind, whose key is empty, made
    /// by the first worker that runs. Completing it makes it due at its next
    /// time, `period` after the last, without those that were missed meanwhile;
    /// so does giving up on it, since nothing else would ever bring it back.
    #[must_use]
    pub fn every(mut self, period: Duration) -> Self {
        self.every = Some(period);
        self
    }

    /// The wait after so many attempts. Full jitter: those that failed together
    /// do not come back together.
    pub(super) fn wait(&self, attempts: u32) -> Duration {
        let doublings = attempts.saturating_sub(1).min(31);
        let bound = self.initial.saturating_mul(1 << doublings).min(self.max);
        bound.mul_f64(fastrand::f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_drawn_below_a_bound_that_doubles_and_ends() {
        let kind = Kind::new("x").retry(Duration::from_millis(10), Duration::from_millis(50));
        for (attempts, bound) in [(1, 10), (2, 20), (3, 40), (4, 50), (u32::MAX, 50)] {
            let waits: Vec<_> = (0..100).map(|_| kind.wait(attempts)).collect();
            assert!(waits.iter().all(|wait| *wait <= Duration::from_millis(bound)));
            assert!(waits.iter().any(|wait| *wait > Duration::from_millis(bound) / 2));
        }
    }
}
