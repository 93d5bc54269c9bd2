//! Which instance a call goes to: power of two choices over peak EWMA.
//!
//! Each instance has a [`Score`]: a moving average of its latency that follows a
//! rise at once and a fall slowly (ten seconds), times the calls in flight, times
//! a penalty for failures. Of two instances drawn at random the cheaper one is
//! called. Why not the cheapest of all? Every caller of a mesh would run to the
//! same instance.
//!
//! Four things keep the choice from going wrong. A latency that surprises counts
//! when a call that began after it was known confirms it: when the caller itself, or
//! the machine, has stood still, every call that was in flight looks slow, and all
//! instances would be left for one that really is. Failures never lower a latency,
//! or an instance that refuses at once would draw all calls. Scores fade when
//! nothing is learned, and an instance that was not called for thirty seconds is
//! called once, or a bad score would never heal. A new instance, and one that
//! comes back, first gets a single call, and after that competes in a share of
//! its draws that grows over ten seconds (slow start).
//!
//! Nothing here waits, locks or reads a clock: time and randomness come in.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use super::tick::Tick;

/// Time in which what was learned loses two thirds of its weight (Finagle's and
/// Linkerd's default).
const DECAY_MILLIS: f32 = 10_000.0;
/// What an instance is thought to take before it has answered anything: more
/// than any healthy one, so that it is not flooded on trust.
const DEFAULT_MICROS: f32 = 1_000_000.0;
/// Latencies below this are told apart by calls in flight only.
const FLOOR_MICROS: f32 = 50.0;
/// More than so many times what is known is a surprise; less is how latencies vary.
const SURPRISE: f32 = 2.0;
/// What one outcome moves the share of failures: a single failure is no reason
/// to leave an instance, a series is.
const FAILURE_WEIGHT: f32 = 1.0 / 16.0;
/// Failing always costs `(1 + 8)²` = 81 times as much as failing never; failing
/// half of the time 25 times.
const FAILURE_PENALTY: f32 = 8.0;
/// Shares of failures below this are none.
const FORGIVEN: f32 = 0.001;
/// An instance that was not called for so long is called when it is drawn.
const OVERDUE_MILLIS: u64 = 30_000;
/// How long a new or returned instance takes to its full share.
const RAMP_MILLIS: u64 = 10_000;
/// Share of its draws in which an instance competes at the start of its ramp.
const RAMP_FROM: f32 = 0.1;
/// An instance that never answered has had its time after this long.
const PATIENCE: Duration = Duration::from_millis(100);

/// What calls have shown of one instance, in four words.
#[derive(Debug)]
pub(crate) struct Score {
    /// Microseconds; negative while it is the default.
    latency: Fading,
    /// From 0 to 1.
    failures: Fading,
    picked: AtomicU64,
    /// When a latency surprised that is still to be confirmed.
    surprised: AtomicU64,
}

impl Score {
    pub(crate) fn new(now: Tick) -> Self {
        Self {
            latency: Fading::new(-DEFAULT_MICROS, now),
            failures: Fading::new(0.0, now),
            picked: AtomicU64::new(Tick::NEVER.millis()),
            surprised: AtomicU64::new(Tick::NEVER.millis()),
        }
    }

    /// A call is sent.
    pub(crate) fn picked(&self, now: Tick) {
        self.picked.store(now.millis(), Relaxed);
    }

    /// The instance has done its work. `took` is `None` when how long it took was
    /// its caller's doing.
    pub(crate) fn served(&self, took: Option<Duration>, now: Tick) {
        if let Some(took) = took.filter(|took| self.believes(*took, now)).map(micros) {
            self.latency.update(now, |known, weight| {
                let fallen = took + (known - took) * weight;
                Some(if known < 0.0 || took >= known { took } else { fallen })
            });
        }
        self.failures.update(now, |share, weight| {
            let share = share * weight * (1.0 - FAILURE_WEIGHT);
            Some(if share < FORGIVEN { 0.0 } else { share })
        });
    }

    /// The instance takes at least so long: a call was given up, or refused
    /// before any work, which says nothing good of its speed.
    pub(crate) fn at_least(&self, took: Duration, now: Tick) {
        let known = self.latency.last();
        if known >= 0.0 && micros(took) > known && self.believes(took, now) {
            let took = micros(took);
            self.latency.update(now, |known, _| (took > known).then_some(took));
        }
    }

    /// Whether a latency counts. Two that surprise say nothing together when both
    /// calls were in flight at the same time: they may have met the same stall.
    fn believes(&self, took: Duration, now: Tick) -> bool {
        let known = self.latency.last();
        let before = self.surprised.load(Relaxed);
        let never = Tick::NEVER.millis();
        let surprises = known >= 0.0 && micros(took) > SURPRISE * known.max(FLOOR_MICROS);
        let lasted = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let confirms = before != never && now.millis().saturating_sub(lasted) > before;
        let next = match (surprises, confirms) {
            (true, false) if before == never => now.millis(),
            (true, false) => before,
            _ => never,
        };
        // Mostly nothing changes: a store for each call would pull the line from
        // other cores.
        if next != before {
            self.surprised.store(next, Relaxed);
        }
        !surprises || confirms
    }

    /// The instance has failed, or has too much to do.
    pub(crate) fn failed(&self, now: Tick) {
        self.failures.update(now, |share, weight| {
            let share = share * weight;
            Some(share + (1.0 - share) * FAILURE_WEIGHT)
        });
    }

    /// Whether the instance had the time that it needs: a call whose deadline
    /// was too short to begin with is its caller's fault.
    pub(crate) fn had_time(&self, took: Duration) -> bool {
        let known = self.latency.last();
        if known < 0.0 { took >= PATIENCE } else { micros(took) >= 2.0 * known }
    }

    /// What one more call would cost.
    pub(crate) fn cost(&self, in_flight: f32, now: Tick) -> f32 {
        self.stream_cost(in_flight, now) * self.latency.at(now).abs().max(FLOOR_MICROS)
    }

    /// What one more stream would cost: how long a stream takes is nothing that
    /// its instance can help.
    fn stream_cost(&self, streams: f32, now: Tick) -> f32 {
        let failures = 1.0 + FAILURE_PENALTY * self.failures.at(now);
        (streams + 1.0) * failures * failures
    }

    /// Microseconds that a call takes by now, if that is known.
    pub(crate) fn latency(&self, now: Tick) -> Option<f32> {
        Some(self.latency.at(now)).filter(|micros| *micros >= 0.0)
    }

    /// The share of failures, from 0 to 1.
    pub(crate) fn failing(&self, now: Tick) -> f32 {
        self.failures.at(now)
    }

    /// Whether nothing was learned of the instance for too long. Of several
    /// callers who ask at once, one is told so.
    fn overdue(&self, now: Tick) -> bool {
        let picked = self.picked.load(Relaxed);
        let due = picked == Tick::NEVER.millis()
            || now.millis_since(Tick::from_millis(picked)) >= OVERDUE_MILLIS;
        due && self.picked.compare_exchange(picked, now.millis(), Relaxed, Relaxed).is_ok()
    }
}

/// One of the two that were drawn.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate<'a> {
    pub(crate) score: &'a Score,
    /// The calls in flight, or, when a stream asks, the streams.
    pub(crate) load: f32,
    pub(crate) stream: bool,
    /// Since when it is there, or back: the start of its ramp.
    pub(crate) since: Tick,
}

impl Candidate<'_> {
    /// Share of its draws in which it competes; 1 when it is warm.
    fn weight(&self, now: Tick) -> f32 {
        let age = now.millis_since(self.since);
        if age >= RAMP_MILLIS {
            return 1.0;
        }
        #[expect(clippy::cast_precision_loss, reason = "less than ten thousand")]
        let grown = age as f32 / RAMP_MILLIS as f32;
        RAMP_FROM + (1.0 - RAMP_FROM) * grown
    }

    fn competes(&self, now: Tick, chance: impl FnOnce() -> f32) -> bool {
        let weight = self.weight(now);
        weight >= 1.0 || chance() < weight
    }

    /// Whether nothing was learned of it for too long. Streams teach too little to
    /// be sent for that.
    fn overdue(&self, now: Tick) -> bool {
        !self.stream && self.score.overdue(now)
    }

    fn cost(&self, now: Tick) -> f32 {
        if self.stream {
            self.score.stream_cost(self.load, now)
        } else {
            self.score.cost(self.load, now)
        }
    }
}

/// Two different places out of `count`, which is at least two. `below(n)` draws
/// a number below `n`.
pub(crate) fn draw(count: usize, mut below: impl FnMut(usize) -> usize) -> (usize, usize) {
    let first = below(count);
    // A step from 1 to count - 1 reaches every other place equally often.
    let step = 1 + below(count - 1);
    (first, (first + step) % count)
}

/// Whether the second candidate is the better one. `chance` draws from 0 to 1.
pub(crate) fn second_is_better(
    first: &Candidate<'_>,
    second: &Candidate<'_>,
    now: Tick,
    mut chance: impl FnMut() -> f32,
) -> bool {
    if first.overdue(now) {
        return false;
    }
    if second.overdue(now) {
        return true;
    }
    match (first.competes(now, &mut chance), second.competes(now, &mut chance)) {
        (true, false) => false,
        (false, true) => true,
        // When neither is warm, both are as good as each other.
        _ => second.cost(now) < first.cost(now),
    }
}

/// Whether the far candidate is to be called, which is thought to cost `factor`
/// times as much as it looks.
pub(crate) fn is_worth(
    near: &Candidate<'_>,
    far: &Candidate<'_>,
    factor: f32,
    now: Tick,
    chance: impl FnOnce() -> f32,
) -> bool {
    far.overdue(now) || far.cost(now) * factor < near.cost(now) && far.competes(now, chance)
}

/// A number and the moment it was last told, in one word: the number as an
/// `f32`, the moment in milliseconds. The moment wraps after 49 days, after which
/// a number that nobody has touched looks younger than it is.
#[derive(Debug)]
struct Fading(AtomicU64);

impl Fading {
    fn new(value: f32, now: Tick) -> Self {
        Self(AtomicU64::new(pack(value, now)))
    }

    /// The number as it was told.
    fn last(&self) -> f32 {
        unpack(self.0.load(Relaxed)).0
    }

    /// What is left of the number by now.
    fn at(&self, now: Tick) -> f32 {
        let (value, told) = unpack(self.0.load(Relaxed));
        if value == 0.0 { 0.0 } else { value * weight(told, now) }
    }

    /// Tells a number, from the old one and the weight it still has. An update
    /// that loses a race is dropped: another has just told as much.
    fn update(&self, now: Tick, next: impl FnOnce(f32, f32) -> Option<f32>) {
        let seen = self.0.load(Relaxed);
        let (value, told) = unpack(seen);
        let Some(next) = next(value, weight(told, now)) else {
            return;
        };
        if next.to_bits() == value.to_bits() && (next == 0.0 || told == stamp(now)) {
            return;
        }
        let _ = self.0.compare_exchange(seen, pack(next, now), Relaxed, Relaxed);
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the moment wraps, see `Fading`")]
fn stamp(now: Tick) -> u32 {
    now.millis() as u32
}

fn pack(value: f32, now: Tick) -> u64 {
    u64::from(value.to_bits()) << 32 | u64::from(stamp(now))
}

#[expect(clippy::cast_possible_truncation, reason = "the two halves of the word")]
fn unpack(word: u64) -> (f32, u32) {
    (f32::from_bits((word >> 32) as u32), word as u32)
}

fn weight(told: u32, now: Tick) -> f32 {
    let age = stamp(now).wrapping_sub(told);
    // Callers on other threads may be a little ahead.
    if age == 0 || age > u32::MAX / 2 {
        return 1.0;
    }
    #[expect(clippy::cast_precision_loss, reason = "a millisecond more or less in hours")]
    let age = age as f32;
    (-age / DECAY_MILLIS).exp()
}

fn micros(took: Duration) -> f32 {
    took.as_secs_f32() * 1e6
}

#[cfg(test)]
mod simulation;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MILLI: Duration = Duration::from_millis(1);

    fn at(millis: u64) -> Tick {
        Tick::from_millis(millis)
    }

    fn warm(score: &Score) -> Candidate<'_> {
        Candidate { score, load: 0.0, stream: false, since: at(0) }
    }

    proptest! {
        #[test]
        fn a_latency_is_never_outside_of_what_was_seen(
            calls in prop::collection::vec((0_u64..10_000, 1_u64..1_000_000), 1..100),
        ) {
            let score = Score::new(at(1));
            let mut now = 1;
            for (wait, took) in &calls {
                now += wait;
                score.served(Some(Duration::from_micros(*took)), at(now));
            }
            let seen = || calls.iter().map(|(_, took)| *took as f32);
            let known = score.latency.last();
            prop_assert!(known >= seen().fold(f32::MAX, f32::min) * 0.999);
            prop_assert!(known <= seen().fold(0.0, f32::max) * 1.001);
        }

        #[test]
        fn more_calls_in_flight_and_failures_never_cost_less(
            took in 1_u64..1_000_000,
            in_flight in 0_u16..10_000,
            failures in 0..50,
        ) {
            let score = Score::new(at(1));
            let now = at(2);
            score.served(Some(Duration::from_micros(took)), now);
            let in_flight = f32::from(in_flight);
            let before = score.cost(in_flight, now);
            prop_assert!(score.cost(in_flight + 1.0, now) > before);
            for _ in 0..failures {
                score.failed(now);
            }
            prop_assert!(score.cost(in_flight, now) >= before);
            prop_assert!(score.cost(in_flight, now) <= before * 81.1);
        }

        #[test]
        fn two_different_places_are_drawn_and_each_as_often(count in 2_usize..=50, seed: u64) {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut drawn = vec![0_u32; count];
            let rounds = 200 * count as u32;
            for _ in 0..rounds {
                let (first, second) = draw(count, |below| random.usize(..below));
                prop_assert!(first != second && first < count && second < count);
                drawn[first] += 1;
                drawn[second] += 1;
            }
            for times in drawn {
                prop_assert!((250..=550).contains(&times), "{times} of about 400");
            }
        }
    }

    #[test]
    fn a_rise_is_believed_at_once_and_a_fall_slowly() {
        let score = Score::new(at(1));
        score.served(Some(10 * MILLI), at(10));
        score.served(Some(100 * MILLI), at(120));
        score.served(Some(100 * MILLI), at(221));
        assert!(score.cost(0.0, at(221)) > 99_000.0);
        score.served(Some(10 * MILLI), at(1_221));
        assert!(score.cost(0.0, at(1_221)) > 90_000.0, "a second is a tenth of the decay");
    }

    #[test]
    fn a_surprise_counts_when_a_later_call_confirms_it() {
        let score = Score::new(at(1));
        let slow = |millis| score.served(Some(100 * MILLI), at(millis));
        let is_slow = |millis| score.cost(0.0, at(millis)) > 50_000.0;
        score.served(Some(10 * MILLI), at(10));
        slow(200);
        // They were in flight together, so that one stall may have held up both.
        slow(250);
        slow(300);
        assert!(!is_slow(300));
        slow(301);
        assert!(is_slow(301));
    }

    #[test]
    fn a_quick_answer_takes_a_surprise_back() {
        let score = Score::new(at(1));
        score.served(Some(10 * MILLI), at(10));
        for round in 1..20 {
            score.served(Some(100 * MILLI), at(round * 200));
            score.served(Some(10 * MILLI), at(round * 200 + 50));
        }
        assert!(score.cost(0.0, at(3_850)) < 11_000.0);
    }

    #[test]
    fn failures_do_not_make_an_instance_look_quick() {
        let (good, bad) = (Score::new(at(1)), Score::new(at(1)));
        for now in 10..1_000 {
            good.served(Some(10 * MILLI), at(now));
        }
        bad.served(Some(10 * MILLI), at(10));
        for now in 11..1_000 {
            bad.failed(at(now));
        }
        assert!(bad.cost(0.0, at(1_000)) > 50.0 * good.cost(0.0, at(1_000)));
    }

    #[test]
    fn refusals_before_any_work_do_not_make_an_instance_look_quick() {
        let score = Score::new(at(1));
        score.served(Some(10 * MILLI), at(10));
        let before = score.cost(0.0, at(10));
        for _ in 0..1_000 {
            score.at_least(MILLI / 10, at(10));
        }
        assert!((score.cost(0.0, at(10)) - before).abs() < 1.0);
        score.at_least(50 * MILLI, at(60));
        score.at_least(50 * MILLI, at(111));
        assert!(score.cost(0.0, at(111)) > 49_000.0, "it takes that long at least");
    }

    #[test]
    fn what_was_learned_fades_when_nothing_is_learned() {
        let score = Score::new(at(1));
        score.served(Some(100 * MILLI), at(10));
        score.failed(at(10));
        assert!(score.cost(0.0, at(30_010)) < 0.1 * score.cost(0.0, at(10)));
    }

    #[test]
    fn an_instance_that_was_not_called_for_long_is_called_once() {
        let (quick, slow) = (Score::new(at(1)), Score::new(at(1)));
        quick.served(Some(MILLI), at(1));
        slow.served(Some(1_000 * MILLI), at(1));
        quick.picked(at(60_000));
        slow.picked(at(30_000));
        let now = at(60_000);
        assert!(second_is_better(&warm(&quick), &warm(&slow), now, || 0.0));
        assert!(!second_is_better(&warm(&quick), &warm(&slow), now, || 0.0), "once");
        assert!(second_is_better(&warm(&slow), &warm(&quick), now, || 0.0));
    }

    #[test]
    fn of_many_callers_at_once_one_calls_the_instance_that_is_overdue() {
        let score = Score::new(at(1));
        let calls: usize = std::thread::scope(|scope| {
            let callers: Vec<_> =
                (0..8).map(|_| scope.spawn(|| usize::from(score.overdue(at(60_000))))).collect();
            callers.into_iter().map(|caller| caller.join().unwrap()).sum()
        });
        assert_eq!(calls, 1);
    }

    #[test]
    fn a_returned_instance_competes_more_and_more() {
        let (old, back) = (Score::new(at(1)), Score::new(at(1)));
        old.served(Some(10 * MILLI), at(1));
        back.served(Some(MILLI), at(1));
        let mut random = fastrand::Rng::with_seed(1);
        for (age, shares) in [(0, 0.05..0.15), (5_000, 0.45..0.65), (10_000, 1.0..1.01)] {
            let now = at(20_000 + age);
            let mut wins = 0.0;
            for _ in 0..1_000 {
                old.picked(now);
                back.picked(now);
                let back = Candidate { since: at(20_000), ..warm(&back) };
                wins +=
                    f32::from(u8::from(second_is_better(&warm(&old), &back, now, || random.f32())));
            }
            assert!(shares.contains(&(wins / 1_000.0)), "{wins} of 1000 at {age} ms");
        }
    }
}
