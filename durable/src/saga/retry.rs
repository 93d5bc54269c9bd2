//! How often and after which waits a step is tried again.

use std::time::Duration;

/// Attempts and the waits between them, which are drawn with full jitter from a
/// bound that doubles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Attempts in all; at least 1 is made.
    pub attempts: u32,
    /// Bound of the first wait.
    pub initial: Duration,
    /// Bound of the longest.
    pub max: Duration,
}

impl Retry {
    /// Some 15 s of waits: somebody is waiting for the end, and compensation is
    /// a way out.
    pub const BEFORE_PIVOT: Self =
        Self { attempts: 10, initial: Duration::from_millis(100), max: Duration::from_secs(5) };
    /// Some 10 minutes: a deployment or a restarted database must not need a
    /// human.
    pub const AFTER_PIVOT: Self =
        Self { attempts: 48, initial: Duration::from_millis(100), max: Duration::from_secs(30) };
    /// As long as after the pivot: there is no other way out either.
    pub const UNDO: Self = Self::AFTER_PIVOT;

    /// The wait after so many attempts, which are at least one.
    pub(super) fn wait(&self, attempts: u32) -> Duration {
        let doublings = attempts.saturating_sub(1).min(30);
        let bound = self.initial.saturating_mul(1 << doublings).min(self.max);
        bound.mul_f64(fastrand::f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_stay_below_their_doubling_bounds_however_often() {
        for (attempts, bound) in [(1, 100), (2, 200), (3, 400), (7, 5_000), (u32::MAX, 5_000)] {
            assert!(Retry::BEFORE_PIVOT.wait(attempts) <= Duration::from_millis(bound));
        }
    }
}
