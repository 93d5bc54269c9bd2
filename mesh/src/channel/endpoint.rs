//! One instance of an application and the connections to it.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use bytes::Bytes;
use h2::client::SendRequest;
use tokio::{net::TcpStream, sync::Notify};

use super::pool::PoolState;
use crate::{backoff::Backoff, keepalive, resolver::Target};

/// A connection beyond the first is opened when each one carries this many
/// calls: one connection batches writes best, but all of its calls share one
/// lock and one congestion window.
const CALLS_PER_CONNECTION: usize = 64;
/// More connections than this to one instance gain nothing (h2's lock is no
/// longer what limits).
const MAX_CONNECTIONS: usize = 4;
/// A peer that does not answer a SYN in this time is as good as dead.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Bounds of the wait between attempts to connect: a restarted process is found
/// quickly, a dead one costs a packet a second.
const RECONNECT: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));
/// Flow-control windows: large enough that a message of the default limit of
/// 4 MiB is not stopped by a round trip for every 64 KiB.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 4 << 20;

/// One instance.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) target: Target,
    connections: ArcSwap<Vec<Arc<Connection>>>,
    /// Calls whose last trailer has not come, over all connections.
    in_flight: AtomicUsize,
    /// Asks for a further connection.
    crowded: Notify,
}

/// One HTTP/2 connection.
#[derive(Debug)]
pub(crate) struct Connection {
    send: SendRequest<Bytes>,
    in_flight: AtomicUsize,
    /// No new call may use it: the peer said GOAWAY or is gone.
    closing: AtomicBool,
    closed: Notify,
}

impl Connection {
    pub(crate) fn sender(&self) -> SendRequest<Bytes> {
        self.send.clone()
    }

    /// Takes the connection out of use at once; calls that are on it go on.
    pub(crate) fn retire(&self) {
        if !self.closing.swap(true, Relaxed) {
            self.closed.notify_one();
        }
    }

    fn usable(&self) -> bool {
        !self.closing.load(Relaxed)
    }
}

/// A call's place on a connection, given back on drop: after the last trailer,
/// an error or a cancellation alike.
#[derive(Debug)]
pub(crate) struct Permit {
    endpoint: Arc<Endpoint>,
    pub(crate) connection: Arc<Connection>,
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.connection.in_flight.fetch_sub(1, Relaxed);
        self.endpoint.in_flight.fetch_sub(1, Relaxed);
    }
}

impl Endpoint {
    pub(crate) fn new(target: Target) -> Self {
        Self {
            target,
            connections: ArcSwap::default(),
            in_flight: AtomicUsize::new(0),
            crowded: Notify::new(),
        }
    }

    pub(crate) fn load(&self) -> usize {
        self.in_flight.load(Relaxed)
    }

    /// The least loaded connection, if one is usable.
    pub(crate) fn acquire(self: &Arc<Self>) -> Option<Permit> {
        let connections = self.connections.load();
        let usable = connections.iter().filter(|connection| connection.usable());
        let connection = usable.min_by_key(|connection| connection.in_flight.load(Relaxed))?;
        let calls = connection.in_flight.fetch_add(1, Relaxed);
        if calls >= CALLS_PER_CONNECTION && connections.len() < MAX_CONNECTIONS {
            self.crowded.notify_one();
        }
        self.in_flight.fetch_add(1, Relaxed);
        Some(Permit { endpoint: self.clone(), connection: connection.clone() })
    }

    /// Keeps the instance connected until the future is dropped. Connections
    /// live on while calls are on them.
    pub(crate) async fn keep_connected(self: Arc<Self>, pool: Arc<PoolState>) {
        let mut backoff = Backoff::new(RECONNECT.0, RECONNECT.1);
        loop {
            match self.connect().await {
                Ok(first) => {
                    backoff.reset();
                    self.serve(&pool, first).await;
                    pool.remove(&self);
                }
                Err(error) => {
                    tracing::debug!(address = self.target.address, %error, "cannot connect");
                }
            }
            tokio::time::sleep(backoff.wait()).await;
        }
    }

    /// Holds the endpoint in the pick set while any connection is usable.
    async fn serve(self: &Arc<Self>, pool: &PoolState, first: Arc<Connection>) {
        self.connections.store(Arc::new(vec![first]));
        pool.add(self);
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
        let connecting = handshake(&self.target.address);
        let (send, driver) = tokio::time::timeout(CONNECT_TIMEOUT, connecting).await??;
        let connection = Arc::new(Connection {
            send,
            in_flight: AtomicUsize::new(0),
            closing: AtomicBool::new(false),
            closed: Notify::new(),
        });
        let watched = connection.clone();
        tokio::spawn(async move {
            driver.await;
            watched.retire();
        });
        Ok(connection)
    }
}

async fn handshake(
    address: &str,
) -> io::Result<(SendRequest<Bytes>, impl Future<Output = ()> + Send + 'static)> {
    let stream = TcpStream::connect(address).await?;
    // A request is a few small frames: waiting to fill a packet only adds 40 ms.
    stream.set_nodelay(true)?;
    let (send, mut connection) = h2::client::Builder::new()
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .enable_push(false)
        .handshake(stream)
        .await
        .map_err(io::Error::other)?;
    let ping = connection.ping_pong().expect("taken once");
    let driver = async move {
        tokio::select! {
            ended = connection => if let Err(error) = ended {
                tracing::debug!(%error, "a connection ended");
            },
            // Dropping the connection fails its calls at once.
            () = keepalive::until_dead(ping) => tracing::debug!("a peer no longer answers pings"),
        }
    };
    Ok((send, driver))
}
