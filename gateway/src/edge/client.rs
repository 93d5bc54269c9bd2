//! Who is at the other end of a connection, and how long nothing has been asked
//! there. One timer for each connection looks now and then; hyper's own is made
//! and dropped for every request.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use http::{HeaderValue, Version};
use tokio::time::Instant;

/// The client of a connection.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) address: SocketAddr,
    /// Its address without the port, for a header.
    pub(super) forwarded: HeaderValue,
    begun: Instant,
    /// Requests whose answer has not been written.
    turns: AtomicUsize,
    /// Milliseconds from `begun` to the end of the last answer.
    answered: AtomicU64,
    /// Speaks HTTP/2, which has its own way to find out whether a client lives.
    multiplexed: AtomicBool,
}

/// What becomes of a connection on which nothing is asked.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Patience {
    /// Look again then.
    Until(Instant),
    /// For as long as the connection lives.
    Endless,
    Over,
}

impl Client {
    pub(super) fn new(address: SocketAddr) -> Client {
        let forwarded = address.ip().to_string();
        Client {
            address,
            forwarded: forwarded.parse().expect("an address is a header value"),
            begun: Instant::now(),
            turns: AtomicUsize::new(0),
            answered: AtomicU64::new(0),
            multiplexed: AtomicBool::new(false),
        }
    }

    /// A request has come.
    pub(super) fn turn(self: &Arc<Client>, version: Version) -> Turn {
        self.turns.fetch_add(1, Relaxed);
        if version == Version::HTTP_2 {
            self.multiplexed.store(true, Relaxed);
        }
        Turn(self.clone())
    }

    /// Whether the client may go on asking nothing, which it may for so long.
    pub(super) fn patience(&self, timeout: Duration) -> Patience {
        if self.multiplexed.load(Relaxed) {
            return Patience::Endless;
        }
        let now = Instant::now();
        if self.turns.load(Relaxed) > 0 {
            return Patience::Until(now + timeout);
        }
        let end = self.begun + Duration::from_millis(self.answered.load(Relaxed)) + timeout;
        if end <= now { Patience::Over } else { Patience::Until(end) }
    }
}

/// A request that is being served, until its answer is written or given up.
#[derive(Debug)]
pub(super) struct Turn(Arc<Client>);

impl Turn {
    pub(super) fn client(&self) -> &Arc<Client> {
        &self.0
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let after = u64::try_from(self.0.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.0.answered.store(after, Relaxed);
        self.0.turns.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(15);

    fn client() -> Arc<Client> {
        Arc::new(Client::new("192.0.2.7:1".parse().unwrap()))
    }

    async fn pass(seconds: u64) {
        tokio::time::advance(Duration::from_secs(seconds)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_asks_nothing_is_left_alone_for_so_long() {
        let client = client();
        assert_eq!(client.forwarded, "192.0.2.7");
        assert_eq!(client.patience(TIMEOUT), Patience::Until(client.begun + TIMEOUT));
        pass(14).await;
        assert_eq!(client.patience(TIMEOUT), Patience::Until(client.begun + TIMEOUT));
        pass(1).await;
        assert_eq!(client.patience(TIMEOUT), Patience::Over);
    }

    #[tokio::test(start_paused = true)]
    async fn it_counts_from_the_end_of_the_last_answer() {
        let client = client();
        let (first, second) = (client.turn(Version::HTTP_11), client.turn(Version::HTTP_11));
        drop(first);
        pass(60).await;
        let again = client.begun + Duration::from_secs(60) + TIMEOUT;
        assert_eq!(client.patience(TIMEOUT), Patience::Until(again));
        drop(second);
        pass(14).await;
        assert_eq!(client.patience(TIMEOUT), Patience::Until(again));
        pass(1).await;
        assert_eq!(client.patience(TIMEOUT), Patience::Over);
    }

    #[tokio::test(start_paused = true)]
    async fn on_http_2_pings_find_out_who_is_gone() {
        let client = client();
        drop(client.turn(Version::HTTP_2));
        pass(600).await;
        assert_eq!(client.patience(TIMEOUT), Patience::Endless);
    }
}
