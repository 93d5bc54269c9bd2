//! The retry budget: a bound on what repetition adds to the load of a service
//! that is already failing.
//!
//! Why a budget and not only a maximum per call? With a maximum of two attempts,
//! an outage doubles the load of the service at the moment it can bear the least;
//! three layers of such callers make it eight times as much. A budget lets single
//! failures be repeated at once and stops repeating when failure is the rule.

use std::time::Duration;

use tokio::time::Instant;

use crate::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

/// One repetition costs this many tokens.
pub(super) const COST: i64 = 1_000;
/// Every call earns this many: repetitions may be a fifth of the calls.
pub(super) const EARNED_PER_CALL: i64 = 200;
/// The most that is saved: a burst of a hundred repetitions after quiet times.
pub(super) const MOST: i64 = 100 * COST;
/// What a new channel starts with, so that its first failures are repeated.
const INITIAL: i64 = 10 * COST;

/// Every call that may be hedged earns this many: hedges may be a twentieth of
/// them, which is what a 95th percentile asks for while nothing is wrong.
pub(super) const EARNED_PER_HEDGED_CALL: i64 = 50;
/// The most that is saved for hedges, since lateness of all of them at once is
/// load, to which hedges would add.
const MOST_HEDGES: i64 = 20 * COST;

/// Repetitions that a channel may make in a second whatever it has earned, as
/// Finagle has it: who calls once a minute earns a repetition every five minutes,
/// and ten a second are no load to anybody.
pub(super) const LEAST_PER_SECOND: u64 = 10;
/// As many can be made at once.
const SAVED: Duration = Duration::from_secs(1);

/// Tokens shared by all calls of one channel.
#[derive(Debug)]
pub(crate) struct Budget {
    tokens: AtomicI64,
    earned: i64,
    most: i64,
}

/// The budget of what a call repeats after it has failed, which lets a few be
/// repeated even where hardly any calls are made.
#[derive(Debug)]
pub(crate) struct Repetitions {
    pub(crate) earned: Budget,
    since: Instant,
    /// Milliseconds since then for which the least number is used up.
    used: AtomicU64,
}

impl Repetitions {
    /// That of a channel that is opened now.
    pub(crate) fn new(now: Instant) -> Self {
        Self { earned: Budget::default(), since: now, used: AtomicU64::new(0) }
    }

    /// Takes what a repetition costs: of what was earned, else of the least number.
    pub(crate) fn spend(&self, now: Instant) -> bool {
        self.earned.spend() || self.spend_least(now)
    }

    fn spend_least(&self, now: Instant) -> bool {
        let now = millis(now.saturating_duration_since(self.since));
        let oldest = now.saturating_sub(millis(SAVED));
        let next = |used: u64| {
            let next = used.max(oldest) + 1_000 / LEAST_PER_SECOND;
            (next <= now).then_some(next)
        };
        self.used.fetch_update(Relaxed, Relaxed, next).is_ok()
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// That of repetitions.
impl Default for Budget {
    fn default() -> Self {
        Self { tokens: AtomicI64::new(INITIAL), earned: EARNED_PER_CALL, most: MOST }
    }
}

impl Budget {
    /// That of hedges. It starts with nothing: no call has failed.
    pub(crate) fn of_hedges() -> Self {
        Self { tokens: AtomicI64::new(0), earned: EARNED_PER_HEDGED_CALL, most: MOST_HEDGES }
    }

    /// A call is made.
    pub(crate) fn earn(&self) {
        // Racing callers may pass the bound by a few tokens: nothing hangs on it.
        if self.tokens.load(Relaxed) < self.most {
            self.tokens.fetch_add(self.earned, Relaxed);
        }
    }

    /// Takes what a repetition costs, if it is there.
    pub(crate) fn spend(&self) -> bool {
        self.tokens
            .fetch_update(Relaxed, Relaxed, |tokens| (tokens >= COST).then_some(tokens - COST))
            .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repetitions_are_a_fifth_of_the_calls_when_everything_fails() {
        let budget = Budget::default();
        let mut repeated = 0;
        for _ in 0..1_000 {
            budget.earn();
            repeated += u32::from(budget.spend());
        }
        assert_eq!(repeated, 1_000 / 5 + 10);
    }

    #[test]
    fn hedges_are_never_more_than_a_twentieth_of_the_calls() {
        let budget = Budget::of_hedges();
        let mut hedges = 0;
        for calls in 1..=2_000 {
            budget.earn();
            hedges += u32::from(budget.spend());
            assert!(hedges <= calls / 20);
        }
        assert_eq!(hedges, 100);
    }

    #[tokio::test(start_paused = true)]
    async fn a_channel_with_hardly_any_calls_repeats_each_of_them() {
        let budget = Repetitions::new(Instant::now());
        (0..10).for_each(|_| assert!(budget.earned.spend()));
        for minute in 1..=20 {
            budget.earned.earn();
            assert!(budget.spend(budget.since + Duration::from_secs(60 * minute)), "{minute}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_least_number_is_ten_a_second_and_quiet_times_save_one_second_of_it() {
        let budget = Repetitions::new(Instant::now());
        let at = |millis| budget.since + Duration::from_millis(millis);
        (0..10).for_each(|_| assert!(budget.spend(at(0))));
        assert!(!budget.spend(at(0)), "what a channel starts with is what it has earned");
        let spent = (0..10_000).filter(|millis| budget.spend(at(*millis))).count();
        assert_eq!(spent, 99);
        let burst = (0..100).filter(|_| budget.spend(at(60_000))).count();
        assert_eq!(burst, 10);
    }

    #[test]
    fn quiet_times_save_only_so_much() {
        let budget = Budget::default();
        for _ in 0..100_000 {
            budget.earn();
        }
        let burst = std::iter::from_fn(|| budget.spend().then_some(())).count();
        assert_eq!(burst, 100);
    }
}
