//! One HTTP/2 connection: how it is opened, what drives it, and how its end is
//! noticed, the moment that the peer says GOAWAY and not when a call fails.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use h2::{Ping, client::SendRequest};
use tokio::sync::{Notify, oneshot};

use super::endpoint::Endpoint;
use crate::{
    gather::{Gather, Turns, gather},
    keepalive,
    net::Stream,
};

/// A peer that does not answer a SYN and a ping in this time is as good as dead.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Flow-control windows: large enough that a message of the default limit of
/// 4 MiB is not stopped by a round trip for every 64 KiB.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 4 << 20;
/// Frames that nobody has read cost memory beside their bytes, which h2 counts as
/// 256 bytes less their length and bounds by this; by its default, streams of
/// small messages whose reader pauses would end the connection and all of its
/// calls. A full window of messages of five bytes (5 + 5 on the wire).
const FRAMING_BUDGET: usize = 104 << 20;

/// One HTTP/2 connection.
#[derive(Debug)]
pub(crate) struct Connection {
    send: SendRequest<Bytes>,
    /// Calls whose last trailer has not come.
    pub(super) in_flight: AtomicUsize,
    /// A call has been made on it.
    introduced: AtomicBool,
    /// How often connections to the instance had been lost when it was opened.
    pub(super) era: usize,
    /// No new call may use it: the peer said GOAWAY or is gone.
    closing: AtomicBool,
    closed: Notify,
    /// Tells what drives the connection that nobody can use it any more.
    _user: oneshot::Sender<()>,
}

impl Connection {
    /// Connects, on the runtime that awaits, which from then on drives it.
    pub(super) async fn open(endpoint: &Arc<Endpoint>) -> io::Result<Arc<Self>> {
        tokio::time::timeout(CONNECT_TIMEOUT, Self::open_patiently(endpoint)).await?
    }

    async fn open_patiently(endpoint: &Arc<Endpoint>) -> io::Result<Arc<Self>> {
        let (stream, turns) = gather(endpoint.stream().await?);
        let (send, connection) = handshake(stream).await?;
        let (user, unused) = oneshot::channel();
        let opened = Arc::new(Self {
            send: send.clone(),
            in_flight: AtomicUsize::new(0),
            introduced: AtomicBool::new(false),
            era: endpoint.era(),
            closing: AtomicBool::new(false),
            closed: Notify::new(),
            _user: user,
        });
        // Not held by what drives it, the connection ends when nobody can use it.
        let driver = Driver {
            connection,
            turns,
            probe: Some(Probe { send, unused }),
            driven: Arc::downgrade(&opened),
        };
        let alive = driver.start(Arc::downgrade(endpoint));
        alive.await.map_err(|_| io::Error::from(io::ErrorKind::ConnectionReset))?;
        Ok(opened)
    }

    pub(crate) fn sender(&self) -> SendRequest<Bytes> {
        self.send.clone()
    }

    /// Whether nobody has asked before: the first call's names are new to the peer.
    pub(super) fn introduce(&self) -> bool {
        !self.introduced.load(Relaxed) && !self.introduced.swap(true, Relaxed)
    }

    /// Takes the connection out of use at once; calls that are on it go on.
    /// Whether it was in use.
    pub(crate) fn retire(&self) -> bool {
        let was_usable = !self.closing.swap(true, Relaxed);
        if was_usable {
            self.closed.notify_one();
        }
        was_usable
    }

    /// Returns when the connection is out of use; to be awaited by one at a time.
    pub(super) async fn retired(&self) {
        self.closed.notified().await;
    }

    pub(super) fn usable(&self) -> bool {
        !self.closing.load(Relaxed)
    }
}

/// Speaks HTTP/2 on a stream.
async fn handshake(
    stream: Gather<Stream>,
) -> io::Result<(SendRequest<Bytes>, h2::client::Connection<Gather<Stream>>)> {
    h2::client::Builder::new()
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .data_frame_budget(FRAMING_BUDGET)
        .enable_push(false)
        .handshake(stream)
        .await
        .map_err(io::Error::other)
}

/// Drives a connection to its end.
struct Driver {
    connection: h2::client::Connection<Gather<Stream>>,
    turns: Turns<Stream>,
    probe: Option<Probe>,
    driven: Weak<Connection>,
}

/// Asks whether a further stream could be opened. h2 tells nobody that a GOAWAY
/// has come, but refuses new streams from then on.
struct Probe {
    send: SendRequest<Bytes>,
    unused: oneshot::Receiver<()>,
}

impl Driver {
    /// Starts on this runtime. The receiver learns that the peer has answered a
    /// ping: without that, a process whose kernel still accepts for it would be
    /// called.
    fn start(mut self, endpoint: Weak<Endpoint>) -> oneshot::Receiver<()> {
        let mut ping = self.connection.ping_pong().expect("taken once");
        let (answered, alive) = oneshot::channel();
        let kept_alive = async move {
            if ping.ping(Ping::opaque()).await.is_ok() && answered.send(()).is_ok() {
                keepalive::until_dead(ping).await;
            }
        };
        let driven = self.driven.clone();
        tokio::spawn(async move {
            tokio::select! {
                ended = std::future::poll_fn(|cx| self.poll(cx)) => if let Err(error) = ended {
                    tracing::debug!(%error, "a connection ended");
                },
                () = kept_alive => tracing::debug!("a peer does not answer pings"),
            }
            if let (Some(endpoint), Some(connection)) = (endpoint.upgrade(), driven.upgrade())
                && connection.usable()
            {
                endpoint.lost(&connection);
            }
            // Dropping the connection fails its calls at once.
            drop(self);
        });
        alive
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), h2::Error>> {
        let polled = self.turns.poll(cx, |cx| Pin::new(&mut self.connection).poll(cx));
        let Some(probe) = self.probe.as_mut().filter(|_| polled.is_pending()) else {
            return polled;
        };
        if Pin::new(&mut probe.unused).poll(cx).is_ready() {
            // The last handle but for the calls' own: h2 ends with them.
            self.probe = None;
        } else if let Poll::Ready(Err(_)) = probe.send.poll_ready(cx) {
            self.probe = None;
            if let Some(connection) = self.driven.upgrade() {
                connection.retire();
            }
        }
        polled
    }
}
