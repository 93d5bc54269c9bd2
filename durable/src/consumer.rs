//! A consumer: follows the feed of another service and commits the effect of
//! each event together with its place in the feed.
//!
//! The checkpoint is a watermark in the consumer's own database, in the
//! transaction of the effect. So every event takes effect exactly once, however
//! often processes die, streams break or replicas overlap; nothing has to be
//! acknowledged, and nothing expires.

mod checkpoint;
mod order;
mod source;

use std::{
    convert::Infallible, error::Error as StdError, panic::AssertUnwindSafe, sync::Arc,
    time::Duration,
};

use futures_util::{FutureExt as _, StreamExt as _, future::BoxFuture};
use mesh::{
    Backoff,
    proto::{SubscribeRequest, SubscribeResponse, feed_service_client::FeedServiceClient},
    status,
};
use tokio::time::{sleep, timeout};
use tonic::Status;

use self::{
    order::{Disorder, Order},
    source::Source,
};
use crate::{Error, Event, Store, Tx};

pub use source::Transport;

/// Events whose effects are one transaction: enough to share the cost of its
/// commit, few enough that other writers of an SQLite file wait shortly.
const MAX_TRANSACTION_EVENTS: usize = 100;
/// Three heartbeats of a feed. A connection may be dead without a word.
const SILENCE: Duration = Duration::from_secs(15);
/// Positions without a matching event that are worth a commit of their own, so
/// that a consumer of rare types does not begin far behind.
const IDLE_ADVANCE: i64 = 1_000;
const RECONNECT: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));
const RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(30));

/// Why a handler could not apply an event.
pub type HandlerError = Box<dyn StdError + Send + Sync>;

/// Follows one feed into one store.
#[derive(Clone)]
pub struct Consumer {
    name: String,
    source: Arc<dyn Source>,
    store: Store,
    types: Vec<String>,
    silence: Duration,
}

impl Consumer {
    /// A consumer of the feed that `channel` leads to. `name` is the key of its
    /// checkpoint in `store`, so it is unique there and never changes. Replicas
    /// share it.
    #[must_use]
    pub fn new(name: impl Into<String>, channel: impl Transport, store: Store) -> Self {
        let source = Arc::new(FeedServiceClient::new(channel));
        Self { name: name.into(), source, store, types: Vec::new(), silence: SILENCE }
    }

    /// Only events of these types, by the full names of their messages. Without
    /// it all of them, whose order is checked then without a gap.
    #[must_use]
    pub fn types(mut self, types: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.types = types.into_iter().map(Into::into).collect();
        self
    }

    /// After how much silence the feed is subscribed again; 15 s unless set. It
    /// must be well above the heartbeat of the feed.
    #[must_use]
    pub fn silence(mut self, longest: Duration) -> Self {
        self.silence = longest;
        self
    }

    /// Applies events until it is dropped, at any point without harm. `handler`
    /// makes its changes through the transaction; they commit with the
    /// checkpoint. When it fails, its changes are rolled back and the event is
    /// tried again, with growing waits, for as long as it takes: an event is
    /// never skipped, so everything after it waits too.
    pub async fn run<F>(self, handler: F)
    where
        F: for<'a> Fn(&'a mut Tx, &'a Event) -> BoxFuture<'a, Result<(), HandlerError>>
            + Send
            + Sync,
    {
        let mut backoff = Backoff::new(RECONNECT.0, RECONNECT.1);
        loop {
            let Err(reason) = self.follow(&handler, &mut backoff).await;
            let wait = backoff.wait();
            let error = status::chain(&reason);
            tracing::warn!(consumer = self.name, error, ?wait, "the feed broke off");
            sleep(wait).await;
        }
    }

    async fn follow(
        &self,
        handler: &Handler<'_>,
        backoff: &mut Backoff,
    ) -> Result<Infallible, Interruption> {
        let mut known = checkpoint::load(&self.store, &self.name).await?;
        let request = SubscribeRequest {
            after: known,
            types: self.types.clone(),
            consumer: self.name.clone(),
        };
        let mut responses = self.source.open(request).await?;
        let mut order = Order::new(known, self.types.is_empty());
        loop {
            let response = timeout(self.silence, responses.next())
                .await
                .map_err(|_| Interruption::Silence(self.silence))?
                .ok_or(Interruption::End)??;
            let SubscribeResponse { events, position } = response;
            let events: Vec<Event> = events.into_iter().map(Event::from).collect();
            order.check(&events, position)?;
            known = self.apply(known, &events, position, handler).await?;
            backoff.reset();
        }
    }

    /// Applies a batch and returns the checkpoint that is known to be stored.
    async fn apply(
        &self,
        mut known: i64,
        mut events: &[Event],
        position: i64,
        handler: &Handler<'_>,
    ) -> Result<i64, Interruption> {
        let mut backoff = Backoff::new(RETRY.0, RETRY.1);
        let (mut size, mut attempts) = (MAX_TRANSACTION_EVENTS, 0);
        while !events.is_empty() || position - known >= IDLE_ADVANCE {
            let (part, rest) = events.split_at(size.min(events.len()));
            let until = match part.last() {
                Some(last) if !rest.is_empty() => last.position,
                _ => position,
            };
            match self.commit(known, part, until, handler).await {
                Ok(stored) => {
                    (known, events) = (stored, rest);
                    (size, attempts) = (MAX_TRANSACTION_EVENTS, 0);
                    backoff.reset();
                }
                Err(Failure::Reset) => return Err(Interruption::Reset),
                Err(failure) => {
                    // One by one from here, so that only the one that fails waits.
                    (size, attempts) = (1, attempts + 1);
                    self.wait_after(&failure, part, attempts, backoff.wait()).await;
                }
            }
        }
        Ok(known)
    }

    /// What happens to an event that cannot be applied: it is tried again. The
    /// place where a stream would be parked, so that others flow on.
    async fn wait_after(&self, failure: &Failure, part: &[Event], attempts: u32, wait: Duration) {
        tracing::error!(
            consumer = self.name,
            first = part.first().map(|event| event.position),
            attempts,
            error = status::chain(failure),
            ?wait,
            "an event cannot be applied; it is tried again",
        );
        sleep(wait).await;
    }

    /// One transaction: what of `events` nobody has applied yet, and the
    /// checkpoint. Returns the checkpoint that is stored now.
    async fn commit(
        &self,
        known: i64,
        events: &[Event],
        until: i64,
        handler: &Handler<'_>,
    ) -> Result<i64, Failure> {
        let mut tx = self.store.begin().await?;
        let stored = checkpoint::lock(&mut tx, &self.name).await?;
        if stored < known {
            return Err(Failure::Reset);
        }
        // A replica may have been faster, up to here or beyond.
        if stored >= until {
            tx.rollback().await?;
            return Ok(stored);
        }
        for event in events.iter().filter(|event| event.position > stored) {
            apply_one(&mut tx, event, handler).await?;
        }
        checkpoint::store(&mut tx, &self.name, until).await?;
        tx.commit().await?;
        Ok(until)
    }
}

type Handler<'h> = dyn for<'a> Fn(&'a mut Tx, &'a Event) -> BoxFuture<'a, Result<(), HandlerError>>
    + Send
    + Sync
    + 'h;

/// The effect continues the trace of its cause. A panic is a failure like any
/// other; it must not end the consumer without a word.
async fn apply_one(tx: &mut Tx, event: &Event, handler: &Handler<'_>) -> Result<(), Failure> {
    tx.follow_from(event);
    let traceparent = Some(event.traceparent.as_str());
    let effect = AssertUnwindSafe(async { handler(tx, event).await }).catch_unwind();
    let outcome = mesh::call::caused_by(traceparent, effect).await;
    let failure =
        |source| Failure::Handler { kind: event.kind.clone(), position: event.position, source };
    match outcome {
        Ok(Ok(())) => Ok(()),
        Ok(Err(source)) => Err(failure(source)),
        Err(_) => Err(failure("the handler panicked".into())),
    }
}

/// Why a batch was not applied.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{kind} at position {position}")]
    Handler { kind: String, position: i64, source: HandlerError },
    #[error(transparent)]
    Store(#[from] Error),
    #[error("the checkpoint was set back")]
    Reset,
}

/// Why a subscription ended.
#[derive(Debug, thiserror::Error)]
enum Interruption {
    #[error("the feed was refused or broken")]
    Status(#[from] Status),
    #[error("the feed ended")]
    End,
    #[error("the feed was silent for {0:?}")]
    Silence(Duration),
    #[error("the checkpoint was set back")]
    Reset,
    #[error(transparent)]
    Disorder(#[from] Disorder),
    #[error(transparent)]
    Store(#[from] Error),
}
