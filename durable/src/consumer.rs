//! A consumer: follows the feed of another service and commits the effect of
//! each event together with its place in the feed.
//!
//! The place is a watermark in the consumer's own database, in the transaction of
//! the effect. So every event takes effect exactly once, however often processes
//! die, streams break or replicas overlap; nothing has to be acknowledged, and
//! nothing expires. Replicas share the work by partitions of streams, and an event
//! that cannot be applied holds up its own stream alone.

mod attempts;
mod batch;
mod failure;
mod follow;
mod gauges;
pub mod operate;
mod order;
mod parking;
mod partition;
mod schema;
mod share;
mod source;

use std::{error::Error as StdError, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use mesh::proto::feed_service_client::FeedServiceClient;

use self::{follow::Follower, source::Source};
use crate::{Event, Store, Tx};

pub(crate) use schema::CONSUMERS;
pub(crate) use share::clock;
pub use source::Transport;

/// Three heartbeats of a feed. A connection may be dead without a word.
const SILENCE: Duration = Duration::from_secs(15);
/// How long a replica that died keeps others from its partitions. Longer than a
/// process is ever kept waiting by its disk, short enough that nobody notices.
const LEASE: Duration = Duration::from_millis(1_500);

/// Why a handler could not apply an event.
pub type HandlerError = Box<dyn StdError + Send + Sync>;

/// Follows one feed into one store.
#[derive(Clone)]
pub struct Consumer {
    name: String,
    source: Arc<dyn Source>,
    store: Store,
    types: Vec<String>,
    streams: Vec<String>,
    silence: Duration,
    lease: Duration,
    attempts: u32,
}

impl Consumer {
    /// A consumer of the feed that `channel` leads to. `name` is the key of its
    /// places in `store`, so it is unique there and never changes. Replicas share
    /// it, and share the work: each owns a part of the streams.
    #[must_use]
    pub fn new(name: impl Into<String>, channel: impl Transport, store: Store) -> Self {
        Self {
            name: name.into(),
            source: Arc::new(FeedServiceClient::new(channel)),
            store,
            types: Vec::new(),
            streams: Vec::new(),
            silence: SILENCE,
            lease: LEASE,
            attempts: attempts::DEFAULT,
        }
    }

    /// Only events of these types, by the full names of their messages. Without
    /// it and [`Consumer::streams`] all of them, whose order is checked then
    /// without a gap.
    #[must_use]
    pub fn types(mut self, types: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.types = types.into_iter().map(Into::into).collect();
        self
    }

    /// Only events of streams whose names begin with one of these: `projects/`.
    #[must_use]
    pub fn streams(mut self, prefixes: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.streams = prefixes.into_iter().map(Into::into).collect();
        self
    }

    /// How often an event is tried before its stream is parked; 10 unless set,
    /// which takes about half a minute. An event that cannot be decoded is tried
    /// once.
    #[must_use]
    pub fn attempts(mut self, most: u32) -> Self {
        self.attempts = most.max(1);
        self
    }

    /// After how much silence the feed is subscribed again; 15 s unless set. It
    /// must be well above the heartbeat of the feed.
    #[must_use]
    pub fn silence(mut self, longest: Duration) -> Self {
        self.silence = longest;
        self
    }

    /// How long other replicas wait for one that does not renew, as it does every
    /// third of this, before they take over its part; 1.5 s unless set. Nothing
    /// but the length of that wait depends on it.
    #[must_use]
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// Applies events until it is dropped, at any point without harm. `handler`
    /// makes its changes through the transaction; they commit with the place in
    /// the feed. It may be called more than once for an event whose changes were
    /// rolled back, so it has no effect but on the transaction.
    ///
    /// When it fails, the stream of that event is set aside and tried again with
    /// growing waits, in order, while other streams flow on; after the last of its
    /// [attempts](Consumer::attempts) it is parked until a person releases it or
    /// discards the event ([`operate`]). Nothing is skipped silently. While the
    /// database or a service that the handler called is away, nothing is set
    /// aside: the consumer waits.
    pub async fn run<F>(self, handler: F)
    where
        F: for<'a> Fn(&'a mut Tx, &'a Event) -> BoxFuture<'a, Result<(), HandlerError>>
            + Send
            + Sync,
    {
        Follower::new(self, &handler).run().await;
    }
}

type Handler<'h> = dyn for<'a> Fn(&'a mut Tx, &'a Event) -> BoxFuture<'a, Result<(), HandlerError>>
    + Send
    + Sync
    + 'h;
