//! The connected instances of one application: which of them take calls, which
//! are out of rotation, and the choice for a call.
//!
//! A call reads one snapshot and takes no lock. A new snapshot is made when an
//! instance connects, leaves, or changes its breaker.

mod pick;

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use arc_swap::ArcSwap;
use tokio::{sync::Notify, time::Instant};

use super::{
    balance::Candidate,
    breaker::{Cause, Change},
    choice::{Choice, Choosable, Offer},
    endpoint::Endpoint,
    outlier::{self, Routing},
    permit::Ask,
    report::{self, MAX_TOLD, Report},
    ring::{Ring, Seats},
    subset::Standpoint,
    tick::Epoch,
    tried::Number,
};
use crate::resolver::{DEFAULT_WEIGHT, Listed, Target};
use crate::telemetry::destinations::{Destination, Detection};

/// What the instances' tasks and the calls share.
#[derive(Debug)]
pub(crate) struct Rotation {
    pub(crate) epoch: Epoch,
    standpoint: Arc<Standpoint>,
    snapshot: ArcSwap<Snapshot>,
    /// Serialises changes of the snapshot; never held across a wait.
    members: Mutex<Members>,
    pub(crate) changed: Notify,
    /// An instance could not be reached, and none was since.
    unreachable: AtomicBool,
    destination: Arc<Destination>,
}

#[derive(Debug, Default)]
struct Members {
    view: Arc<Known>,
    connected: Vec<Arc<Endpoint>>,
}

/// The resolver's view, as far as this process connects to it.
#[derive(Debug, Default)]
pub(crate) struct Known {
    pub(crate) instances: HashMap<Target, Listed>,
    /// Left to other callers of a large application.
    pub(crate) outside: Vec<Listed>,
    /// Made for the first call with a key.
    ring: OnceLock<Ring>,
}

impl Known {
    fn of(instances: Vec<Listed>, outside: Vec<Listed>) -> Self {
        let by_target = |one: Listed| (one.target.clone(), one);
        let instances = instances.into_iter().map(by_target).collect();
        Self { instances, outside, ring: OnceLock::new() }
    }

    fn ring(&self) -> &Ring {
        self.ring.get_or_init(|| {
            let mut all: Vec<Listed> = self.instances.values().cloned().collect();
            // Places that two claim equally go to the first.
            all.sort_by(|a, b| a.target.address.cmp(&b.target.address));
            Ring::of(&all)
        })
    }
}

/// What a call chooses from.
#[derive(Debug, Default)]
struct Snapshot {
    called: Choice<Arc<Endpoint>>,
    /// Out of rotation: they get probes only.
    ejected: Vec<Arc<Endpoint>>,
    panic: bool,
    view: Arc<Known>,
    /// Who owns the keys, of those who are called.
    seats: OnceLock<Seats<Arc<Endpoint>>>,
}

impl Rotation {
    pub(crate) fn new(standpoint: Arc<Standpoint>, destination: Arc<Destination>) -> Arc<Self> {
        Arc::new(Self {
            epoch: Epoch::begin(),
            standpoint,
            snapshot: ArcSwap::default(),
            members: Mutex::default(),
            changed: Notify::new(),
            unreachable: AtomicBool::new(false),
            destination,
        })
    }

    /// An attempt to connect has failed.
    pub(crate) fn cannot_connect(&self) {
        self.unreachable.store(true, Relaxed);
    }

    /// Whether there is a reason to say that nobody can be reached, rather than
    /// that nobody has been reached yet.
    pub(crate) fn is_unreachable(&self) -> bool {
        self.unreachable.load(Relaxed)
    }

    /// Whether there is somebody in rotation whom the call has not tried.
    pub(crate) fn has_others(&self, ask: &Ask) -> bool {
        let snapshot = self.snapshot.load();
        snapshot.called.all().any(|endpoint| !ask.avoid.contains(endpoint.standing.number))
    }

    /// Brings an instance's place among the connected in line with whether it is:
    /// its lanes come and go on threads of their own, and the last word is had here.
    pub(crate) fn settle(&self, endpoint: &Arc<Endpoint>) {
        let mut joins = false;
        self.change(|members| {
            let connected = &mut members.connected;
            let member = connected.iter().any(|other| Arc::ptr_eq(other, endpoint));
            match (endpoint.is_connected(), member) {
                (true, false) => {
                    joins = true;
                    connected.push(endpoint.clone());
                }
                (false, true) => connected.retain(|other| !Arc::ptr_eq(other, endpoint)),
                _ => {}
            }
        });
        if joins {
            self.unreachable.store(false, Relaxed);
            self.changed.notify_waiters();
        }
    }

    /// The resolver has a new view; what of it this process is to connect to.
    pub(crate) fn know(&self, listed: Vec<Listed>) -> Arc<Known> {
        let (inside, outside) = self.standpoint.divide(listed);
        let view = Arc::new(Known::of(inside, outside));
        self.change(|members| members.view = view.clone());
        view
    }

    fn change(&self, change: impl FnOnce(&mut Members)) {
        let mut members = self.members.lock().expect("no change panics");
        change(&mut members);
        let next = Snapshot::of(&members, &self.standpoint);
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
                endpoint.standing.ejected();
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
            (members.view.instances.len(), members.connected.clone())
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

    /// What is known of the instances, the first [`MAX_TOLD`] by address.
    pub(crate) fn report(&self, app: &str) -> Report {
        let connected = self.members.lock().expect("no change panics").connected.clone();
        let connected: HashMap<&Target, &Arc<Endpoint>> =
            connected.iter().map(|endpoint| (&endpoint.target, endpoint)).collect();
        let snapshot = self.snapshot.load();
        let now = self.epoch.tick(Instant::now());
        let inside = snapshot.view.instances.values().map(|listed| (listed, true));
        let outside = snapshot.view.outside.iter().map(|listed| (listed, false));
        let mut all: Vec<_> = inside.chain(outside).collect();
        all.sort_by(|(a, _), (b, _)| a.target.address.cmp(&b.target.address));
        let told = all.iter().take(MAX_TOLD).map(|(listed, in_subset)| {
            match connected.get(&listed.target) {
                Some(endpoint) => report::Instance::connected(listed, endpoint, now),
                None => report::Instance::listed(listed, *in_subset),
            }
        });
        Report {
            app: app.to_owned(),
            policy: self.policy(&snapshot),
            panic: snapshot.panic,
            omitted: all.len().saturating_sub(MAX_TOLD),
            instances: told.collect(),
        }
    }

    fn policy(&self, snapshot: &Snapshot) -> report::Policy {
        let zone = &self.standpoint.zone;
        report::Policy {
            calls: "p2c_peak_ewma",
            streams: "p2c_least_streams",
            calls_with_keys: snapshot.seats.get().map(|_| "ring_hash"),
            weighted: snapshot.called.is_weighted(),
            zone: Some(zone).filter(|zone| !zone.is_empty()).cloned(),
            stay_in_zone: snapshot.called.stay(),
            subset: self.standpoint.subset,
        }
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

    fn candidate(&self, stream: bool) -> Candidate<'_> {
        self.standing.candidate(stream)
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
    fn of(members: &Members, standpoint: &Standpoint) -> Self {
        let connected = members.connected.iter().cloned();
        let (open, closed): (Vec<_>, Vec<_>) = connected.partition(|endpoint| endpoint.is_open());
        let known = members.view.instances.len();
        let (called, ejected, panic) =
            match outlier::routing(known, members.connected.len(), open.len()) {
                Routing::Without => (closed, open, false),
                Routing::Panic => (members.connected.clone(), Vec::new(), true),
            };
        // Without a zone, everywhere is home.
        let home = |one: &Listed| standpoint.zone.is_empty() || standpoint.is_home(one);
        let offer = |instance: Arc<Endpoint>| {
            // One that has just left the view goes on to be called until its
            // connections are closed.
            let listed = members.view.instances.get(&instance.target);
            let weight = listed.map_or(DEFAULT_WEIGHT, |one| one.weight);
            Offer { instance, home: listed.is_none_or(home), weight }
        };
        let all = members.view.instances.values();
        let at_home = all.filter(|one| one.weight > 0 && home(one)).count();
        let called = Choice::of(called.into_iter().map(offer).collect(), at_home);
        Self { called, ejected, panic, view: members.view.clone(), seats: OnceLock::new() }
    }

    fn seats(&self) -> &Seats<Arc<Endpoint>> {
        self.seats.get_or_init(|| {
            let by_target: HashMap<&Target, &Arc<Endpoint>> =
                self.called.all().map(|endpoint| (&endpoint.target, endpoint)).collect();
            Seats::on(self.view.ring(), |target| by_target.get(target).map(|one| Arc::clone(one)))
        })
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
