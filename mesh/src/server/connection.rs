//! One connection: its handshake, its limits, its age, its end. What it does with
//! the calls that come in is next door.

mod turn;

use std::{future::poll_fn, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use bytes::Bytes;
use h2::{Reason, server};
use tokio::{
    task::coop::unconstrained,
    time::{Instant, sleep_until, timeout},
};

use self::turn::Turn;
use super::{
    Shared, drained,
    guard::Guard,
    handle,
    limits::{
        CONNECTION_WINDOW, FRAMING_BUDGET, HANDSHAKE_TIMEOUT, LAST_WORDS, MAX_PENDING_RESETS,
        SEND_BUFFER, STREAM_WINDOW,
    },
};
use crate::{
    gather::{Gather, Turns, gather},
    keepalive,
    net::Stream,
};

type Watched = Guard<Stream>;
type Connection = server::Connection<Gather<Watched>, Bytes>;

/// Serves a connection until its peer leaves, it is too old, or the process
/// drains; then until its last call has ended or, on an old connection, has had
/// the time that it is given.
pub(super) async fn serve(shared: Arc<Shared>, stream: Stream, peer: SocketAddr) {
    let mut drain = shared.draining.subscribe();
    let (watched, turns) = gather(Guard::new(stream, shared.limits.min_ping_interval));
    let handshake = tokio::select! {
        handshake = timeout(HANDSHAKE_TIMEOUT, handshake(&shared, watched)) => handshake,
        // Nobody waits for a call on it yet.
        () = drained(&mut drain) => return,
    };
    let mut connection = match handshake {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => return tracing::debug!(%peer, %error, "no HTTP/2 connection"),
        Err(_) => return tracing::debug!(%peer, "no HTTP/2 preface came"),
    };
    let ping = connection.ping_pong().expect("taken once");
    // Without tokio's budget, or a peer that never pauses would use it up and none
    // of these would ever be due.
    let mut drained = pin!(unconstrained(drained(&mut drain)));
    let mut alive = pin!(unconstrained(keepalive::until_dead(ping)));
    let mut age = pin!(sleep_until(old_age(shared.limits.max_connection_age)));
    let begin = |(request, respond), now| handle::call(shared.clone(), peer, request, respond, now);
    let mut turn = Turn::new(begin);
    let (mut leaving, mut drains) = (false, false);
    loop {
        tokio::select! {
            // While calls come in, nothing else is looked at, and no lot is drawn.
            biased;
            ended = poll_fn(|cx| turns.poll(cx, |cx| turn.poll(&mut connection, cx))) => {
                if let Err(error) = ended {
                    tracing::debug!(%peer, %error, "a connection failed");
                }
                return;
            }
            () = &mut alive => return tracing::debug!(%peer, "a peer no longer answers pings"),
            () = unconstrained(age.as_mut()) => {
                if leaving {
                    return cut(connection, &turns, peer).await;
                }
                leaving = true;
                connection.graceful_shutdown();
                age.as_mut().reset(Instant::now() + shared.limits.max_connection_age_grace);
            }
            // Calls that do not end are cut by the drain itself.
            () = &mut drained, if !drains => {
                drains = true;
                if !leaving {
                    leaving = true;
                    connection.graceful_shutdown();
                    age.as_mut().reset(Instant::now() + shared.limits.max_connection_age_grace);
                }
            }
        }
    }
}

/// Ends a connection whose calls have had their time.
async fn cut(mut connection: Connection, turns: &Turns<Watched>, peer: SocketAddr) {
    tracing::info!(%peer, "calls on a connection that is too old were cut");
    connection.abrupt_shutdown(Reason::NO_ERROR);
    let closed = poll_fn(|cx| turns.poll(cx, |cx| connection.poll_closed(cx)));
    // A peer that does not read is not waited for.
    let _ = timeout(LAST_WORDS, closed).await;
}

async fn handshake(shared: &Shared, stream: Gather<Watched>) -> Result<Connection, h2::Error> {
    server::Builder::new()
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_concurrent_streams(shared.limits.max_streams)
        .max_header_list_size(shared.limits.max_header_bytes)
        .max_send_buffer_size(SEND_BUFFER)
        .max_pending_accept_reset_streams(MAX_PENDING_RESETS)
        .data_frame_budget(FRAMING_BUDGET)
        .handshake(stream)
        .await
}

/// Spread by a tenth, so that clients that came together do not leave together.
fn old_age(age: Duration) -> Instant {
    Instant::now() + age.mul_f64(0.9 + 0.2 * fastrand::f64())
}
