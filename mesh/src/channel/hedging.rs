//! Hedging: a call that is late is made once more, elsewhere, before anything has
//! failed. Here stand its delay, learned or fixed, and its bounds; the attempts
//! themselves run in [`super::race`].
//!
//! Why a 95th percentile and not a constant? Hedges are to cut the tail, and the
//! tail moves: a constant that fits the night makes every call of a busy noon
//! late, which is when one more attempt can be borne least.

mod latency;

use std::{collections::HashMap, sync::Arc, time::Duration};

use arc_swap::ArcSwap;

pub(super) use self::latency::Latency;
use super::budget::Budget;
use crate::{
    contract::{Hedge, Method},
    telemetry::client::Calls,
};

/// What all calls of one channel share.
#[derive(Debug)]
pub(crate) struct Hedging {
    budget: Budget,
    /// By path, of the methods whose delay is learned; bounded by the contracts.
    latencies: ArcSwap<HashMap<String, Arc<Latency>>>,
}

impl Default for Hedging {
    fn default() -> Self {
        Self { budget: Budget::of_hedges(), latencies: ArcSwap::default() }
    }
}

impl Hedging {
    /// A call to a method is made; how it is hedged, unless its contract does not
    /// want that.
    pub(super) fn begin(&self, method: &Method, calls: &Arc<Calls>) -> Option<Box<Hedged>> {
        let hedge = method.hedge?;
        let latency = hedge.delay.is_none().then(|| self.latency(&method.path));
        self.budget.earn();
        Some(Box::new(Hedged { calls: calls.clone(), hedge, latency, hedges: 0 }))
    }

    /// Takes what a hedge costs, if it is there: from its own budget, which bounds
    /// what lateness costs, and from that of repetitions, since where those have
    /// used up theirs nothing may be added.
    pub(super) fn spend(&self, repetitions: &Budget) -> bool {
        self.budget.spend() && repetitions.spend()
    }

    fn latency(&self, path: &str) -> Arc<Latency> {
        if let Some(known) = self.latencies.load().get(path) {
            return known.clone();
        }
        self.latencies.rcu(|known| {
            let mut known = HashMap::clone(known);
            known.entry(path.to_owned()).or_default();
            known
        });
        self.latencies.load().get(path).cloned().unwrap_or_default()
    }
}

/// One call that may be hedged.
#[derive(Debug)]
pub(super) struct Hedged {
    calls: Arc<Calls>,
    hedge: Hedge,
    /// Of its method; absent where the contract states the delay.
    latency: Option<Arc<Latency>>,
    hedges: u32,
}

impl Hedged {
    /// How long an attempt is waited for before the next one; `None` when there may
    /// be none, or when too little is known.
    pub(super) fn delay(&self, attempts: u32) -> Option<Duration> {
        if attempts >= self.hedge.max_attempts {
            return None;
        }
        self.hedge.delay.or_else(|| self.latency.as_ref()?.delay())
    }

    /// The first attempt of the call has answered after so long or, when a hedge
    /// was quicker, would have taken longer still.
    pub(super) fn answered(&self, took: Duration) {
        if let Some(latency) = &self.latency {
            latency.add(took);
        }
    }

    /// A hedge was sent.
    pub(super) fn sent(&mut self) {
        self.hedges += 1;
    }
}

/// Told at the end of the call, however it ends.
impl Drop for Hedged {
    fn drop(&mut self) {
        if self.hedges > 0 {
            self.calls.hedged(self.hedges);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_has_one_latency_at_a_destination_and_another_at_the_next() {
        let (here, there) = (Hedging::default(), Hedging::default());
        for _ in 0..100 {
            here.latency("/a").add(Duration::from_millis(10));
        }
        assert!(here.latency("/a").delay().is_some());
        assert_eq!(here.latency("/b").delay(), None);
        assert_eq!(there.latency("/a").delay(), None);
    }

    #[test]
    fn where_repetitions_have_used_up_their_budget_nothing_is_hedged() {
        let (hedging, repetitions) = (Hedging::default(), Budget::default());
        (0..100).for_each(|_| hedging.budget.earn());
        assert!(hedging.spend(&repetitions));
        while repetitions.spend() {}
        assert!(!hedging.spend(&repetitions));
    }
}
