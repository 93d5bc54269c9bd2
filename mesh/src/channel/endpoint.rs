//! One instance of an application and the connections to it.

use std::{
    io,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use bytes::Bytes;
use h2::{Ping, client::SendRequest};
use tokio::{
    sync::{Notify, oneshot},
    time::Instant,
};

use super::{
    permit::{Ask, Permit},
    rotation::Rotation,
    standing::{Finished, Standing},
    tick::Epoch,
};
use crate::{
    backoff::Backoff,
    keepalive,
    net::{Network, Stream},
    resolver::Target,
};

/// A connection beyond the first is opened when each one carries this many
/// calls: one connection batches writes best, but all of its calls share one
/// lock and one congestion window.
const CALLS_PER_CONNECTION: usize = 64;
/// More connections than this to one instance gain nothing (h2's lock is no
/// longer what limits).
const MAX_CONNECTIONS: usize = 4;
/// A peer that does not answer a SYN and a ping in this time is as good as dead.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Bounds of the wait between attempts to connect: a restarted process is found
/// quickly, a dead one costs a packet a second.
const RECONNECT: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));
/// Flow-control windows: large enough that a message of the default limit of
/// 4 MiB is not stopped by a round trip for every 64 KiB.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 4 << 20;
/// Frames that nobody has read cost memory beside their bytes, which h2 counts as
/// 256 bytes less their length and bounds by this; by its default, streams of
/// small messages whose reader pauses would end the connection and all of its
/// calls. A full window of messages of five bytes (5 + 5 on the wire).
const FRAMING_BUDGET: usize = 104 << 20;

/// One instance.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) target: Target,
    connections: ArcSwap<Vec<Arc<Connection>>>,
    /// What is known of the instance, its load included.
    pub(crate) standing: Arc<Standing>,
    pub(super) epoch: Epoch,
    rotation: Weak<Rotation>,
    /// Asks for a further connection.
    crowded: Notify,
    network: Arc<dyn Network>,
}

/// One HTTP/2 connection.
#[derive(Debug)]
pub(crate) struct Connection {
    send: SendRequest<Bytes>,
    /// Calls whose last trailer has not come.
    pub(super) in_flight: AtomicUsize,
    /// A call has been made on it.
    introduced: AtomicBool,
    /// A call was lost with it, and has told so.
    blamed: AtomicBool,
    /// No new call may use it: the peer said GOAWAY or is gone.
    closing: AtomicBool,
    closed: Notify,
}

impl Connection {
    pub(crate) fn sender(&self) -> SendRequest<Bytes> {
        self.send.clone()
    }

    /// Whether nobody has asked before: the first call's names are new to the peer.
    pub(super) fn introduce(&self) -> bool {
        !self.introduced.load(Relaxed) && !self.introduced.swap(true, Relaxed)
    }

    /// Takes the connection out of use at once; calls that are on it go on.
    pub(crate) fn retire(&self) {
        if !self.closing.swap(true, Relaxed) {
            self.closed.notify_one();
        }
    }

    /// Whether this is the first call that was lost with the connection: one loss
    /// is one failure, however many calls were in flight.
    pub(super) fn blame(&self) -> bool {
        !self.blamed.swap(true, Relaxed)
    }

    fn usable(&self) -> bool {
        !self.closing.load(Relaxed)
    }
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
            connections: ArcSwap::default(),
            standing,
            epoch: rotation.epoch,
            rotation: Arc::downgrade(rotation),
            crowded: Notify::new(),
            network,
        }
    }

    /// How many connections there are.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load().len()
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

    /// A place on the least loaded connection, if one is usable.
    pub(crate) fn acquire(self: &Arc<Self>, ask: &Ask, now: Instant) -> Option<Permit> {
        let connections = self.connections.load();
        let usable = connections.iter().filter(|connection| connection.usable());
        let connection = usable.min_by_key(|connection| connection.in_flight.load(Relaxed))?;
        let calls = connection.in_flight.fetch_add(1, Relaxed);
        if calls >= CALLS_PER_CONNECTION && connections.len() < MAX_CONNECTIONS {
            self.crowded.notify_one();
        }
        Some(Permit::new(self.clone(), connection.clone(), ask, now))
    }

    /// Keeps the instance connected until the future is dropped. Connections
    /// live on while calls are on them.
    pub(crate) async fn keep_connected(self: Arc<Self>, rotation: Arc<Rotation>) {
        let mut backoff = Backoff::new(RECONNECT.0, RECONNECT.1);
        loop {
            match self.connect().await {
                Ok(first) => {
                    let since = Instant::now();
                    self.serve(&rotation, first).await;
                    rotation.remove(&self);
                    // A peer that accepts and dies is no better than one that
                    // does not accept.
                    if since.elapsed() > RECONNECT.1 {
                        backoff.reset();
                    }
                }
                Err(error) => {
                    tracing::debug!(address = self.target.address, %error, "cannot connect");
                }
            }
            tokio::time::sleep(backoff.wait()).await;
        }
    }

    /// Holds the endpoint in the pick set while any connection is usable.
    async fn serve(self: &Arc<Self>, rotation: &Rotation, first: Arc<Connection>) {
        self.connections.store(Arc::new(vec![first]));
        rotation.add(self);
        loop {
            let connections = self.connections.load_full();
            let lost = futures_util::future::select_all(
                connections.iter().map(|connection| Box::pin(connection.closed.notified())),
            );
            tokio::select! {
                _ = lost => {}
                () = self.crowded.notified() => {
                    if connections.len() < MAX_CONNECTIONS && let Ok(further) = self.connect().await {
                        self.replace(|all| all.push(further.clone()));
                    }
                }
            }
            self.replace(|all| all.retain(|connection| connection.usable()));
            if self.connections.load().is_empty() {
                return;
            }
        }
    }

    fn replace(&self, change: impl Fn(&mut Vec<Arc<Connection>>)) {
        // Only this endpoint's own task writes.
        let mut all = self.connections.load().to_vec();
        change(&mut all);
        self.connections.store(Arc::new(all));
    }

    async fn connect(&self) -> io::Result<Arc<Connection>> {
        tokio::time::timeout(CONNECT_TIMEOUT, self.connect_patiently()).await?
    }

    async fn connect_patiently(&self) -> io::Result<Arc<Connection>> {
        let (send, driver, alive) =
            handshake(self.network.connect(&self.target.address).await?).await?;
        let connection = Arc::new(Connection {
            send,
            in_flight: AtomicUsize::new(0),
            introduced: AtomicBool::new(false),
            blamed: AtomicBool::new(false),
            closing: AtomicBool::new(false),
            closed: Notify::new(),
        });
        // Not held by what drives it, the connection ends when nobody can use it
        // any more.
        let watched = Arc::downgrade(&connection);
        tokio::spawn(async move {
            driver.await;
            if let Some(watched) = watched.upgrade() {
                watched.retire();
            }
        });
        alive.await.map_err(|_| io::Error::from(io::ErrorKind::ConnectionReset))?;
        Ok(connection)
    }
}

/// Speaks HTTP/2 on a connection. Besides it: what drives it, and the news that the peer
/// has answered a ping. Without that, a process whose kernel still accepts for
/// it would be called.
async fn handshake(
    stream: Stream,
) -> io::Result<(
    SendRequest<Bytes>,
    impl Future<Output = ()> + Send + 'static,
    oneshot::Receiver<()>,
)> {
    let (send, mut connection) = h2::client::Builder::new()
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .data_frame_budget(FRAMING_BUDGET)
        .enable_push(false)
        .handshake(stream)
        .await
        .map_err(io::Error::other)?;
    let mut ping = connection.ping_pong().expect("taken once");
    let (answered, alive) = oneshot::channel();
    let kept_alive = async move {
        if ping.ping(Ping::opaque()).await.is_ok() && answered.send(()).is_ok() {
            keepalive::until_dead(ping).await;
        }
    };
    let driver = async move {
        tokio::select! {
            ended = connection => if let Err(error) = ended {
                tracing::debug!(%error, "a connection ended");
            },
            // Dropping the connection fails its calls at once.
            () = kept_alive => tracing::debug!("a peer does not answer pings"),
        }
    };
    Ok((send, driver, alive))
}
