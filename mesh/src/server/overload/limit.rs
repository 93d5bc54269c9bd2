//! How many calls at once: a gradient limiter (docs/decisions/0006). A process
//! that takes more calls than it can do makes all of them slower; the limit
//! falls as calls become slower than they were, and rises a little while they
//! do not.
//!
//! A pure state machine: windows come in, the limit comes out.

use super::config::Config;

/// Calls may become slower by half before the limit falls: slowness has other
/// causes too (Netflix's gradient limiter has the same).
const TOLERANCE: f64 = 1.5;
/// How much of a change is made at once, so that one odd window does little.
const SMOOTHING: f64 = 0.2;
/// A window cannot halve the limit more than this.
const STEEPEST: f64 = 0.5;
/// The baseline falls this fast: whatever was fast once can be fast again.
const FALL: f64 = 0.2;
/// At the lowest limit it rises this fast, until it is nearly there: some four
/// seconds for calls that have become four times slower.
const RISE: f64 = 0.05;
const NEARLY: f64 = 1.1;

/// What was seen of the calls that ended within a while.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    /// Mean of how many times slower than usual they were.
    pub(super) slowdown: f64,
    /// Most calls at once.
    pub(super) peak: u32,
}

/// The limit.
#[derive(Debug)]
pub(super) struct Limit {
    value: f64,
    min: f64,
    max: f64,
    /// The slowdown of calls that did not stand in each other's way.
    baseline: f64,
    /// Nothing has been too slow yet: the limit may rise quickly.
    opening: bool,
    /// Calls are slow at the lowest limit, where that is not their number's
    /// doing: it is what they take now, and the baseline is to learn it.
    settling: bool,
}

impl Limit {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            value: f64::from(config.start),
            min: f64::from(config.min),
            max: f64::from(config.max),
            baseline: 1.0,
            opening: true,
            settling: false,
        }
    }

    /// Learns of a window.
    pub(super) fn update(&mut self, window: Window) {
        let limited = f64::from(window.peak) * 2.0 >= self.value;
        if !limited {
            // Nobody knows what would be if there were more calls.
            self.settling = false;
            return self.learn(FALL, window.slowdown);
        }
        if window.slowdown < self.baseline {
            self.learn(FALL, window.slowdown);
        } else if self.settling {
            self.learn(RISE, window.slowdown);
        }
        // Else the calls may be slow because they are many: a baseline that
        // learned that would let the limit follow the overload up.
        if self.settling {
            self.settling = window.slowdown > self.baseline * NEARLY;
        } else {
            self.step(TOLERANCE * self.baseline / window.slowdown);
        }
    }

    fn step(&mut self, gradient: f64) {
        let gradient = gradient.clamp(STEEPEST, 1.0);
        self.opening &= gradient >= 1.0;
        // Room to grow: the square root is much for a small limit, little for a
        // large one; all of the limit again before the first sign of slowness.
        let room = if self.opening {
            self.value
        } else if gradient > STEEPEST {
            self.value.sqrt()
        } else {
            0.0
        };
        let next = self.value * gradient + room;
        self.value += SMOOTHING * (next - self.value);
        self.value = self.value.clamp(self.min, self.max);
        self.settling = gradient < 1.0 && self.value <= self.min;
    }

    fn learn(&mut self, rate: f64, slowdown: f64) {
        self.baseline += rate * (slowdown - self.baseline);
    }

    /// The limit in whole calls.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped between two u32"
    )]
    pub(super) fn get(&self) -> u32 {
        self.value as u32
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn limit() -> Limit {
        Limit::new(&Config { min: 4, max: 200, ..Config::default() })
    }

    fn after(mut limit: Limit, windows: u32, slowdown: f64) -> Limit {
        for _ in 0..windows {
            let peak = limit.get();
            limit.update(Window { slowdown, peak });
        }
        limit
    }

    #[test]
    fn it_does_not_grow_while_it_does_not_limit() {
        let mut limit = limit();
        for _ in 0..1_000 {
            limit.update(Window { slowdown: 1.0, peak: 9 });
        }
        assert_eq!(limit.get(), 20);
    }

    #[test]
    fn it_opens_quickly_until_calls_become_slow() {
        assert_eq!(after(limit(), 15, 1.0).get(), 200);
    }

    #[test]
    fn it_falls_while_calls_are_slow_and_comes_back() {
        let fallen = after(limit(), 50, 5.0);
        assert!(fallen.get() < 10, "{}", fallen.get());
        // Five seconds of windows.
        assert!(after(fallen, 50, 1.0).get() > 20);
    }

    #[test]
    fn minutes_of_overload_are_not_taken_for_usual() {
        // Calls are as many times slower as there are more than eight of them.
        let mut limit = limit();
        for _ in 0..6_000 {
            let peak = limit.get();
            limit.update(Window { slowdown: (f64::from(peak) / 8.0).max(1.0), peak });
        }
        assert!((8..=24).contains(&limit.get()), "{}", limit.get());
    }

    #[test]
    fn a_dependency_that_became_slow_is_taken_for_usual_at_last() {
        // However few calls there are, each takes four times as long.
        let slow = after(limit(), 30, 4.0);
        assert!(slow.get() < 8);
        assert!(after(slow, 600, 4.0).get() > 20);
    }

    #[test]
    fn a_start_under_overload_is_forgotten_when_calls_turn_out_faster() {
        let mut limit = limit();
        limit.update(Window { slowdown: 1.0, peak: 20 });
        let faster = after(limit, 20, 0.25);
        assert!(faster.baseline < 0.3, "{}", faster.baseline);
    }

    proptest! {
        #[test]
        fn it_never_leaves_its_bounds(
            windows in prop::collection::vec((0.001_f64..10.0, 0_u32..2_000), 1..300),
        ) {
            let mut limit = limit();
            for (slowdown, peak) in windows {
                limit.update(Window { slowdown, peak });
                prop_assert!((4..=200).contains(&limit.get()));
                prop_assert!(limit.baseline.is_finite() && limit.baseline > 0.0);
            }
        }
    }
}
