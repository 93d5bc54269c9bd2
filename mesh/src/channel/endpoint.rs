//! One instance of an application and the ways to it: a lane of connections for
//! the runtime of the process itself, and one for each worker that calls.

use std::{
    io,
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::{sync::watch, time::Instant};

use super::{
    connection::Connection,
    lane::{Lane, MAX_CONNECTIONS},
    permit::{Ask, Permit},
    rotation::Rotation,
    standing::{Finished, Standing},
    tick::Epoch,
};
use crate::{
    backoff::Backoff,
    call,
    net::{Network, Stream},
    resolver::Target,
    workers,
};

/// Bounds of the wait between attempts to connect: a restarted process is found
/// quickly, a dead one costs a packet a second.
const RECONNECT: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));
/// A worker's lane that no call has used for so long is closed: its pings cost
/// both sides more than to open it again, for which no call waits.
const IDLE: Duration = Duration::from_secs(300);
/// The lane of every thread that is no worker. It is open for as long as the
/// instance is there, and finds out when it comes back.
const HOME: usize = 0;

/// One instance.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) target: Target,
    /// By the number of the worker that drives it, made when it first calls.
    lanes: [OnceLock<Box<Lane>>; workers::NUMBERS],
    /// What is known of the instance, its load included.
    pub(crate) standing: Arc<Standing>,
    pub(super) epoch: Epoch,
    rotation: Weak<Rotation>,
    network: Arc<dyn Network>,
    /// How often connections to it were lost.
    era: AtomicUsize,
    /// The eras whose end was blamed on it.
    blamed: AtomicUsize,
    /// Turns true when the instance leaves the view.
    left: watch::Sender<bool>,
}

impl Endpoint {
    pub(crate) fn new(
        target: Target,
        standing: Arc<Standing>,
        rotation: &Arc<Rotation>,
        network: Arc<dyn Network>,
    ) -> Self {
        Self {
            target,
            lanes: [const { OnceLock::new() }; workers::NUMBERS],
            standing,
            epoch: rotation.epoch,
            rotation: Arc::downgrade(rotation),
            network,
            era: AtomicUsize::new(0),
            blamed: AtomicUsize::new(0),
            left: watch::Sender::new(false),
        }
    }

    /// How many connections there are.
    pub(crate) fn connections(&self) -> usize {
        self.lanes().map(|lane| lane.connections().len()).sum()
    }

    pub(crate) fn is_open(&self) -> bool {
        self.standing.breaker.is_open()
    }

    /// Learns from a call that has ended.
    pub(crate) fn learn(&self, call: Finished, now: Instant) {
        let change = self.standing.learn(call, self.epoch.tick(now), fastrand::f32);
        if let (Some(change), Some(rotation)) = (change, self.rotation.upgrade()) {
            rotation.breaker_changed(self, change);
        }
    }

    /// Opens a stream to it.
    pub(super) async fn stream(&self) -> io::Result<Stream> {
        self.network.connect(&self.target.address).await
    }

    fn lane(&self, number: usize) -> &Lane {
        self.lanes[number].get_or_init(Box::default)
    }

    fn lanes(&self) -> impl Iterator<Item = &Lane> {
        self.lanes.iter().filter_map(OnceLock::get).map(Box::as_ref)
    }

    /// Whether a call can be sent to it.
    pub(super) fn is_connected(&self) -> bool {
        !*self.left.borrow() && self.lanes().any(Lane::is_open)
    }

    /// A place on a connection of this thread's own lane. Until that one is open,
    /// on any other's, so that no call waits for it.
    pub(crate) fn acquire(self: &Arc<Self>, ask: &Ask, now: Instant) -> Option<Permit> {
        let number = workers::current();
        let own = self.lane(number);
        own.want();
        let connection = own.place().or_else(|| {
            self.open(own, number);
            self.lanes().find_map(Lane::place)
        })?;
        Some(Permit::new(self.clone(), connection, ask, now))
    }

    /// Has a worker open its lane, unless it does so already.
    fn open(self: &Arc<Self>, own: &Lane, number: usize) {
        if number != HOME && own.take() {
            let endpoint = self.clone();
            tokio::spawn(call::detached(async move {
                let mut left = endpoint.left.subscribe();
                tokio::select! {
                    () = endpoint.clone().keep_connected(number) => {}
                    _ = left.wait_for(|left| *left) => {}
                }
            }));
        }
    }

    /// Keeps the instance connected until the future is dropped.
    pub(crate) async fn keep_home(self: Arc<Self>) {
        self.lane(HOME).take();
        self.keep_connected(HOME).await;
    }

    /// Keeps a lane connected on this runtime: home for ever, another one while it
    /// is used. Connections live on while calls are on them.
    async fn keep_connected(self: Arc<Self>, number: usize) {
        let kept = Kept { endpoint: &self, lane: self.lane(number) };
        let mut backoff = Backoff::new(RECONNECT.0, RECONNECT.1);
        loop {
            match Connection::open(&self).await {
                Ok(first) => {
                    let since = Instant::now();
                    if kept.serve(first, number).await == Ending::Idle {
                        return;
                    }
                    if since.elapsed() > RECONNECT.1 {
                        // At once: the old one may still be ending its calls.
                        backoff.reset();
                        continue;
                    }
                    // A peer that accepts and dies is no better than one that
                    // does not accept.
                }
                Err(error) => {
                    tracing::debug!(address = self.target.address, %error, "cannot connect");
                    if let Some(rotation) = self.rotation.upgrade() {
                        rotation.cannot_connect();
                    }
                }
            }
            tokio::time::sleep(backoff.wait()).await;
            if number != HOME && !kept.lane.was_wanted() {
                return;
            }
        }
    }

    /// Brings its place in the rotation in line with its connections.
    fn settle(self: &Arc<Self>) {
        if let Some(rotation) = self.rotation.upgrade() {
            rotation.settle(self);
        }
    }

    /// The instance is not called any more.
    pub(crate) fn leave(self: &Arc<Self>) {
        self.left.send_replace(true);
        self.settle();
    }

    pub(super) fn era(&self) -> usize {
        self.era.load(Relaxed)
    }

    /// A connection has failed. Those beside it go to the same process, which may
    /// be gone: none is used for a further call until it was opened anew.
    pub(super) fn lost(&self, connection: &Connection) {
        connection.retire();
        let era = connection.era;
        if self.era.compare_exchange(era, era + 1, Relaxed, Relaxed).is_ok() {
            self.lanes().for_each(|lane| lane.retire(era));
        }
    }

    /// Whether this is the first call that was lost with these connections: one
    /// loss is one failure, however many calls and lanes there were.
    pub(super) fn blame(&self, connection: &Connection) -> bool {
        self.blamed.fetch_max(connection.era + 1, Relaxed) <= connection.era
    }
}

/// Why a lane is no longer served.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// No connection is usable.
    Lost,
    /// No call wants it.
    Idle,
}

/// A lane while a task keeps it.
struct Kept<'a> {
    endpoint: &'a Arc<Endpoint>,
    lane: &'a Lane,
}

impl Kept<'_> {
    /// Holds the lane open while any connection is usable.
    async fn serve(&self, first: Arc<Connection>, number: usize) -> Ending {
        self.change(|all| all.push(first));
        loop {
            let connections = self.lane.connections();
            let lost = futures_util::future::select_all(
                connections.iter().map(|connection| Box::pin(connection.retired())),
            );
            tokio::select! {
                _ = lost => {}
                () = self.lane.crowded.notified() => {
                    if connections.len() < MAX_CONNECTIONS
                        && let Ok(further) = Connection::open(self.endpoint).await
                    {
                        self.change(|all| all.push(further));
                    }
                }
                () = tokio::time::sleep(IDLE), if number != HOME => {
                    if !self.lane.was_wanted() && !self.lane.is_busy() {
                        return Ending::Idle;
                    }
                }
            }
            self.change(|_| {});
            if self.lane.connections().is_empty() {
                return Ending::Lost;
            }
        }
    }

    fn change(&self, change: impl FnOnce(&mut Vec<Arc<Connection>>)) {
        self.lane.change(|all| {
            change(all);
            all.retain(|connection| connection.usable());
        });
        self.endpoint.settle();
    }
}

impl Drop for Kept<'_> {
    fn drop(&mut self) {
        self.lane.give_up();
        self.endpoint.settle();
    }
}
