//! One transaction of effects: what of a batch nobody has applied yet, what has
//! to wait, and the place in the feed.

use std::{
    collections::{BTreeMap, HashMap},
    panic::AssertUnwindSafe,
};

use futures_util::FutureExt as _;

use super::{
    Handler, attempts,
    failure::{Failure, Refused, is_permanent, is_transient},
    parking::{self, Parked, RETRYING, Refusal},
    partition,
    share::{Replica, Share},
};
use crate::{Event, Tx};

/// Waiting events of a stream that are tried in one transaction, like a batch of
/// the feed.
const MAX_REPLAYED: i64 = 100;

/// What a replica needs to make transactions of effects.
pub(super) struct Batches<'h> {
    pub(super) replica: Replica,
    pub(super) handler: &'h Handler<'h>,
    pub(super) limit: u32,
}

/// Streams that are set aside by the transaction that is tried now: the position
/// of the event that failed, why, and when it is tried again.
pub(super) type Failing = HashMap<String, (i64, String, Option<i64>)>;

/// What became of a stream that was tried again.
pub(super) enum Retried {
    /// Nothing of it waits any more.
    Flows,
    /// When it is tried next; `None` when it waits for a person.
    Waits(Option<i64>),
}

impl Batches<'_> {
    /// Commits events and the place `until`. Of streams that are set aside the
    /// events are copied; returns what is set aside among theirs.
    pub(super) async fn commit(
        &self,
        share: &Share,
        events: &[Event],
        until: i64,
        parked: &Parked,
        failing: &Failing,
    ) -> Result<HashMap<String, bool>, Failure> {
        let mut tx = self.replica.store.begin().await?;
        let places = self.replica.lock(&mut tx, share).await?.ok_or(Failure::Fenced)?;
        let mut aside = HashMap::new();
        for event in events.iter().filter(|event| is_new(event, &places)) {
            self.place(&mut tx, event, parked, failing, &mut aside).await?;
        }
        self.replica.advance(&mut tx, until).await?;
        crate::crash::point("consumer.checkpoint.before_commit");
        tx.commit().await?;
        crate::crash::point("consumer.checkpoint.after_commit");
        Ok(aside)
    }

    /// Applies an event, or lets it wait behind those of its stream.
    async fn place(
        &self,
        tx: &mut Tx,
        event: &Event,
        parked: &Parked,
        failing: &Failing,
        aside: &mut HashMap<String, bool>,
    ) -> Result<(), Failure> {
        let consumer = &self.replica.consumer;
        if !aside.contains_key(&event.stream) && parked.contains_key(&event.stream) {
            // Only this replica sets its streams aside, but a person may have
            // discarded the last event that waited.
            let found = parking::lock(tx, consumer, &event.stream).await?.is_some();
            aside.insert(event.stream.clone(), found);
        }
        if aside.get(&event.stream) == Some(&true) {
            return Ok(parking::queue(tx, consumer, event).await?);
        }
        if let Some((position, error, due)) = failing.get(&event.stream)
            && *position == event.position
        {
            let refusal = Refusal { error, due: *due };
            parking::begin(tx, consumer, event, &refusal).await?;
            aside.insert(event.stream.clone(), true);
            return Ok(());
        }
        apply(tx, event, self.handler).await
    }

    /// Tries the waiting events of a stream, in order.
    pub(super) async fn retry(&self, share: &Share, stream: &str) -> Result<Retried, Failure> {
        let mut most = MAX_REPLAYED;
        loop {
            match self.replay(share, stream, most).await {
                Err((index, Failure::Handler(refused))) if !refused.transient => {
                    if index > 0 {
                        // What went well is committed first, without the failing one.
                        most = index;
                        continue;
                    }
                    return self.failed_again(share, stream, &refused).await;
                }
                Err((_, failure)) => return Err(failure),
                Ok(retried) => return Ok(retried),
            }
        }
    }

    /// On failure tells how many of the events went well before.
    async fn replay(
        &self,
        share: &Share,
        stream: &str,
        most: i64,
    ) -> Result<Retried, (i64, Failure)> {
        let mut index = 0;
        let replayed = async {
            let mut tx = self.replica.store.begin().await?;
            let consumer = &self.replica.consumer;
            self.replica.lock(&mut tx, share).await?.ok_or(Failure::Fenced)?;
            match parking::lock(&mut tx, consumer, stream).await? {
                None => return Ok(Retried::Flows),
                Some(aside) if aside.status != RETRYING => return Ok(Retried::Waits(None)),
                Some(_) => {}
            }
            let events = parking::first(&mut tx, consumer, stream, most).await?;
            for event in &events {
                apply(&mut tx, event, self.handler).await?;
                index += 1;
            }
            let until = events.last().map_or(0, |event| event.position);
            let flows = parking::settle(&mut tx, consumer, stream, until, parking::APPLIED).await?;
            tx.commit().await?;
            Ok(if flows { Retried::Flows } else { Retried::Waits(Some(0)) })
        };
        let replayed = replayed.await;
        replayed.map_err(|failure| (index, failure))
    }

    async fn failed_again(
        &self,
        share: &Share,
        stream: &str,
        refused: &Refused,
    ) -> Result<Retried, Failure> {
        let mut tx = self.replica.store.begin().await?;
        let consumer = &self.replica.consumer;
        self.replica.lock(&mut tx, share).await?.ok_or(Failure::Fenced)?;
        let Some(aside) = parking::lock(&mut tx, consumer, stream).await? else {
            return Ok(Retried::Flows);
        };
        let waiting = parking::first(&mut tx, consumer, stream, 1).await?;
        // A person may have discarded the one that failed just now.
        let Some(event) = waiting.first().filter(|event| event.position == refused.position) else {
            return Ok(Retried::Waits(Some(0)));
        };
        let due = self.due(refused, aside.attempts + 1);
        let error = mesh::status::chain(refused);
        parking::refuse(&mut tx, consumer, event, &Refusal { error: &error, due }).await?;
        tx.commit().await?;
        self.tell(refused, stream, aside.attempts + 1, due);
        Ok(Retried::Waits(due))
    }

    /// When an event that failed so often is tried again.
    pub(super) fn due(&self, refused: &Refused, attempts: i64) -> Option<i64> {
        attempts::due(attempts, self.limit, refused.permanent)
    }

    pub(super) fn tell(&self, refused: &Refused, stream: &str, attempts: i64, due: Option<i64>) {
        let error = mesh::status::chain(refused);
        let (consumer, position) = (&self.replica.consumer, refused.position);
        let kind = &refused.kind;
        if due.is_some() {
            tracing::warn!(
                consumer,
                stream,
                position,
                kind,
                attempts,
                error,
                "an event cannot be applied; its stream waits and is tried again"
            );
        } else {
            tracing::error!(
                consumer,
                stream,
                position,
                kind,
                attempts,
                error,
                "an event cannot be applied; its stream is parked until somebody releases it"
            );
        }
    }
}

fn is_new(event: &Event, places: &BTreeMap<i64, i64>) -> bool {
    places.get(&partition::of(&event.stream)).is_some_and(|place| event.position > *place)
}

/// The effect continues the trace of its cause. A panic is a failure like any
/// other; it must not end the consumer without a word.
async fn apply(tx: &mut Tx, event: &Event, handler: &Handler<'_>) -> Result<(), Failure> {
    tx.follow_from(event);
    let traceparent = Some(event.traceparent.as_str());
    let effect = AssertUnwindSafe(async { handler(tx, event).await }).catch_unwind();
    let source = match mesh::call::caused_by(traceparent, effect).await {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(source)) => source,
        Err(_) => "the handler panicked".into(),
    };
    Err(Failure::Handler(Refused {
        kind: event.kind.clone(),
        position: event.position,
        // The transaction knows, however the handler wrapped what it was told.
        transient: tx.is_hindered() || is_transient(source.as_ref()),
        permanent: is_permanent(source.as_ref()),
        source,
    }))
}
