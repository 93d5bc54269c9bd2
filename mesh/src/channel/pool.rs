//! The instances of one application that a call may be sent to: followed from a
//! resolver's view, waited for when there is none.

use std::{collections::HashMap, pin::pin, sync::Arc, time::Duration};

use tokio::{
    sync::watch,
    task::{AbortHandle, JoinHandle},
    time::{Instant, MissedTickBehavior},
};

use super::{
    bulkhead::Bulkhead,
    endpoint::Endpoint,
    permit::{Ask, Permit},
    report::Report,
    rotation::Rotation,
    standing::Standing,
    subset::Standpoint,
};
use crate::{
    net::Network,
    resolver::{Target, View},
    telemetry::destinations::Destination,
};

/// How long a call waits for an instance, at most: long enough for a process to
/// be started again by its supervisor.
pub(super) const PICK_TIMEOUT: Duration = Duration::from_secs(2);
/// Outcomes are judged in windows of this length (gRFC A50's interval).
const WINDOW: Duration = Duration::from_secs(10);
/// How long an instance that left the view is remembered: longer than a registry
/// flaps, shorter than an address takes to find a new owner.
const REMEMBERED: Duration = Duration::from_secs(300);
/// Most instances that are remembered.
const MAX_REMEMBERED: usize = 256;

/// The pick set of one application.
#[derive(Debug)]
pub(crate) struct Pool {
    rotation: Arc<Rotation>,
    task: JoinHandle<()>,
}

/// Why a call has no instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unpicked {
    /// There is none, and none came.
    Nobody,
    /// There is none, and enough others wait for one.
    Crowded,
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Pool {
    /// Follows a resolver's view; must be called within a runtime.
    pub(crate) fn follow(
        view: watch::Receiver<View>,
        standpoint: Arc<Standpoint>,
        destination: Arc<Destination>,
        network: Arc<dyn Network>,
    ) -> Self {
        let rotation = Rotation::new(standpoint, destination);
        let task = tokio::spawn(follow(rotation.clone(), view, network));
        Self { rotation, task }
    }

    /// An instance to call `now`. Waits for one up to two seconds, since a call that has
    /// not left loses nothing by waiting; but, when attempts to connect have failed,
    /// never to the end of its deadline, since "nobody is there" tells its caller
    /// more than "too late".
    pub(crate) async fn pick(
        &self,
        ask: &Ask,
        bulkhead: &Bulkhead,
        now: Instant,
    ) -> Result<Permit, Unpicked> {
        match self.rotation.pick(ask, now) {
            Some(permit) => Ok(permit),
            // Boxed, since it is rare and would make every call's future larger.
            None => Box::pin(self.wait_for(ask, bulkhead)).await,
        }
    }

    async fn wait_for(&self, ask: &Ask, bulkhead: &Bulkhead) -> Result<Permit, Unpicked> {
        let _place = bulkhead.wait().ok_or(Unpicked::Crowded)?;
        let left = ask.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let patience = left.map_or(PICK_TIMEOUT, |left| PICK_TIMEOUT.min(left * 3 / 4));
        let mut wait = pin!(self.wait(ask));
        let mut picked = tokio::time::timeout(patience, wait.as_mut()).await;
        if picked.is_err() && !self.rotation.is_unreachable() {
            // Nobody has said no: it may be the deadline that was too short.
            picked = tokio::time::timeout(PICK_TIMEOUT - patience, wait).await;
        }
        picked.map_err(|_| Unpicked::Nobody)
    }

    /// Whether a call has not tried everybody.
    pub(crate) fn has_others(&self, ask: &Ask) -> bool {
        self.rotation.has_others(ask)
    }

    /// An instance in rotation that the call has not tried; nobody is waited for.
    pub(crate) fn pick_other(&self, ask: &Ask) -> Option<Permit> {
        self.rotation.pick_other(ask)
    }

    async fn wait(&self, ask: &Ask) -> Permit {
        loop {
            // Registered before the look, so that no change is missed between.
            let mut changed = pin!(self.rotation.changed.notified());
            changed.as_mut().enable();
            if let Some(permit) = self.rotation.pick(ask, Instant::now()) {
                return permit;
            }
            changed.await;
        }
    }

    /// What is known of the instances.
    pub(crate) fn report(&self, app: &str) -> Report {
        self.rotation.report(app)
    }

    /// Addresses of the instances that are connected now.
    pub(crate) fn ready(&self) -> Vec<String> {
        self.rotation.addresses()
    }
}

/// Ends an endpoint's task when the endpoint leaves the view.
struct Kept {
    endpoint: Arc<Endpoint>,
    task: AbortHandle,
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.task.abort();
        self.endpoint.leave();
    }
}

impl Kept {
    fn connect(
        target: &Target,
        standing: Arc<Standing>,
        rotation: &Arc<Rotation>,
        network: Arc<dyn Network>,
    ) -> Self {
        let endpoint = Arc::new(Endpoint::new(target.clone(), standing, rotation, network));
        let task = tokio::spawn(endpoint.clone().keep_home());
        Self { endpoint, task: task.abort_handle() }
    }
}

async fn follow(
    rotation: Arc<Rotation>,
    mut view: watch::Receiver<View>,
    network: Arc<dyn Network>,
) {
    let mut kept: HashMap<Target, Kept> = HashMap::new();
    let mut past = Past::default();
    let mut window = tokio::time::interval(WINDOW);
    window.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut resolver_lives = true;
    loop {
        let View { known: asked, instances: listed } = view.borrow_and_update().clone();
        if asked && listed.is_empty() {
            rotation.cannot_connect();
        }
        let known = rotation.know(listed);
        let now = Instant::now();
        let left = |target: &Target| !known.instances.contains_key(target);
        for (target, gone) in kept.extract_if(|target, _| left(target)) {
            past.remember(target, gone.endpoint.standing.clone(), now);
        }
        for target in known.instances.keys().cloned() {
            kept.entry(target).or_insert_with_key(|target| {
                let standing = past.recall(target, now);
                let standing =
                    standing.unwrap_or_else(|| Arc::new(Standing::new(rotation.epoch.tick(now))));
                Kept::connect(target, standing, &rotation, network.clone())
            });
        }
        loop {
            tokio::select! {
                changed = view.changed(), if resolver_lives => {
                    // Is the resolver gone, its last view stands for as long as
                    // this pool is used.
                    resolver_lives = changed.is_ok();
                    break;
                }
                _ = window.tick() => rotation.sweep(),
            }
        }
    }
}

/// What was known of instances that left the view, in case they come back.
#[derive(Default)]
struct Past(HashMap<Target, (Arc<Standing>, Instant)>);

impl Past {
    fn remember(&mut self, target: Target, standing: Arc<Standing>, now: Instant) {
        self.0.retain(|_, (_, since)| now.duration_since(*since) < REMEMBERED);
        if self.0.len() >= MAX_REMEMBERED {
            let oldest = self.0.iter().min_by_key(|(_, (_, since))| *since);
            if let Some(oldest) = oldest.map(|(target, _)| target.clone()) {
                self.0.remove(&oldest);
            }
        }
        self.0.insert(target, (standing, now));
    }

    fn recall(&mut self, target: &Target, now: Instant) -> Option<Arc<Standing>> {
        let (standing, since) = self.0.remove(target)?;
        (now.duration_since(since) < REMEMBERED).then_some(standing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::tick::Tick;

    fn target(port: usize, instance: &str) -> Target {
        Target { address: format!("127.0.0.1:{port}"), instance: instance.to_owned() }
    }

    fn standing() -> Arc<Standing> {
        Arc::new(Standing::new(Tick::from_millis(1)))
    }

    #[test]
    fn an_instance_that_flaps_keeps_its_standing_and_its_successor_does_not_inherit_it() {
        let (mut past, now, known) = (Past::default(), Instant::now(), standing());
        past.remember(target(1, "a"), known.clone(), now);
        assert!(past.recall(&target(1, "b"), now).is_none(), "another process at that address");
        assert!(Arc::ptr_eq(&past.recall(&target(1, "a"), now).unwrap(), &known));
    }

    #[test]
    fn what_is_too_old_or_too_much_is_forgotten() {
        let (mut past, now) = (Past::default(), Instant::now());
        past.remember(target(0, ""), standing(), now);
        assert!(past.recall(&target(0, ""), now + REMEMBERED).is_none());
        for port in 0..2 * MAX_REMEMBERED {
            let later = now + Duration::from_millis(port as u64);
            past.remember(target(port, ""), standing(), later);
        }
        assert_eq!(past.0.len(), MAX_REMEMBERED);
        assert!(past.recall(&target(0, ""), now).is_none(), "the oldest goes first");
    }
}
