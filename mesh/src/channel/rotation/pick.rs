//! The choice for a call: probes first, then those in rotation by the call's key or
//! their load, and whoever is left.

use std::sync::{Arc, atomic::Ordering::Relaxed};

use tokio::time::Instant;

use super::{Rotation, Snapshot};
use crate::channel::{
    choice::OfThread,
    endpoint::Endpoint,
    permit::{Ask, Permit},
};

impl Rotation {
    /// An instance with a usable connection, if there is one: not of those whom
    /// the call has tried, if there is another. Cancelling the call, that is
    /// dropping the permit, gives everything back.
    pub(crate) fn pick(&self, ask: &Ask, now: Instant) -> Option<Permit> {
        let snapshot = self.snapshot.load();
        let tried = |endpoint: &Endpoint| ask.avoid.contains(endpoint.standing.number);
        let probe = |endpoint| self.probe(endpoint, ask, now);
        let mut fresh = snapshot.ejected.iter().filter(|endpoint| !tried(endpoint));
        if let Some(permit) = fresh.find_map(probe) {
            return Some(permit);
        }
        self.choose(&snapshot, ask, now, |endpoint| self.take(endpoint, ask, now))
            .or_else(|| snapshot.ejected.iter().find_map(probe))
    }

    /// An instance in rotation that the call has not tried, if one can be used now:
    /// for an attempt that is not needed yet.
    pub(crate) fn pick_other(&self, ask: &Ask) -> Option<Permit> {
        let snapshot = self.snapshot.load();
        let now = Instant::now();
        let take = |endpoint: &Arc<Endpoint>| {
            let tried = ask.avoid.contains(endpoint.standing.number);
            if tried { None } else { self.take(endpoint, ask, now) }
        };
        self.choose(&snapshot, ask, now, take)
    }

    /// By the call's key, or else the better of two.
    fn choose(
        &self,
        snapshot: &Snapshot,
        ask: &Ask,
        now: Instant,
        take: impl Fn(&Arc<Endpoint>) -> Option<Permit>,
    ) -> Option<Permit> {
        let keyed =
            ask.key.and_then(|key| snapshot.seats().pick(snapshot.view.ring(), key, ask, &take));
        keyed.or_else(|| snapshot.called.pick(ask, self.epoch.tick(now), &mut OfThread, &take))
    }

    fn take(&self, endpoint: &Arc<Endpoint>, ask: &Ask, now: Instant) -> Option<Permit> {
        let permit = endpoint.acquire(ask, now)?;
        if !ask.shape.is_stream() {
            permit.endpoint().standing.score.picked(self.epoch.tick(now));
        }
        Some(permit)
    }

    /// The one call at a time that tries an instance with an open breaker.
    fn probe(&self, endpoint: &Arc<Endpoint>, ask: &Ask, now: Instant) -> Option<Permit> {
        let tick = self.epoch.tick(now);
        let breaker = &endpoint.standing.breaker;
        if !breaker.reserve(tick) {
            return None;
        }
        let permit = endpoint.acquire(ask, now).map(Permit::with_probe);
        match &permit {
            Some(_) => _ = self.destination.half_opened.fetch_add(1, Relaxed),
            None => breaker.release(tick),
        }
        permit
    }
}
