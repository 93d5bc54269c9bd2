//! The connected instances of one application: which of them take calls, which
//! are out of rotation, and the choice for a call.
//!
//! A call reads one snapshot and takes no lock. A new snapshot is made when an
//! instance connects, leaves, or changes its breaker.

use std::sync::{Arc, Mutex, atomic::Ordering::Relaxed};

use arc_swap::ArcSwap;
use tokio::{sync::Notify, time::Instant};

use super::{
    balance::Candidate,
    breaker::{Cause, Change},
    choice::{self, Choosable, OfThread},
    endpoint::Endpoint,
    outlier::{self, Routing},
    permit::{Ask, Permit},
    tick::Epoch,
    tried::Number,
};
use crate::telemetry::destinations::{Destination, Detection};

/// What the instances' tasks and the calls share.
#[derive(Debug)]
pub(crate) struct Rotation {
    pub(crate) epoch: Epoch,
    snapshot: ArcSwap<Snapshot>,
    /// Serialises changes of the snapshot; never held across a wait.
    members: Mutex<Members>,
    pub(crate) changed: Notify,
    destination: Arc<Destination>,
}

#[derive(Debug, Default)]
struct Members {
    /// Instances in the resolver's view, connected or not.
    known: usize,
    connected: Vec<Arc<Endpoint>>,
}

/// What a call chooses from.
#[derive(Debug, Default)]
struct Snapshot {
    called: Vec<Arc<Endpoint>>,
    /// Out of rotation: they get probes only.
    ejected: Vec<Arc<Endpoint>>,
    panic: bool,
}

impl Rotation {
    pub(crate) fn new(destination: Arc<Destination>) -> Arc<Self> {
        Arc::new(Self {
            epoch: Epoch::begin(),
            snapshot: ArcSwap::default(),
            members: Mutex::default(),
            changed: Notify::new(),
            destination,
        })
    }

    pub(crate) fn add(&self, endpoint: &Arc<Endpoint>) {
        self.change(|members| members.connected.push(endpoint.clone()));
        self.changed.notify_waiters();
    }

    pub(crate) fn remove(&self, endpoint: &Arc<Endpoint>) {
        self.change(|members| members.connected.retain(|other| !Arc::ptr_eq(other, endpoint)));
    }

    pub(crate) fn know(&self, instances: usize) {
        self.change(|members| members.known = instances);
    }

    fn change(&self, change: impl FnOnce(&mut Members)) {
        let mut members = self.members.lock().expect("no change panics");
        change(&mut members);
        let next = Snapshot::of(&members);
        let panic = next.panic;
        let before = self.snapshot.swap(Arc::new(next));
        if before.panic != panic {
            self.destination.panic(panic);
            if panic {
                tracing::warn!("too many instances are failing: all are called");
            } else {
                tracing::info!("enough instances have recovered");
            }
        }
    }

    /// An instance's breaker has opened or closed.
    pub(crate) fn breaker_changed(&self, endpoint: &Endpoint, change: Change) {
        self.change(|_| {});
        let address = &endpoint.target.address;
        match change {
            Change::Opened(cause) => {
                let enforced = !self.snapshot.load().panic;
                self.destination.opened.fetch_add(1, Relaxed);
                self.destination.ejected(detection(cause), enforced);
                tracing::warn!(%address, ?cause, enforced, "an instance is failing");
            }
            Change::Closed => {
                self.destination.closed.fetch_add(1, Relaxed);
                tracing::info!(%address, "an instance has recovered");
            }
        }
    }

    /// Ends a window of all instances, and ejects those that failed far more than
    /// the others, as far as enough remain.
    pub(crate) fn sweep(&self) {
        let (known, connected) = {
            let members = self.members.lock().expect("no change panics");
            (members.known, members.connected.clone())
        };
        let windows: Vec<_> =
            connected.iter().map(|endpoint| endpoint.standing.breaker.roll()).collect();
        for at in outlier::outliers(&windows) {
            let endpoint = &connected[at];
            let open = connected.iter().filter(|other| other.is_open()).count();
            if endpoint.is_open() {
                continue;
            }
            if outlier::routing(known, connected.len(), open + 1) == Routing::Panic {
                self.destination.ejected(Detection::Outlier, false);
                continue;
            }
            let now = self.epoch.tick(Instant::now());
            if let Some(change) = endpoint.standing.breaker.eject(now, fastrand::f32()) {
                self.breaker_changed(endpoint, change);
            }
        }
    }

    /// An instance with a usable connection, if there is one: not of those whom
    /// the call has tried, if there is another. Cancelling the call, that is
    /// dropping the permit, gives everything back.
    pub(crate) fn pick(&self, ask: &Ask) -> Option<Permit> {
        let snapshot = self.snapshot.load();
        let now = Instant::now();
        let tick = self.epoch.tick(now);
        let tried = |endpoint: &Endpoint| ask.avoid.contains(endpoint.standing.number);
        let probe = |endpoint| self.probe(endpoint, ask, now);
        let mut fresh = snapshot.ejected.iter().filter(|endpoint| !tried(endpoint));
        if let Some(permit) = fresh.find_map(probe) {
            return Some(permit);
        }
        let take = |endpoint: &Arc<Endpoint>| {
            let permit = endpoint.acquire(ask, now)?;
            permit.endpoint().standing.score.picked(tick);
            Some(permit)
        };
        choice::choose(&snapshot.called, &ask.avoid, tick, &mut OfThread, take)
            .or_else(|| snapshot.ejected.iter().find_map(probe))
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

    /// Addresses of the connected instances.
    pub(crate) fn addresses(&self) -> Vec<String> {
        let members = self.members.lock().expect("no change panics");
        members.connected.iter().map(|endpoint| endpoint.target.address.clone()).collect()
    }
}

impl Choosable for Arc<Endpoint> {
    fn number(&self) -> Number {
        self.standing.number
    }

    fn candidate(&self) -> Candidate<'_> {
        self.standing.candidate()
    }
}

impl Drop for Rotation {
    fn drop(&mut self) {
        if self.snapshot.load().panic {
            self.destination.panic(false);
        }
    }
}

impl Snapshot {
    fn of(members: &Members) -> Self {
        let connected = members.connected.iter().cloned();
        let (open, closed): (Vec<_>, Vec<_>) = connected.partition(|endpoint| endpoint.is_open());
        match outlier::routing(members.known, members.connected.len(), open.len()) {
            Routing::Without => Self { called: closed, ejected: open, panic: false },
            Routing::Panic => {
                Self { called: members.connected.clone(), ejected: Vec::new(), panic: true }
            }
        }
    }
}

fn detection(cause: Cause) -> Detection {
    match cause {
        Cause::Consecutive => Detection::ConsecutiveFailures,
        Cause::SuccessRate => Detection::SuccessRate,
        Cause::Outlier => Detection::Outlier,
        Cause::Probe => Detection::Probe,
    }
}
