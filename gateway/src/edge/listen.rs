//! Connections: accepted up to a limit, spoken to in HTTP/1.1 or HTTP/2 as their
//! first bytes ask (h2c with prior knowledge), and let go in order at the end.

use std::{net::SocketAddr, pin::pin, sync::Arc, task::Poll, time::Duration};

use futures_util::{
    FutureExt as _,
    future::BoxFuture,
    stream::{FuturesUnordered, StreamExt as _},
};
use http::Request;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::Builder,
};
use mesh::{
    Workers,
    net::{Listener, Stream},
};
use tokio::{sync::watch, time::Instant};

use super::{
    Edge, Limits,
    client::{Client, Patience},
    stall::Watched,
};

/// From the first byte of a request to the last of its headers, and from one
/// request to the next: clients that are slower hold a connection for nothing.
const HEADER_TIMEOUT: Duration = Duration::from_secs(15);
/// More than any proxy in front adds.
const MAX_HEADERS: usize = 100;
/// Header block, HTTP/2; HTTP/1.1 counts its buffer, which hyper bounds below at
/// 8 KiB.
const MAX_HEADER_BYTES: u32 = 32 << 10;
/// HTTP/2 windows: one message of the default limit in flight per stream.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 4 << 20;
/// Bytes that wait for a slow reader, per stream.
const SEND_BUFFER: usize = 256 << 10;
/// A client that is gone without a word is noticed after both together.
const PING_INTERVAL: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(20);
/// Streams that a client may open and reset at once (CVE-2023-44487).
const MAX_PENDING_RESETS: usize = 32;
/// For what a worker computes when everything has ended: a handler without an
/// `await` cannot be cut.
const LAST_WORK: Duration = Duration::from_secs(1);

/// Serves on these workers until `stop` completes, then lets running requests
/// end.
pub(super) async fn serve(
    edge: Arc<Edge>,
    workers: Workers,
    listener: Listener,
    stop: impl Future<Output = ()>,
) {
    let builder = Arc::new(builder(&edge.limits));
    let Limits { max_connections, drain_timeout, .. } = edge.limits;
    let (drain, draining) = watch::channel(false);
    let mut stopped = draining.clone();
    let serve = move |stream, peer| {
        connection(edge.clone(), builder.clone(), stream, peer, draining.clone())
    };
    let accepting = async move {
        // Fails when nobody could tell any more, which is the end as well.
        _ = stopped.wait_for(|drain| *drain).await;
    };
    let served = workers.serve(listener, max_connections, serve, accepting);
    let mut served = Box::pin(served);
    tokio::select! {
        () = &mut served => {}
        () = stop => {
            drain.send_replace(true);
            if tokio::time::timeout(drain_timeout, &mut served).await.is_err() {
                tracing::warn!("drain timed out; connections were cut");
            }
        }
    }
    drop(served);
    let held = workers.end(LAST_WORK).await;
    if held > 0 {
        tracing::warn!(workers = held, "workers that compute without an end were left behind");
    }
}

fn builder(limits: &Limits) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        // `Client` keeps the time.
        .header_read_timeout(None)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_HEADER_BYTES as usize);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(MAX_HEADER_BYTES)
        .max_concurrent_streams(limits.max_streams)
        .max_pending_accept_reset_streams(MAX_PENDING_RESETS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT);
    builder
}

async fn connection(
    edge: Arc<Edge>,
    builder: Arc<Builder<TokioExecutor>>,
    stream: Stream,
    peer: SocketAddr,
    draining: watch::Receiver<bool>,
) {
    let client = Arc::new(Client::new(peer));
    let stream = TokioIo::new(Watched::new(stream, edge.limits.idle_timeout));
    let edge = Arc::new(edge);
    let service = service_fn(|request: Request<Incoming>| {
        let turn = client.turn(request.version());
        Edge::handle(edge.clone(), request, turn)
    });
    let mut connection = pin!(builder.serve_connection(stream, service));
    let mut events = events(&client, draining);
    loop {
        let turn = std::future::poll_fn(|context| match connection.as_mut().poll(context) {
            Poll::Ready(ended) => Poll::Ready(Err(ended)),
            Poll::Pending => events.poll_next_unpin(context).map(Ok),
        });
        match turn.await {
            Err(Ok(())) => return,
            Err(Err(error)) => {
                return tracing::debug!(%peer, error = %error, "a connection failed");
            }
            Ok(Some(Event::Drain)) => connection.as_mut().graceful_shutdown(),
            // There is always one to come.
            Ok(Some(Event::Silence) | None) => return tracing::debug!(%peer, "no request came"),
        }
    }
}

/// What concerns a connection beside its bytes.
enum Event {
    /// Nothing has been asked for too long.
    Silence,
    /// It is to end with the requests that run.
    Drain,
}

/// The events of a connection. They are polled when they wake, and not with each
/// turn of the connection, as those of a `select!` would be.
fn events(
    client: &Arc<Client>,
    mut draining: watch::Receiver<bool>,
) -> FuturesUnordered<BoxFuture<'static, Event>> {
    let client = client.clone();
    let silence = async move {
        let mut look = Instant::now() + HEADER_TIMEOUT;
        loop {
            tokio::time::sleep_until(look).await;
            match client.patience(HEADER_TIMEOUT) {
                Patience::Until(then) => look = then,
                Patience::Endless => std::future::pending().await,
                Patience::Over => return Event::Silence,
            }
        }
    };
    let drain = async move {
        if draining.wait_for(|drain| *drain).await.is_err() {
            // Nobody could tell any more.
            std::future::pending::<()>().await;
        }
        Event::Drain
    };
    FuturesUnordered::from_iter([silence.boxed(), drain.boxed()])
}
