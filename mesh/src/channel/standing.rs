//! What is known of one instance: its score and its breaker. It outlives the
//! instance's connections and, for a while, its place in the resolver's view.

use std::{
    sync::atomic::{AtomicU32, Ordering::Relaxed},
    time::Duration,
};

use super::{
    balance::{Candidate, Score},
    breaker::{Breaker, Change, Trial},
    meter::Meter,
    tick::Tick,
    tried::Number,
    verdict::Verdict,
};

/// An instance as its callers see it.
#[derive(Debug)]
pub(crate) struct Standing {
    pub(crate) number: Number,
    /// Calls that the instance owes an answer, streams not among them.
    pub(crate) calls: Meter,
    /// Streams, to their end.
    pub(crate) streams: Meter,
    pub(crate) score: Score,
    pub(crate) breaker: Breaker,
    ejections: AtomicU32,
}

/// A finished call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Finished {
    pub(crate) verdict: Verdict,
    /// How long it took; `None` when that was its caller's doing.
    pub(crate) took: Option<Duration>,
    /// A stream, which may begin to answer whenever it likes.
    pub(crate) stream: bool,
    pub(crate) trial: Trial,
}

impl Standing {
    pub(crate) fn new(now: Tick) -> Self {
        Self {
            number: Number::next(),
            calls: Meter::default(),
            streams: Meter::default(),
            score: Score::new(now),
            breaker: Breaker::new(now),
            ejections: AtomicU32::new(0),
        }
    }

    /// Its breaker was opened.
    pub(crate) fn ejected(&self) {
        self.ejections.fetch_add(1, Relaxed);
    }

    pub(crate) fn ejections(&self) -> u32 {
        self.ejections.load(Relaxed)
    }

    /// What counts calls, or streams.
    pub(crate) fn meter(&self, stream: bool) -> &Meter {
        if stream { &self.streams } else { &self.calls }
    }

    /// What the choice among several looks at.
    pub(crate) fn candidate(&self, stream: bool) -> Candidate<'_> {
        #[expect(clippy::cast_precision_loss, reason = "a meter has 24 bits, as a float has")]
        let load = self.meter(stream).now() as f32;
        Candidate { score: &self.score, load, stream, since: self.breaker.since() }
    }

    /// Learns from a call. `jitter` draws from 0 to 1.
    pub(crate) fn learn(
        &self,
        call: Finished,
        now: Tick,
        jitter: impl FnOnce() -> f32,
    ) -> Option<Change> {
        let Finished { verdict, took, stream, trial } = call;
        let verdict = match (verdict, took) {
            (Verdict::Late, Some(took)) if self.score.had_time(took) => Verdict::Failed,
            (Verdict::Late, _) => Verdict::Overloaded,
            (verdict, _) => verdict,
        };
        match verdict {
            Verdict::Served => {
                self.score.served(took.filter(|_| !stream), now);
                return self.breaker.succeeded(trial, now);
            }
            Verdict::Failed => {
                self.score.failed(now);
                return self.breaker.failed(trial, now, jitter());
            }
            Verdict::Overloaded => self.score.failed(now),
            Verdict::Silent | Verdict::Late => {
                if let Some(took) = took.filter(|_| !stream) {
                    self.score.at_least(took, now);
                }
            }
        }
        // Its outcome has told nothing, so another call may try.
        if trial.probe {
            self.breaker.release(trial.began);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLI: Duration = Duration::from_millis(1);

    /// Feeds outcomes to a new instance; whether its breaker has opened.
    fn opens(verdict: Verdict, took: Duration, calls: u64) -> bool {
        let standing = Standing::new(Tick::from_millis(1));
        let changes = (2..2 + calls).map(|millis| {
            let now = Tick::from_millis(millis);
            let trial = Trial { began: now, probe: false };
            standing.learn(
                Finished { verdict, took: Some(took), stream: false, trial },
                now,
                || 0.0,
            )
        });
        changes.flatten().count() > 0
    }

    #[test]
    fn what_is_not_the_servers_fault_never_opens_a_breaker() {
        assert!(opens(Verdict::Failed, MILLI, 5));
        for verdict in [Verdict::Served, Verdict::Overloaded, Verdict::Silent] {
            assert!(!opens(verdict, MILLI, 10_000), "{verdict:?}");
        }
    }

    #[test]
    fn a_deadline_that_was_too_short_to_begin_with_is_no_fault() {
        assert!(!opens(Verdict::Late, MILLI, 10_000));
        assert!(opens(Verdict::Late, 100 * MILLI, 5), "it never answered anything");
    }

    #[test]
    fn a_deadline_is_measured_against_what_the_instance_usually_takes() {
        let standing = Standing::new(Tick::from_millis(1));
        let now = Tick::from_millis(2);
        let trial = Trial { began: now, probe: false };
        let call = |verdict, millis| {
            let took = Some(millis * MILLI);
            standing.learn(Finished { verdict, took, stream: false, trial }, now, || 0.0)
        };
        call(Verdict::Served, 200);
        assert!((0..100).all(|_| call(Verdict::Late, 300).is_none()));
        assert!((0..5).any(|_| call(Verdict::Late, 400).is_some()));
    }

    #[test]
    fn a_probe_that_tells_nothing_lets_the_next_call_try() {
        let standing = Standing::new(Tick::from_millis(1));
        let now = Tick::from_millis(2);
        standing.breaker.eject(now, 0.0).unwrap();
        let later = Tick::from_millis(1_002);
        assert!(standing.breaker.reserve(later));
        assert!(!standing.breaker.reserve(later));
        let trial = Trial { began: later, probe: true };
        standing.learn(
            Finished { verdict: Verdict::Silent, took: None, stream: false, trial },
            later,
            || 0.0,
        );
        assert!(standing.breaker.reserve(later));
    }
}
