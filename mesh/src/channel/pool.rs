//! The instances of one application that a call may be sent to, and the choice
//! among them.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use arc_swap::ArcSwap;
use tokio::{
    sync::{Notify, watch},
    task::{AbortHandle, JoinHandle},
    time::Instant,
};

use super::endpoint::{Endpoint, Permit};
use crate::resolver::{Target, View};

/// How long a call waits for an instance, at most: long enough for a process to
/// be started again by its supervisor.
pub(super) const PICK_TIMEOUT: Duration = Duration::from_secs(2);

/// The pick set of one application.
#[derive(Debug)]
pub(crate) struct Pool {
    state: Arc<PoolState>,
    task: JoinHandle<()>,
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What the endpoints' tasks and the calls share.
#[derive(Debug, Default)]
pub(crate) struct PoolState {
    ready: ArcSwap<Vec<Arc<Endpoint>>>,
    /// Serialises changes of `ready`; never held across a wait.
    changing: Mutex<()>,
    changed: Notify,
}

impl PoolState {
    pub(crate) fn add(&self, endpoint: &Arc<Endpoint>) {
        self.change(|ready| ready.push(endpoint.clone()));
        self.changed.notify_waiters();
    }

    pub(crate) fn remove(&self, endpoint: &Arc<Endpoint>) {
        self.change(|ready| ready.retain(|other| !Arc::ptr_eq(other, endpoint)));
    }

    fn change(&self, change: impl FnOnce(&mut Vec<Arc<Endpoint>>)) {
        let _one_at_a_time = self.changing.lock().expect("no change panics");
        let mut ready = self.ready.load().to_vec();
        change(&mut ready);
        self.ready.store(Arc::new(ready));
    }

    /// An instance of the pick set with a usable connection.
    fn try_pick(&self) -> Option<Permit> {
        let ready = self.ready.load();
        match ready.as_slice() {
            [] => None,
            [only] => only.acquire(),
            several => {
                // Power of two choices: nearly as even as the least loaded of
                // all, without every caller running to the same one.
                let first = fastrand::usize(..several.len());
                let other = (first + fastrand::usize(1..several.len())) % several.len();
                let (a, b) = (&several[first], &several[other]);
                let (better, worse) = if b.load() < a.load() { (b, a) } else { (a, b) };
                let drawn = better.acquire().or_else(|| worse.acquire());
                drawn.or_else(|| several.iter().find_map(Endpoint::acquire))
            }
        }
    }
}

impl Pool {
    /// Follows a resolver's view; must be called within a runtime.
    pub(crate) fn follow(view: watch::Receiver<View>) -> Self {
        let state = Arc::new(PoolState::default());
        let task = tokio::spawn(follow(state.clone(), view));
        Self { state, task }
    }

    /// An instance to call. Waits for one up to two seconds, since a call that has
    /// not left loses nothing by waiting; but never to the end of its deadline,
    /// since "nobody is there" tells its caller more than "too late".
    pub(crate) async fn pick(&self, deadline: Option<Instant>) -> Option<Permit> {
        if let Some(permit) = self.state.try_pick() {
            return Some(permit);
        }
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let patience = left.map_or(PICK_TIMEOUT, |left| PICK_TIMEOUT.min(left * 3 / 4));
        tokio::time::timeout(patience, self.wait()).await.ok()
    }

    async fn wait(&self) -> Permit {
        loop {
            // Registered before the look, so that no change is missed between.
            let mut changed = std::pin::pin!(self.state.changed.notified());
            changed.as_mut().enable();
            if let Some(permit) = self.state.try_pick() {
                return permit;
            }
            changed.await;
        }
    }

    /// Addresses of the instances that can be called now.
    pub(crate) fn ready(&self) -> Vec<String> {
        let ready = self.state.ready.load();
        ready.iter().map(|endpoint| endpoint.target.address.clone()).collect()
    }
}

/// Ends an endpoint's task when the endpoint leaves the view.
struct Kept {
    endpoint: Arc<Endpoint>,
    task: AbortHandle,
    state: Arc<PoolState>,
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.task.abort();
        self.state.remove(&self.endpoint);
    }
}

async fn follow(state: Arc<PoolState>, mut view: watch::Receiver<View>) {
    let mut kept: HashMap<Target, Kept> = HashMap::new();
    loop {
        let targets = view.borrow_and_update().targets.clone();
        kept.retain(|target, _| targets.contains(target));
        for target in targets {
            kept.entry(target).or_insert_with_key(|target| {
                let endpoint = Arc::new(Endpoint::new(target.clone()));
                let task = tokio::spawn(endpoint.clone().keep_connected(state.clone()));
                Kept { endpoint, task: task.abort_handle(), state: state.clone() }
            });
        }
        if view.changed().await.is_err() {
            // The resolver is gone; its last view stands for as long as this
            // pool is used.
            std::future::pending::<()>().await;
        }
    }
}
