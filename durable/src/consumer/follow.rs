//! One replica at work: it owns a part of the streams, reads the feed, applies
//! what is its own, tries again what was set aside, and renews its lease.

use std::{collections::HashMap, convert::Infallible, time::Duration};

use futures_util::StreamExt as _;
use mesh::{
    Backoff,
    proto::{ReportProgressRequest, SubscribeRequest, SubscribeResponse},
    status,
};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, sleep_until, timeout};
use tonic::Status;

use super::{
    Consumer, Handler,
    batch::{Batches, Failing, Retried},
    failure::Failure,
    gauges::{self, Gauges},
    order::{Disorder, Order},
    parking::{self, Parked},
    partition,
    share::{Replica, Share},
};
use crate::{Error, Event, params, time};

/// Events whose effects are one transaction: enough to share the cost of its
/// commit, few enough that other writers of an SQLite file wait shortly.
const MAX_TRANSACTION_EVENTS: usize = 100;
/// Positions without an event of one's own that are worth a commit, so that a
/// consumer of rare types does not begin far behind.
const IDLE_ADVANCE: i64 = 1_000;
const RECONNECT: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));
/// How often the feed is told what is not needed any more. It only decides how
/// long events are kept, so rarely.
const REPORT: Duration = Duration::from_secs(10);
/// Reported again after so long though nothing changed: it tells that it lives.
const REPORT_AGAIN: Duration = Duration::from_secs(60);
const REPORT_PATIENCE: Duration = Duration::from_secs(2);
/// Streams and events that are set aside at most. More is no poison but a broken
/// handler or database: the feed has to wait until a person has looked.
const MAX_PARKED_STREAMS: usize = 1_000;
const MAX_WAITING_EVENTS: i64 = 100_000;

/// A replica of a consumer while it runs.
pub(super) struct Follower<'h> {
    consumer: Consumer,
    batches: Batches<'h>,
    share: Share,
    parked: Parked,
    /// Events that wait in streams that are set aside.
    waiting: i64,
    gauges: Gauges,
    reported: Option<Reported>,
    _leaving: Leaving,
}

/// What the feed was told last.
#[derive(Clone, Copy)]
struct Reported {
    /// When it was looked at whether there is something to tell.
    looked: Instant,
    told: Instant,
    position: i64,
}

/// Why a replica starts over.
#[derive(Debug, thiserror::Error)]
enum Interruption {
    #[error("the feed was refused or broken")]
    Status(#[from] Status),
    #[error("the feed ended")]
    End,
    #[error("the feed was silent for {0:?}")]
    Silence(Duration),
    #[error(transparent)]
    Disorder(#[from] Disorder),
    #[error(transparent)]
    Failure(#[from] Failure),
}

impl From<Error> for Interruption {
    fn from(error: Error) -> Self {
        Self::Failure(error.into())
    }
}

/// What follows when a subscription ends well.
enum Next {
    /// Other partitions are owned now.
    Rebalanced,
}

impl<'h> Follower<'h> {
    pub(super) fn new(consumer: Consumer, handler: &'h Handler<'h>) -> Self {
        let replica = Replica::new(consumer.store.clone(), consumer.name.clone(), consumer.lease);
        let leaving = Leaving(replica.clone());
        let gauges = gauges::of(&consumer.name);
        let batches = Batches { replica, handler, limit: consumer.attempts };
        Self {
            consumer,
            batches,
            share: Share::new(),
            parked: Parked::new(),
            waiting: 0,
            gauges,
            reported: None,
            _leaving: leaving,
        }
    }

    pub(super) async fn run(mut self) -> Infallible {
        let mut backoff = Backoff::new(RECONNECT.0, RECONNECT.1);
        loop {
            let reason = match self.follow(&mut backoff).await {
                Ok(Next::Rebalanced) => continue,
                Err(reason) => reason,
            };
            let wait = backoff.wait();
            let error = status::chain(&reason);
            tracing::warn!(consumer = self.consumer.name, error, ?wait, "the feed broke off");
            self.note(&error).await;
            sleep(wait).await;
        }
    }

    /// Keeps for who asks why nothing comes; a failure to is told by the next try.
    async fn note(&self, error: &str) {
        let sql = "UPDATE durable_consumer SET error = $2, time = $3 WHERE consumer = $1";
        let noted = async {
            let mut tx = self.consumer.store.begin().await?;
            tx.execute(sql, params![&self.consumer.name, error, time::now()]).await?;
            tx.commit().await
        };
        let _: Result<(), Error> = noted.await;
    }

    async fn follow(&mut self, backoff: &mut Backoff) -> Result<Next, Interruption> {
        self.register().await?;
        let period = self.consumer.lease / 3;
        while self.share.is_empty() {
            sleep(period.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
            self.renew().await?;
        }
        let after = self.place();
        let Consumer { name, types, streams, silence, source, .. } = self.consumer.clone();
        let complete = types.is_empty() && streams.is_empty();
        let request = SubscribeRequest { after, types, streams, consumer: name };
        // Its own patience, so that leases are renewed though nobody answers.
        let opened = timeout(silence, source.open(request)).await;
        let mut responses = opened.map_err(|_| Interruption::Silence(silence))??;
        let mut order = Order::new(after, complete);
        let mut ticks = interval_at(Instant::now() + period, period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut heard = Instant::now();
        loop {
            let due = self.due();
            tokio::select! {
                _ = ticks.tick() => {
                    if self.renew().await? {
                        return Ok(Next::Rebalanced);
                    }
                    self.report().await;
                }
                () = sleep_until(due.unwrap_or(heard)), if due.is_some() => {
                    self.retry().await?;
                }
                response = responses.next(), if self.has_room() => {
                    let response = response.ok_or(Interruption::End)??;
                    heard = Instant::now();
                    self.take(response, &mut order).await?;
                    backoff.reset();
                }
                () = sleep_until(heard + silence) => {
                    return Err(Interruption::Silence(silence));
                }
            }
        }
    }

    async fn register(&mut self) -> Result<(), Error> {
        let mut tx = self.consumer.store.begin().await?;
        self.batches.replica.register(&mut tx).await?;
        tx.commit().await?;
        // What was known of a lease before may have changed hands.
        self.share.clear();
        self.renew().await.map(drop)
    }

    /// Renews the lease; tells whether there is more or less to do than before.
    async fn renew(&mut self) -> Result<bool, Error> {
        let mut tx = self.consumer.store.begin().await?;
        let replica = &self.batches.replica;
        let share = replica.renew(&mut tx).await?;
        let parked = parking::load(&mut tx, &replica.consumer).await?;
        let waiting = if parked.is_empty() {
            0
        } else {
            parking::waiting(&mut tx, &replica.consumer).await?
        };
        let gauges = &self.gauges;
        let sql = "UPDATE durable_consumer
            SET feed_end = $2, oldest = $3, error = '', time = $4
            WHERE consumer = $1 AND (feed_end <> $2 OR oldest <> $3 OR error <> '')";
        if gauges.known() {
            let row = params![&replica.consumer, gauges.end(), gauges.oldest(), time::now()];
            tx.execute(sql, row).await?;
        }
        tx.commit().await?;
        let known: Vec<_> =
            self.share.iter().map(|(number, owned)| (*number, owned.epoch)).collect();
        let changed =
            known != share.iter().map(|(number, owned)| (*number, owned.epoch)).collect::<Vec<_>>();
        if changed {
            self.share = share;
        }
        (self.parked, self.waiting) = (parked, waiting);
        self.gauges.aside(&self.parked);
        Ok(changed)
    }

    /// Everything up to here is done in all that is owned.
    fn place(&self) -> i64 {
        self.share.values().map(|owned| owned.position).min().unwrap_or(0)
    }

    fn owns(&self, stream: &str) -> bool {
        self.share.contains_key(&partition::of(stream))
    }

    fn has_room(&self) -> bool {
        self.parked.len() < MAX_PARKED_STREAMS && self.waiting < MAX_WAITING_EVENTS
    }

    /// When the next of the streams that were set aside is to be tried.
    fn due(&self) -> Option<Instant> {
        let mine = self.parked.iter().filter(|(stream, _)| self.owns(stream));
        let due = mine.filter_map(|(_, due)| *due).min()?;
        let wait = u64::try_from(due - time::now()).unwrap_or(0);
        Some(Instant::now() + Duration::from_micros(wait))
    }

    async fn retry(&mut self) -> Result<(), Interruption> {
        let mine = self.parked.iter().filter(|(stream, _)| self.owns(stream));
        let first = mine.filter_map(|(stream, due)| due.map(|due| (due, stream))).min();
        let Some((_, stream)) = first else { return Ok(()) };
        let stream = stream.clone();
        match self.batches.retry(&self.share, &stream).await? {
            Retried::Flows => _ = self.parked.remove(&stream),
            Retried::Waits(due) => _ = self.parked.insert(stream, due),
        }
        Ok(())
    }

    /// Applies what of a response is this replica's own.
    async fn take(
        &mut self,
        response: SubscribeResponse,
        order: &mut Order,
    ) -> Result<(), Interruption> {
        let SubscribeResponse { events, position, end } = response;
        let heartbeat = events.is_empty();
        let events: Vec<Event> = events.into_iter().map(Event::from).collect();
        order.check(&events, position)?;
        let oldest = events.first().map_or(0, |event| event.time);
        self.gauges.heard(self.place(), end, oldest);
        let mine: Vec<Event> = events.into_iter().filter(|event| self.is_due(event)).collect();
        let mut rest = mine.as_slice();
        while !rest.is_empty() {
            let (part, later) = rest.split_at(rest.len().min(MAX_TRANSACTION_EVENTS));
            let until = match part.last() {
                Some(last) if !later.is_empty() => last.position,
                _ => position,
            };
            self.apply(part, until).await?;
            rest = later;
        }
        let behind = position - self.place();
        if behind >= IDLE_ADVANCE || (heartbeat && behind > 0) {
            self.apply(&[], position).await?;
        }
        // Before an idle advance is stored, it is done all the same.
        self.gauges.heard(position, end, if position < end { oldest } else { 0 });
        Ok(())
    }

    fn is_due(&self, event: &Event) -> bool {
        let owned = self.share.get(&partition::of(&event.stream));
        owned.is_some_and(|owned| event.position > owned.position)
    }

    /// Commits a part of a batch. Each time an event fails, all is rolled back and
    /// made again with the stream of that event set aside.
    async fn apply(&mut self, part: &[Event], until: i64) -> Result<(), Interruption> {
        let mut failing = Failing::new();
        loop {
            let (share, parked) = (&self.share, &self.parked);
            match self.batches.commit(share, part, until, parked, &failing).await {
                Ok(aside) => {
                    self.committed(until, aside, &failing);
                    return Ok(());
                }
                Err(Failure::Handler(refused)) if !refused.transient => {
                    let stream = part.iter().find(|event| event.position == refused.position);
                    let stream = stream.map(|event| event.stream.clone()).unwrap_or_default();
                    let due = self.batches.due(&refused, 1);
                    self.batches.tell(&refused, &stream, 1, due);
                    failing.insert(stream, (refused.position, status::chain(&refused), due));
                }
                Err(failure) => return Err(failure.into()),
            }
        }
    }

    fn committed(&mut self, until: i64, aside: HashMap<String, bool>, failing: &Failing) {
        for owned in self.share.values_mut() {
            owned.position = owned.position.max(until);
        }
        for (stream, found) in aside {
            if !found {
                self.parked.remove(&stream);
            } else if let Some((.., due)) = failing.get(&stream) {
                self.parked.entry(stream).or_insert(*due);
            }
        }
        self.gauges.aside(&self.parked);
    }

    /// Tells the feed what it need not keep for this consumer. When it does not
    /// hear, it keeps more.
    async fn report(&mut self) {
        let now = Instant::now();
        if self.reported.is_some_and(|it| now < it.looked + REPORT) {
            return;
        }
        let sql = "SELECT min(position) AS position FROM durable_partition WHERE consumer = $1";
        let row = self.consumer.store.query_one(sql, params![&self.consumer.name]).await;
        let Ok(Some(position)) = row.and_then(|row| row.map(|row| row.get("position")).transpose())
        else {
            return;
        };
        if let Some(reported) = &mut self.reported
            && reported.position == position
            && now < reported.told + REPORT_AGAIN
        {
            reported.looked = now;
            return;
        }
        let consumer = self.consumer.name.clone();
        let told = self.consumer.source.report(ReportProgressRequest { consumer, position });
        let told = timeout(REPORT_PATIENCE.min(self.consumer.lease / 3), told).await;
        if let Ok(Ok(())) = told {
            self.reported = Some(Reported { looked: now, told: now, position });
        }
    }
}

/// Gives back what a replica owns when it is dropped, if there is a runtime to do
/// so; otherwise its lease runs out.
struct Leaving(Replica);

impl Drop for Leaving {
    fn drop(&mut self) {
        let replica = self.0.clone();
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                // Nobody is left to hear of a failure, and the lease runs out.
                let _ = replica.leave().await;
            });
        }
    }
}
