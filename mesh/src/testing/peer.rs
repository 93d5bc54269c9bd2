//! A server that misbehaves on request, down to the frames of HTTP/2: for the
//! failures that a well-built server never shows.

mod pump;
mod reply;

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
};

use bytes::Bytes;
use h2::{RecvStream, server::SendResponse};
use http::Request;
use tokio::{
    sync::mpsc,
    task::{JoinHandle, JoinSet},
};

use self::pump::Order;
pub use self::reply::Reply;
use super::recorder::{Arrival, Recorder, Served};
use crate::net::{Listener, Stream};

/// Bytes between the peer and its own connection.
const BUFFER: usize = 64 << 10;

/// A misbehaving server while it is put together.
///
/// # Examples
/// The first call is refused unprocessed, the others get an answer:
/// ```
/// # use mesh::{proto::*, proto::key_service_client::KeyServiceClient};
/// use mesh::testing::{Mesh, Peer, Reply};
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let mesh = Mesh::simulated(1).await;
/// let peer = Peer::new().once(Reply::refused_stream()).always(Reply::message(&ListKeysResponse::default()));
/// let keys = mesh.peer("keys", peer).await;
/// let mut client = KeyServiceClient::new(mesh.app("caller").channel("keys"));
/// client.list_keys(ListKeysRequest {}).await.unwrap();
/// assert_eq!(keys.arrivals().len(), 2, "what was not processed is repeated");
/// # }
/// ```
#[derive(Debug)]
pub struct Peer {
    first: VecDeque<Reply>,
    then: Reply,
}

impl Default for Peer {
    fn default() -> Self {
        Self::new()
    }
}

impl Peer {
    /// Never answers, until it is told more.
    #[must_use]
    pub fn new() -> Self {
        Self { first: VecDeque::new(), then: Reply::never() }
    }

    /// What the next call gets. Calls get their replies in the order in which they
    /// arrive, over all connections.
    #[must_use]
    pub fn once(mut self, reply: Reply) -> Self {
        self.first.push_back(reply);
        self
    }

    /// What every call gets that no [`once`](Self::once) is left for.
    #[must_use]
    pub fn always(mut self, reply: Reply) -> Self {
        self.then = reply;
        self
    }

    pub(super) fn serve(self, name: &str, listener: Listener, address: SocketAddr) -> RunningPeer {
        let script = Arc::new(Script {
            name: name.to_owned(),
            first: Mutex::new(self.first),
            then: self.then,
            recorder: Recorder::new(),
            connections: AtomicU32::new(0),
        });
        let task = tokio::spawn(accept(listener, script.clone()));
        RunningPeer { address, script, task }
    }
}

/// A misbehaving server. It is gone, and its connections are cut, when this is
/// dropped.
#[derive(Debug)]
pub struct RunningPeer {
    /// Where it serves.
    pub address: SocketAddr,
    script: Arc<Script>,
    task: JoinHandle<()>,
}

impl RunningPeer {
    /// Everything that arrived, in order.
    #[must_use]
    pub fn arrivals(&self) -> Vec<Arrival> {
        self.script.recorder.arrivals()
    }

    /// Connections that were accepted.
    #[must_use]
    pub fn connections(&self) -> u32 {
        self.script.connections.load(Relaxed)
    }
}

impl Drop for RunningPeer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Debug)]
struct Script {
    name: String,
    first: Mutex<VecDeque<Reply>>,
    then: Reply,
    recorder: Recorder,
    connections: AtomicU32,
}

impl Script {
    fn next(&self) -> Reply {
        let first = self.first.lock().expect("nothing panics while it is held").pop_front();
        first.unwrap_or_else(|| self.then.clone())
    }
}

async fn accept(mut listener: Listener, script: Arc<Script>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        script.connections.fetch_add(1, Relaxed);
        connections.spawn(connection(stream, script.clone()));
    }
}

async fn connection(stream: Stream, script: Arc<Script>) {
    let (own, outer) = tokio::io::duplex(BUFFER);
    let (orders, received) = mpsc::unbounded_channel();
    let talk = async {
        let Ok(mut connection) = h2::server::handshake(own).await else { return };
        let mut calls = JoinSet::new();
        while let Some(Ok((request, respond))) = connection.accept().await {
            let served = script.recorder.begin(Arrival::of(&script.name, &request));
            calls.spawn(call(script.next(), request, respond, orders.clone(), served));
        }
    };
    let talk = async {
        talk.await;
        // What was said must still be sent; then the pump finds the end.
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = pump::run(stream, outer, received) => {}
        () = talk => {}
    }
}

async fn call(
    reply: Reply,
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    orders: mpsc::UnboundedSender<Order>,
    mut served: Served,
) {
    let mut body = request.into_body();
    let read = async {
        while let Some(Ok(chunk)) = body.data().await {
            // An error means that the stream is gone, which ends the loop.
            let _ = body.flow_control().release_capacity(chunk.len());
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        biased;
        () = reply.give(&mut respond, &orders, &mut served) => {}
        () = read => {}
    }
}
