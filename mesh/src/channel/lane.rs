//! The connections to one instance that one runtime drives. A worker's calls use
//! the worker's own, so that neither sending nor an answer wakes another thread.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Relaxed},
};

use arc_swap::ArcSwap;
use tokio::sync::Notify;

use super::connection::Connection;

/// A connection beyond the first is opened when each one carries this many
/// calls: one connection batches writes best, but all of its calls share one
/// lock and one congestion window.
const CALLS_PER_CONNECTION: usize = 64;
/// More connections than this from one runtime to one instance gain nothing (h2's
/// lock is no longer what limits).
pub(super) const MAX_CONNECTIONS: usize = 4;

/// Connections of one runtime.
#[derive(Debug, Default)]
pub(super) struct Lane {
    connections: ArcSwap<Vec<Arc<Connection>>>,
    /// Asks for a further connection.
    pub(super) crowded: Notify,
    /// Somebody keeps it connected, or tries to.
    kept: AtomicBool,
    /// A call has asked for it since the last look.
    wanted: AtomicBool,
}

impl Lane {
    /// A place on the least loaded connection, if one is usable.
    pub(super) fn place(&self) -> Option<Arc<Connection>> {
        let connections = self.connections.load();
        let usable = connections.iter().filter(|connection| connection.usable());
        let connection = usable.min_by_key(|connection| connection.in_flight.load(Relaxed))?;
        let calls = connection.in_flight.fetch_add(1, Relaxed);
        if calls >= CALLS_PER_CONNECTION && connections.len() < MAX_CONNECTIONS {
            self.crowded.notify_one();
        }
        Some(connection.clone())
    }

    /// A call of the lane's own runtime asks for it.
    pub(super) fn want(&self) {
        // Read first: a store for each call would pull the line from other cores.
        if !self.wanted.load(Relaxed) {
            self.wanted.store(true, Relaxed);
        }
    }

    /// Whether a call has asked for it since this was asked last.
    pub(super) fn was_wanted(&self) -> bool {
        self.wanted.swap(false, Relaxed)
    }

    /// Whether nobody kept it; from now on the caller does.
    pub(super) fn take(&self) -> bool {
        !self.kept.swap(true, Relaxed)
    }

    /// Nobody keeps it any more.
    pub(super) fn give_up(&self) {
        for connection in self.connections.swap(Arc::default()).iter() {
            connection.retire();
        }
        self.kept.store(false, Relaxed);
    }

    pub(super) fn connections(&self) -> Arc<Vec<Arc<Connection>>> {
        self.connections.load_full()
    }

    pub(super) fn is_open(&self) -> bool {
        self.connections.load().iter().any(|connection| connection.usable())
    }

    /// Whether calls are on its connections.
    pub(super) fn is_busy(&self) -> bool {
        self.connections.load().iter().any(|one| one.in_flight.load(Relaxed) > 0)
    }

    /// Takes connections of an era, or of one before, out of use.
    pub(super) fn retire(&self, era: usize) {
        for connection in self.connections.load().iter().filter(|one| one.era <= era) {
            connection.retire();
        }
    }

    /// Changes the list of connections; only who keeps the lane does so.
    pub(super) fn change(&self, change: impl FnOnce(&mut Vec<Arc<Connection>>)) {
        let mut all = self.connections.load().to_vec();
        change(&mut all);
        self.connections.store(Arc::new(all));
    }
}
