//! HTTP/2 pings: how either side learns that the other is gone when no packet
//! says so.

use std::time::Duration;

use h2::{Ping, PingPong};

/// Time between pings. Both sides of a mesh agree on it; a middlebox forgets an
/// idle connection after a minute at the earliest.
const INTERVAL: Duration = Duration::from_secs(30);
/// A peer that has not answered in this time is gone (gRFC A8's default).
const TIMEOUT: Duration = Duration::from_secs(20);

/// Returns when the peer has not answered a ping.
pub(crate) async fn until_dead(mut ping: PingPong) {
    loop {
        tokio::time::sleep(INTERVAL).await;
        let answered = tokio::time::timeout(TIMEOUT, ping.ping(Ping::opaque())).await;
        if !matches!(answered, Ok(Ok(_))) {
            return;
        }
    }
}
