//! The breaker of one instance: after five failures in a row, or when half of at
//! least twenty calls within ten seconds failed, it opens, and the instance is
//! left alone for a second, then two, up to a minute. After that it is half open:
//! one call at a time may try, and two that succeed in a row close it.
//!
//! Only faults of the server reach it (see `verdict`). Outcomes of calls that
//! began before the breaker changed are too old to count, so that what was in
//! flight when an instance failed cannot open it again after it has recovered.
//!
//! Everything that decides is in one atomic word, changed by compare-and-swap; a
//! success of a closed breaker without a failure before it only reads. Time and
//! jitter come in from outside.

use std::time::Duration;

use super::tick::Tick;
use crate::atomic::{
    AtomicU64,
    Ordering::{AcqRel, Acquire, Relaxed},
};

/// Failures in a row that open a breaker (Finagle's default; Linkerd has 7).
const CONSECUTIVE: u8 = 5;
/// Fewer calls than this in a window are no statistics (Hystrix).
const WINDOW_CALLS: u32 = 20;
/// Successes in a row that close a half-open breaker: one may have been luck.
const PROBES: u8 = 2;
/// The first time open; it doubles each time.
const OPEN: Duration = Duration::from_secs(1);
/// The longest time open, before jitter.
const OPEN_MAX: Duration = Duration::from_secs(60);
/// Up to this share is added, so that not all callers try again at once.
const JITTER: f32 = 0.5;
/// One doubling is forgotten for each such time that a breaker was closed.
const FORGIVE_MILLIS: u64 = 30_000;
/// 2⁶ seconds are more than the longest time.
const MAX_DOUBLINGS: u8 = 6;

/// One instance's breaker.
#[derive(Debug)]
pub(crate) struct Breaker {
    word: AtomicU64,
    /// Outcomes since the last [`Breaker::roll`].
    window: Window,
}

/// A call, as far as the breaker is concerned.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trial {
    pub(crate) began: Tick,
    /// It holds the reservation of [`Breaker::reserve`].
    pub(crate) probe: bool,
}

/// What an outcome has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Opened(Cause),
    Closed,
}

/// Why a breaker has opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// Failures in a row.
    Consecutive,
    /// The share of failures in the window.
    SuccessRate,
    /// It fails more than the others do.
    Outlier,
    /// It failed when it was tried again.
    Probe,
}

/// What the word holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct State {
    open: bool,
    /// A probe is in flight.
    reserved: bool,
    /// Failures in a row while closed, successes in a row while half open.
    streak: u8,
    /// Doublings of the next time open.
    doublings: u8,
    /// When it was closed, or when it may be tried again. Calls that began
    /// earlier do not count.
    from: Tick,
}

impl State {
    fn pack(self) -> u64 {
        // 44 bits of milliseconds are 557 years.
        self.from.millis() << 20
            | u64::from(self.doublings) << 12
            | u64::from(self.streak) << 4
            | u64::from(self.reserved) << 1
            | u64::from(self.open)
    }

    #[expect(clippy::cast_possible_truncation, reason = "each field has its bits")]
    fn unpack(word: u64) -> Self {
        Self {
            open: word & 1 != 0,
            reserved: word & 2 != 0,
            streak: (word >> 4) as u8,
            doublings: (word >> 12) as u8,
            from: Tick::from_millis(word >> 20),
        }
    }

    fn closed(self, now: Tick) -> Self {
        Self { open: false, reserved: false, streak: 0, from: now, ..self }
    }

    fn opened(self, now: Tick, jitter: f32) -> Self {
        let forgiven = if self.open { 0 } else { now.millis_since(self.from) / FORGIVE_MILLIS };
        let doublings = self.doublings.saturating_sub(u8::try_from(forgiven).unwrap_or(u8::MAX));
        let open = OPEN.saturating_mul(1 << doublings).min(OPEN_MAX);
        let from = now.after(open.mul_f32(1.0 + JITTER * jitter));
        let doublings = (doublings + 1).min(MAX_DOUBLINGS);
        Self { open: true, reserved: false, streak: 0, doublings, from }
    }
}

impl Breaker {
    pub(crate) fn new(now: Tick) -> Self {
        let state = State { open: false, reserved: false, streak: 0, doublings: 0, from: now };
        Self { word: AtomicU64::new(state.pack()), window: Window::default() }
    }

    /// Whether the instance is to be left alone, or tried by one call at a time.
    pub(crate) fn is_open(&self) -> bool {
        self.state().open
    }

    /// The state by its usual name.
    pub(crate) fn name(&self, now: Tick) -> &'static str {
        match self.state() {
            State { open: false, .. } => "closed",
            state if now < state.from => "open",
            _ => "half_open",
        }
    }

    /// Since when it is closed, or from when on it may be tried.
    pub(crate) fn since(&self) -> Tick {
        self.state().from
    }

    /// Reserves the one probe of a half-open breaker. Who gets it must give it
    /// back: by an outcome, or by [`Breaker::release`].
    pub(crate) fn reserve(&self, now: Tick) -> bool {
        self.change(|state| {
            let free = state.open && !state.reserved && now >= state.from;
            free.then_some(State { reserved: true, ..state })
        })
        .is_some()
    }

    /// Gives back a probe that told nothing.
    pub(crate) fn release(&self, began: Tick) {
        self.change(|state| {
            // Has the breaker changed meanwhile, it is another's reservation.
            let own = state.open && state.reserved && began >= state.from;
            own.then_some(State { reserved: false, ..state })
        });
    }

    /// The instance has served a call.
    pub(crate) fn succeeded(&self, trial: Trial, now: Tick) -> Option<Change> {
        self.window.count(false);
        let (before, after) = self.change(|state| {
            if trial.began < state.from || !state.open && state.streak == 0 {
                None
            } else if !state.open {
                Some(State { streak: 0, ..state })
            } else if state.streak + 1 >= PROBES {
                Some(state.closed(now))
            } else {
                let reserved = state.reserved && !trial.probe;
                Some(State { streak: state.streak + 1, reserved, ..state })
            }
        })?;
        if !before.open || after.open {
            return None;
        }
        // What was counted while it was open is past.
        self.window.take();
        Some(Change::Closed)
    }

    /// The instance has failed by its own fault. `jitter` is from 0 to 1.
    pub(crate) fn failed(&self, trial: Trial, now: Tick, jitter: f32) -> Option<Change> {
        let too_many = self.window.count(true);
        let mut cause = None;
        self.change(|state| {
            cause = None;
            if trial.began < state.from {
                return None;
            }
            let streak = state.streak.saturating_add(1);
            cause = match (state.open, streak >= CONSECUTIVE) {
                (true, _) => Some(Cause::Probe),
                (false, true) => Some(Cause::Consecutive),
                (false, false) => too_many.then_some(Cause::SuccessRate),
            };
            Some(match cause {
                Some(_) => state.opened(now, jitter),
                None => State { streak, ..state },
            })
        })?;
        let cause = cause?;
        self.window.take();
        Some(Change::Opened(cause))
    }

    /// Opens a closed breaker for what the others do better.
    pub(crate) fn eject(&self, now: Tick, jitter: f32) -> Option<Change> {
        self.change(|state| (!state.open).then(|| state.opened(now, jitter)))?;
        Some(Change::Opened(Cause::Outlier))
    }

    /// Ends the window: what was counted in it, and a new one begins.
    pub(crate) fn roll(&self) -> Counts {
        self.window.take()
    }

    fn state(&self) -> State {
        State::unpack(self.word.load(Acquire))
    }

    /// Changes the state; `None` when there is nothing to change.
    fn change(&self, mut next: impl FnMut(State) -> Option<State>) -> Option<(State, State)> {
        let mut after = None;
        let next = |word| {
            after = next(State::unpack(word));
            after.map(State::pack)
        };
        let before = self.word.fetch_update(AcqRel, Acquire, next).ok()?;
        Some((State::unpack(before), after?))
    }
}

/// Calls and failures of a window, in one word.
#[derive(Debug, Default)]
struct Window(AtomicU64);

/// What a window has counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) calls: u32,
    pub(crate) failures: u32,
}

impl Window {
    /// Counts an outcome; whether at least half of enough have failed.
    fn count(&self, failed: bool) -> bool {
        // The upper half counts calls, the lower failures: neither overflows in
        // a window of ten seconds.
        let counts = self.0.fetch_add(1 << 32 | u64::from(failed), Relaxed);
        if !failed {
            return false;
        }
        let Counts { calls, failures } = Counts::unpack(counts);
        calls + 1 >= WINDOW_CALLS && (failures + 1) * 2 > calls
    }

    fn take(&self) -> Counts {
        Counts::unpack(self.0.swap(0, Relaxed))
    }
}

impl Counts {
    #[expect(clippy::cast_possible_truncation, reason = "the two halves of the word")]
    fn unpack(word: u64) -> Self {
        Self { calls: (word >> 32) as u32, failures: word as u32 }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(millis: u64) -> Tick {
        Tick::from_millis(millis)
    }

    fn call(began: u64) -> Trial {
        Trial { began: at(began), probe: false }
    }

    fn probe(began: u64) -> Trial {
        Trial { began: at(began), probe: true }
    }

    /// A breaker that opened at 10 ms, for a second.
    fn opened() -> Breaker {
        let breaker = Breaker::new(at(1));
        for _ in 0..4 {
            assert_eq!(breaker.failed(call(10), at(10), 0.0), None);
        }
        let change = breaker.failed(call(10), at(10), 0.0);
        assert_eq!(change, Some(Change::Opened(Cause::Consecutive)));
        breaker
    }

    #[test]
    fn five_failures_in_a_row_open_it_and_a_success_between_starts_again() {
        let breaker = Breaker::new(at(1));
        for _ in 0..3 {
            for _ in 0..4 {
                assert_eq!(breaker.failed(call(2), at(2), 0.0), None);
            }
            assert_eq!(breaker.succeeded(call(2), at(2)), None);
        }
        assert!(!breaker.is_open());
    }

    #[test]
    fn half_of_enough_calls_failing_opens_it() {
        let breaker = Breaker::new(at(1));
        let mut changes = Vec::new();
        for _ in 0..10 {
            breaker.succeeded(call(2), at(2));
            changes.push(breaker.failed(call(2), at(2), 0.0));
        }
        assert_eq!(changes.pop(), Some(Some(Change::Opened(Cause::SuccessRate))));
        assert!(changes.iter().all(Option::is_none), "nineteen calls are not enough");
    }

    #[test]
    fn failures_of_an_earlier_window_are_forgotten() {
        let breaker = Breaker::new(at(1));
        for _ in 0..9 {
            breaker.succeeded(call(2), at(2));
            breaker.failed(call(2), at(2), 0.0);
        }
        assert_eq!(breaker.roll(), Counts { calls: 18, failures: 9 });
        for _ in 0..9 {
            breaker.succeeded(call(2), at(2));
            assert_eq!(breaker.failed(call(2), at(2), 0.0), None);
        }
    }

    #[test]
    fn two_successful_probes_close_it() {
        let breaker = opened();
        assert_eq!(breaker.name(at(1_009)), "open");
        assert!(!breaker.reserve(at(1_009)), "not before its time");
        assert_eq!(breaker.name(at(1_010)), "half_open");
        assert!(breaker.reserve(at(1_010)));
        assert_eq!(breaker.succeeded(probe(1_010), at(1_011)), None);
        assert!(breaker.is_open());
        assert!(breaker.reserve(at(1_012)));
        assert_eq!(breaker.succeeded(probe(1_012), at(1_013)), Some(Change::Closed));
        assert_eq!((breaker.is_open(), breaker.since()), (false, at(1_013)));
        assert_eq!(breaker.name(at(1_013)), "closed");
    }

    #[test]
    fn each_failed_probe_doubles_the_time_up_to_a_minute() {
        let breaker = opened();
        let mut now = 1_010;
        for seconds in [2, 4, 8, 16, 32, 60, 60] {
            assert!(breaker.reserve(at(now)));
            let change = breaker.failed(probe(now), at(now), 0.0);
            assert_eq!(change, Some(Change::Opened(Cause::Probe)));
            assert!(!breaker.reserve(at(now + seconds * 1_000 - 1)));
            now += seconds * 1_000;
        }
        assert!(breaker.reserve(at(now)));
    }

    #[test]
    fn a_time_in_health_makes_it_forget_its_doublings() {
        let breaker = opened();
        breaker.succeeded(call(1_010), at(1_010));
        breaker.succeeded(call(1_010), at(1_010));
        assert!(!breaker.is_open());
        let later = 1_010 + FORGIVE_MILLIS;
        breaker.eject(at(later), 0.0).unwrap();
        assert!(breaker.reserve(at(later + 1_000)));
    }

    #[test]
    fn what_was_in_flight_when_it_opened_changes_nothing_later() {
        let breaker = opened();
        assert_eq!(breaker.failed(call(9), at(500), 0.0), None);
        assert_eq!(breaker.succeeded(call(9), at(2_000)), None);
        assert_eq!(breaker.succeeded(call(9), at(2_000)), None);
        assert!(breaker.is_open());
        breaker.succeeded(call(2_000), at(2_000));
        breaker.succeeded(call(2_000), at(2_000));
        for _ in 0..10 {
            assert_eq!(breaker.failed(call(1_999), at(2_001), 0.0), None);
        }
        assert!(!breaker.is_open());
    }

    #[test]
    fn a_probe_that_outlived_its_time_does_not_give_back_anothers_place() {
        let breaker = opened();
        assert!(breaker.reserve(at(1_010)));
        // In panic, other calls go on and fail.
        breaker.failed(call(1_010), at(1_020), 0.0).unwrap();
        assert!(breaker.reserve(at(5_000)));
        breaker.release(at(1_010));
        assert!(!breaker.reserve(at(5_000)));
    }

    #[test]
    fn of_many_threads_that_rush_in_one_gets_the_probe() {
        let breaker = opened();
        let probes: usize = std::thread::scope(|scope| {
            let callers: Vec<_> =
                (0..8).map(|_| scope.spawn(|| usize::from(breaker.reserve(at(1_010))))).collect();
            callers.into_iter().map(|caller| caller.join().unwrap()).sum()
        });
        assert_eq!(probes, 1);
    }

    #[derive(Clone, Debug)]
    enum Step {
        Wait(u64),
        Reserve,
        /// A probe or a call ends: well, badly, or without telling.
        EndProbe(Option<bool>),
        EndCall(bool),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            (0_u64..5_000).prop_map(Step::Wait),
            Just(Step::Reserve),
            prop::option::of(any::<bool>()).prop_map(Step::EndProbe),
            any::<bool>().prop_map(Step::EndCall),
        ];
        prop::collection::vec(step, 0..300)
    }

    proptest! {
        #[test]
        fn probes_balance_and_times_are_bounded(steps in steps(), jitter in 0_f32..1.0) {
            let breaker = Breaker::new(at(1));
            let mut now = 1;
            let mut probing = None;
            for step in steps {
                let was_open = breaker.is_open();
                let change = match step {
                    Step::Wait(millis) => { now += millis; None }
                    Step::Reserve => {
                        if breaker.reserve(at(now)) {
                            prop_assert!(was_open && at(now) >= breaker.since());
                            prop_assert!(probing.is_none(), "one at a time");
                            probing = Some(now);
                        }
                        None
                    }
                    Step::EndProbe(outcome) => match (probing.take(), outcome) {
                        (Some(began), Some(true)) => breaker.succeeded(probe(began), at(now)),
                        (Some(began), Some(false)) => {
                            breaker.failed(probe(began), at(now), jitter)
                        }
                        (Some(began), None) => { breaker.release(at(began)); None }
                        (None, _) => None,
                    },
                    // Nobody but probes calls an instance that is out.
                    Step::EndCall(_) if was_open => None,
                    Step::EndCall(true) => breaker.succeeded(call(now), at(now)),
                    Step::EndCall(false) => breaker.failed(call(now), at(now), jitter),
                };
                match change {
                    Some(Change::Opened(_)) => {
                        let open = breaker.since().millis_since(at(now));
                        prop_assert!((1_000..=90_000).contains(&open), "{open}");
                    }
                    Some(Change::Closed) => prop_assert!(was_open),
                    None => prop_assert_eq!(breaker.is_open(), was_open),
                }
            }
            // Whatever happened, it can be tried when its time has come.
            if breaker.is_open() && probing.is_none() {
                prop_assert!(breaker.reserve(breaker.since()));
            }
        }
    }
}
