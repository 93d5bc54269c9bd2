//! What asks `titan up` to end.

use std::{future, io};

use tokio::signal::unix::{Signal, SignalKind, signal};

/// The request to end: SIGINT, SIGTERM, a terminal that was closed, or the end
/// of standard input for a `titan` that is itself a supervised child.
pub(crate) async fn end() {
    tokio::select! {
        () = mesh::signal::terminate() => {}
        () = arrival(signal(SignalKind::hangup())) => {}
    }
}

/// The impatient repetition. Only what somebody does on purpose counts, and only
/// from the call of this function on.
pub(crate) async fn insistence() {
    tokio::select! {
        () = arrival(signal(SignalKind::interrupt())) => {}
        () = arrival(signal(SignalKind::terminate())) => {}
    }
}

async fn arrival(signal: io::Result<Signal>) {
    match signal {
        Ok(mut signal) => {
            signal.recv().await;
        }
        // The system keeps its own way of dealing with this signal.
        Err(_) => future::pending().await,
    }
}
