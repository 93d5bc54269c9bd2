//! One thread per core, each with a runtime of its own: its own I/O driver, its
//! own timer, its own connections. What a connection brings is worked on where it
//! arrives, so that serving a call wakes no other thread, which on a runtime of
//! many threads is most of what a small call costs.
//!
//! One listener hands each accepted connection to the worker with the fewest;
//! `docs/decisions/0008-workers.md` compares that with a listener for each.

mod slot;
mod thread;
mod watchdog;

use std::{
    io,
    net::SocketAddr,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    time::Duration,
};

use tokio::{runtime::Handle, task::JoinSet};

pub use self::slot::current;
pub(crate) use self::{
    slot::{NUMBERS, address, hold},
    watchdog::page,
};
use self::{thread::Worker, watchdog::Watchdog};
use crate::net::{Listener, Stream};

/// Between attempts to accept when the process is out of file descriptors: more
/// come when connections end.
const ACCEPT_AGAIN: Duration = Duration::from_millis(50);

/// Worker threads, which end when this is dropped; with them end their
/// connections and whatever was spawned on them, at their next `await`. A worker
/// that computes at that moment ends when it has done so; nobody waits for it.
///
/// [`Workers::none`] has no threads: connections are served on the runtime that
/// awaits [`serve`](Self::serve), such as a test's with a paused clock.
#[derive(Debug)]
pub struct Workers {
    /// First, so that it does not watch threads end. `None` without any.
    watchdog: Option<Watchdog>,
    threads: Vec<Worker>,
    /// Where the search for the least busy one begins, so that equals take turns.
    next: AtomicUsize,
}

/// As many workers as this process may use cores, by its affinity and its
/// cgroup's quota: more would only take turns. The default of setting `workers`.
#[must_use]
pub fn default_count() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

impl Workers {
    /// No threads: the runtime that awaits does the work.
    #[must_use]
    pub fn none() -> Self {
        Self { watchdog: None, threads: Vec::new(), next: AtomicUsize::new(0) }
    }

    /// Starts so many threads, and one that watches them: a worker whose thread is
    /// held for 100 ms is told in the log and counted on the admin page. None is
    /// [`Workers::none`].
    ///
    /// # Errors
    /// When the system gives no further thread, or no file descriptors for its
    /// I/O driver.
    pub fn start(count: usize) -> io::Result<Self> {
        Self::watched(count, |_| None)
    }

    /// As [`start`](Self::start), where `method` knows the method whose record has
    /// that [`address`].
    pub(crate) fn watched(
        count: usize,
        method: impl Fn(usize) -> Option<String> + Send + 'static,
    ) -> io::Result<Self> {
        let threads = (0..count).map(|_| Worker::start()).collect::<io::Result<Vec<_>>>()?;
        let watchdog = (count > 0).then(|| Watchdog::start(&threads, method)).transpose()?;
        Ok(Self { watchdog, threads, next: AtomicUsize::new(0) })
    }

    /// How many threads there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.threads.len()
    }

    /// The runtimes of the threads, in no order: to run there what comes with no
    /// connection. What is spawned on them ends with them.
    pub fn runtimes(&self) -> impl Iterator<Item = &Handle> {
        self.threads.iter().map(Worker::runtime)
    }

    /// Accepts connections and has each one served by a worker, `max_connections`
    /// of them at once over all workers (what is more waits in the backlog), until
    /// `stop` completes; then closes the listener, and returns when the last
    /// connection has ended.
    ///
    /// `connection` makes the future that serves a connection. It runs on its
    /// worker's runtime, and what it spawns with `tokio::spawn` runs there too.
    /// One that panics ends its own connection alone.
    ///
    /// Dropping the future closes the listener at once and ends the futures of all
    /// connections at their next `await`.
    pub async fn serve<F, Fut>(
        &self,
        listener: impl Into<Listener>,
        max_connections: usize,
        connection: F,
        stop: impl Future<Output = ()>,
    ) where
        F: Fn(Stream, SocketAddr) -> Fut + Clone + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let mut listener = listener.into();
        let mut stop = std::pin::pin!(stop);
        let mut connections = JoinSet::new();
        loop {
            let full = connections.len() >= max_connections;
            tokio::select! {
                accepted = listener.accept(), if !full => match accepted {
                    Ok((stream, peer)) => self.hand_over(&mut connections, &connection, stream, peer),
                    Err(error) => {
                        // Out of file descriptors, or a peer that is gone already.
                        tracing::warn!(%error, "cannot accept a connection");
                        tokio::time::sleep(ACCEPT_AGAIN).await;
                    }
                },
                Some(_) = connections.join_next() => {}
                () = &mut stop => break,
            }
        }
        drop(listener);
        while connections.join_next().await.is_some() {}
    }

    fn hand_over<F, Fut>(
        &self,
        connections: &mut JoinSet<()>,
        connection: &F,
        stream: Stream,
        peer: SocketAddr,
    ) where
        F: Fn(Stream, SocketAddr) -> Fut + Clone + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let Some(worker) = self.least_busy() else {
            connections.spawn(connection(stream, peer));
            return;
        };
        // Leaves the accepting runtime's I/O driver for the worker's.
        let stream = match stream.detach() {
            Ok(stream) => stream,
            Err(error) => return tracing::warn!(%peer, %error, "a connection was lost"),
        };
        let (place, connection) = (worker.place(), connection.clone());
        let served = async move {
            let _place = place;
            match stream.attach() {
                Ok(stream) => connection(stream, peer).await,
                Err(error) => tracing::warn!(%peer, %error, "a connection was lost"),
            }
        };
        connections.spawn_on(served, worker.runtime());
    }

    /// The worker with the fewest connections; `None` when there are no threads.
    fn least_busy(&self) -> Option<&Worker> {
        let first = self.next.fetch_add(1, Relaxed) % self.threads.len().max(1);
        let (later, earlier) = self.threads.split_at(first);
        later.iter().chain(earlier).min_by_key(|worker| worker.connections())
    }

    /// Ends the threads and waits for their end, so long at most. How many did not
    /// end, since something on them computes without an `await`.
    pub async fn end(mut self, within: Duration) -> usize {
        drop(self.watchdog.take());
        let endings: Vec<_> = self.threads.drain(..).map(Worker::end).collect();
        let ended = futures_util::future::join_all(
            endings.into_iter().map(|ending| tokio::time::timeout(within, ending)),
        );
        ended.await.iter().filter(|ended| ended.is_err()).count()
    }
}

#[cfg(test)]
mod tests;
