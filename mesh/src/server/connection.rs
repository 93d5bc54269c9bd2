//! One connection: its handshake, its limits, its age, its end.

use std::{net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use bytes::Bytes;
use h2::server::Connection;
use tokio::{task::coop::unconstrained, time::Instant};

use super::{Shared, drained, handle};
use crate::{keepalive, net::Stream};

/// A client that has not sent its preface in this time is none.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Flow-control windows; see the client's.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 4 << 20;
/// Bytes of an answer that wait for a slow reader, per stream.
const SEND_BUFFER: usize = 1 << 20;
/// Streams that a client may open and reset at once before it is cut off
/// (CVE-2023-44487).
const MAX_PENDING_RESETS: usize = 32;

/// Serves a connection until its peer leaves, it is too old, or the process
/// drains; then until its last call has ended.
pub(super) async fn serve(shared: Arc<Shared>, stream: Stream, peer: SocketAddr) {
    let mut drain = shared.draining.subscribe();
    let mut drained = pin!(unconstrained(drained(&mut drain)));
    let handshake = tokio::time::timeout(HANDSHAKE_TIMEOUT, handshake(&shared, stream)).await;
    let mut connection = match handshake {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => return tracing::debug!(%peer, %error, "no HTTP/2 connection"),
        Err(_) => return tracing::debug!(%peer, "no HTTP/2 preface came"),
    };
    let ping = connection.ping_pong().expect("taken once");
    // Without tokio's budget, or a peer that never pauses would use it up and none
    // of these would ever be due.
    let mut alive = pin!(unconstrained(keepalive::until_dead(ping)));
    let old = old_age(shared.limits.max_connection_age);
    let mut age = pin!(unconstrained(tokio::time::sleep_until(old)));
    let mut leaving = false;
    loop {
        tokio::select! {
            // While calls come in, nothing else is looked at, and no lot is drawn.
            biased;
            accepted = connection.accept() => match accepted {
                Some(Ok((request, respond))) => {
                    // Boxed: a task is moved several times before it first runs.
                    tokio::spawn(Box::pin(handle::call(shared.clone(), peer, request, respond)));
                }
                Some(Err(error)) => return tracing::debug!(%peer, %error, "a connection failed"),
                None => return,
            },
            () = &mut alive => return tracing::debug!(%peer, "a peer no longer answers pings"),
            () = &mut age, if !leaving => {
                leaving = true;
                connection.graceful_shutdown();
            }
            () = &mut drained, if !leaving => {
                leaving = true;
                connection.graceful_shutdown();
            }
        }
    }
}

async fn handshake(
    shared: &Shared,
    stream: Stream,
) -> Result<Connection<Stream, Bytes>, h2::Error> {
    h2::server::Builder::new()
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_concurrent_streams(shared.limits.max_streams)
        .max_header_list_size(shared.limits.max_header_bytes)
        .max_send_buffer_size(SEND_BUFFER)
        .max_pending_accept_reset_streams(MAX_PENDING_RESETS)
        .handshake(stream)
        .await
}

/// Spread by a tenth, so that clients that came together do not leave together.
fn old_age(age: Duration) -> Instant {
    Instant::now() + age.mul_f64(0.9 + 0.2 * fastrand::f64())
}
