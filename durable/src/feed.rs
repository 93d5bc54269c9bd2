//! The log as a gRPC stream: the server half of what a consumer reads.
//!
//! The stream is pulled: a batch is read when the one before was taken, so a
//! slow consumer holds one batch of memory and delays nobody.

use std::{sync::Arc, time::Duration};

use futures_util::{
    StreamExt as _,
    stream::{self, BoxStream},
};
use mesh::{
    Routes,
    proto::{
        ReportProgressRequest, ReportProgressResponse, SubscribeRequest, SubscribeResponse,
        feed_service_server::{FeedService, FeedServiceServer},
    },
    status,
};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until, timeout_at},
};
use tonic::{Code, Request, Response, Status};

use crate::{
    Error, Store,
    log::{self, Limit, Matching, Shared},
    params, time,
};

/// A heartbeat tells a consumer within its own timeout that the feed lives, and
/// that a quiet one is not stuck.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// A consumer commits about as many at once.
const BATCH_EVENTS: usize = 100;
/// With one event of the largest size on top it stays below the 4 MiB that gRPC
/// clients accept.
const BATCH_BYTES: usize = 1024 * 1024;

/// While events come faster than they are taken one by one, they are taken together
/// this often, by all subscriptions at the same time: what a consumer's commit costs
/// is then shared by some dozens of them, and one sync of the disk by the consumers.
/// An event that comes alone is sent at once.
const GULP: Duration = Duration::from_millis(5);

/// The feed of a store with the usual limits, as a gRPC service.
#[must_use]
pub fn server(store: Store) -> FeedServiceServer<Feed> {
    Feed::new(store).into_server()
}

/// The feed of a store.
#[derive(Clone, Debug)]
pub struct Feed {
    store: Store,
    heartbeat: Duration,
    limit: Limit,
}

impl Feed {
    /// A feed that sends at most 100 events or 1 MiB at once, and a heartbeat
    /// after 5 s of silence.
    #[must_use]
    pub fn new(store: Store) -> Self {
        let limit = Limit { events: BATCH_EVENTS, bytes: BATCH_BYTES };
        Self { store, heartbeat: HEARTBEAT, limit }
    }

    /// How long the feed is silent at most.
    #[must_use]
    pub fn heartbeat(mut self, period: Duration) -> Self {
        self.heartbeat = period;
        self
    }

    /// Events and bytes of a batch; one event is sent whatever its size.
    #[must_use]
    pub fn batch(mut self, events: usize, bytes: usize) -> Self {
        self.limit = Limit { events: events.max(1), bytes };
        self
    }

    /// The gRPC service.
    #[must_use]
    pub fn into_server(self) -> FeedServiceServer<Self> {
        FeedServiceServer::new(self)
    }

    /// The feed, and beside it what an operator sees of the store and decides:
    /// `titan.mesh.v1.EventsService`.
    #[must_use]
    pub fn into_routes(self) -> Routes {
        let events = crate::events::server(self.store.clone());
        Routes::new().add(self.into_server()).add(events)
    }

    async fn subscribe(&self, request: SubscribeRequest) -> Result<Subscription, Status> {
        // Subscribed first, read second: what is committed in between wakes us.
        let head = self.store.signal().subscribe();
        let end = log::end(&self.store).await?;
        self.store.signal().advance(end);
        if request.after > end {
            return Err(status::refuse(
                Code::OutOfRange,
                "POSITION_BEYOND_END",
                format!("position {} is beyond the end of the feed, {end}", request.after),
            ));
        }
        let SubscribeRequest { after, types, streams, consumer } = request;
        tracing::debug!(consumer, after, end, "subscribed");
        let matching = Arc::new(Matching { types, streams });
        Ok(Subscription {
            feed: self.clone(),
            head,
            matching,
            after,
            begun: false,
            rests_until: None,
        })
    }

    /// Notes how far a consumer is, so that what it needs is kept. It only goes
    /// back when the consumer itself did.
    async fn note_progress(&self, request: ReportProgressRequest) -> Result<(), Error> {
        let service = mesh::call::caller().service;
        let name = format!("{}/{}", service.as_deref().unwrap_or_default(), request.consumer);
        let mut tx = self.store.begin().await?;
        let sql = "INSERT INTO durable_subscriber (name, position, time) VALUES ($1, $2, $3)
            ON CONFLICT (name) DO UPDATE SET position = excluded.position, time = excluded.time";
        tx.execute(sql, params![name, request.position, time::now()]).await?;
        tx.commit().await
    }
}

#[tonic::async_trait]
impl FeedService for Feed {
    type SubscribeStream = BoxStream<'static, Result<SubscribeResponse, Status>>;

    async fn subscribe(
        &self,
        request: Request<SubscribeRequest>,
    ) -> Result<Response<Self::SubscribeStream>, Status> {
        let subscription = self.subscribe(request.into_inner()).await?;
        Ok(Response::new(subscription.into_stream()))
    }

    async fn report_progress(
        &self,
        request: Request<ReportProgressRequest>,
    ) -> Result<Response<ReportProgressResponse>, Status> {
        self.note_progress(request.into_inner()).await?;
        Ok(Response::new(ReportProgressResponse {}))
    }
}

/// One consumer's place in the feed.
struct Subscription {
    feed: Feed,
    head: watch::Receiver<i64>,
    matching: Arc<Matching>,
    after: i64,
    /// What it begins with comes from the database, which knows what was removed.
    begun: bool,
    /// When more is sent, unless a whole batch is there.
    rests_until: Option<Instant>,
}

impl Subscription {
    fn into_stream(self) -> BoxStream<'static, Result<SubscribeResponse, Status>> {
        // After an error the stream ends: the consumer subscribes again from the
        // position that it has.
        stream::unfold(Some(self), |state| async {
            let mut subscription = state?;
            match subscription.next().await {
                Ok(response) => Some((Ok(response), Some(subscription))),
                Err(error) => Some((Err(error.into()), None)),
            }
        })
        .boxed()
    }

    async fn next(&mut self) -> Result<SubscribeResponse, Error> {
        let heartbeat = Instant::now() + self.feed.heartbeat;
        loop {
            let head = *self.head.borrow_and_update();
            if head > self.after {
                self.rest(head).await;
                let head = *self.head.borrow_and_update();
                let Shared { events, position } = self.read(head).await?;
                self.after = position;
                // Without a match it goes on, but says so from time to time.
                if !events.is_empty() || Instant::now() >= heartbeat {
                    let several = events.len() > 1;
                    self.rests_until = several.then(|| self.feed.store.tail().beat(GULP));
                    return Ok(self.response(events, head));
                }
                continue;
            }
            // The sender lives as long as the store that this subscription holds.
            if timeout_at(heartbeat, self.head.changed()).await.is_err() {
                return Ok(self.response(Vec::new(), head));
            }
        }
    }

    async fn read(&mut self, head: i64) -> Result<Shared, Error> {
        let Feed { store, limit, .. } = &self.feed;
        if std::mem::replace(&mut self.begun, true) {
            return store.tail().read(store, self.after, head, &self.matching, *limit).await;
        }
        Shared::read(store, self.after, head, &self.matching, *limit).await
    }

    /// Lets events come together, until they are a batch. It sleeps meanwhile: who
    /// appends would otherwise wake every consumer with each commit.
    async fn rest(&mut self, head: i64) {
        let full = i64::try_from(self.feed.limit.events).unwrap_or(i64::MAX);
        if let Some(until) = self.rests_until.take()
            && head - self.after < full
        {
            sleep_until(until).await;
        }
    }

    fn response(&self, events: Vec<Arc<log::Event>>, end: i64) -> SubscribeResponse {
        let events = events.into_iter().map(|event| Arc::unwrap_or_clone(event).into()).collect();
        SubscribeResponse { events, position: self.after, end }
    }
}
