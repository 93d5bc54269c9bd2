//! Tells readers of the feed that there is more to read.

use tokio::sync::{Notify, watch};

/// Shared by the writers of a store, its background tasks and its subscribers.
#[derive(Default)]
pub(crate) struct Signal {
    /// The last position that can be read.
    head: watch::Sender<i64>,
    /// Rung by the first subscriber: without one nobody needs to look around.
    subscribed: Notify,
    /// Rung when there are rows to number (PostgreSQL).
    committed: Notify,
    /// The last position that this process has given (PostgreSQL).
    numbered: watch::Sender<i64>,
}

impl Signal {
    /// The log reaches to `position` at least.
    pub(crate) fn advance(&self, position: i64) {
        raise(&self.head, position);
    }

    /// Follows the end of the log.
    pub(crate) fn subscribe(&self) -> watch::Receiver<i64> {
        let receiver = self.head.subscribe();
        self.subscribed.notify_one();
        receiver
    }

    pub(crate) fn is_watched(&self) -> bool {
        self.head.receiver_count() > 0
    }

    pub(crate) async fn until_watched(&self) {
        while !self.is_watched() {
            self.subscribed.notified().await;
        }
    }

    /// Rows without a position were committed.
    pub(crate) fn committed(&self) {
        self.committed.notify_one();
    }

    /// This process has given positions up to `end`: others are to be told.
    pub(crate) fn numbered(&self, end: i64) {
        self.advance(end);
        raise(&self.numbered, end);
    }

    /// Follows what this process has given.
    pub(crate) fn given(&self) -> watch::Receiver<i64> {
        self.numbered.subscribe()
    }

    pub(crate) async fn until_committed(&self) {
        self.committed.notified().await;
    }
}

/// Several may tell of what they did, in any order.
fn raise(watched: &watch::Sender<i64>, position: i64) {
    watched.send_if_modified(|known| {
        let ahead = position > *known;
        *known = position.max(*known);
        ahead
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_never_goes_back() {
        let signal = Signal::default();
        let head = signal.subscribe();
        signal.advance(7);
        signal.advance(3);
        assert_eq!(*head.borrow(), 7);
    }

    #[tokio::test]
    async fn a_subscriber_is_noticed_and_missed() {
        let signal = Signal::default();
        assert!(!signal.is_watched());
        let head = signal.subscribe();
        signal.until_watched().await;
        drop(head);
        assert!(!signal.is_watched());
    }
}
