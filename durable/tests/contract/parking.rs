//! An event that cannot be applied holds up its stream and nothing else, and
//! nothing of it is lost.

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use durable::{
    Consumer, Dialect, Event, Expected, Tx,
    consumer::{
        HandlerError,
        operate::{self, Decision, Refusal},
    },
};
use tokio::time::sleep;

use crate::{
    consumer::{Pair, Running, effect, pairs},
    support::{append, tick, within},
};

pub(crate) const BY: Decision<'static> =
    Decision { operator: "an operator", reason: "it is mended" };

/// Positions that cannot be applied, as long as they are in it.
#[derive(Clone, Default)]
pub(crate) struct Poison(Arc<Mutex<HashSet<(String, i64)>>>);

impl Poison {
    pub(crate) fn of(events: &[(&str, i64)]) -> Self {
        let poison = Self::default();
        let set = events.iter().map(|(stream, version)| ((*stream).to_owned(), *version));
        poison.0.lock().unwrap().extend(set);
        poison
    }

    pub(crate) fn cure(&self) {
        self.0.lock().unwrap().clear();
    }

    /// One more.
    pub(crate) fn add(&self, stream: &str, version: i64) {
        self.0.lock().unwrap().insert((stream.to_owned(), version));
    }

    /// All of a stream can be applied.
    pub(crate) fn cure_stream(&self, stream: &str) {
        self.0.lock().unwrap().retain(|(poisoned, _)| poisoned != stream);
    }

    fn has(&self, event: &Event) -> bool {
        self.0.lock().unwrap().contains(&(event.stream.clone(), event.version))
    }
}

/// Applies what is not poison, and leaves traces before it fails.
pub(crate) fn start(consumer: Consumer, poison: &Poison) -> Running {
    let poison = poison.clone();
    Running(tokio::spawn(consumer.run(move |tx, event| {
        let poison = poison.clone();
        Box::pin(async move {
            effect(tx, event).await?;
            if poison.has(event) { Err("it is poison".into()) } else { Ok(()) }
        })
    })))
}

/// Waits until a stream waits for a person.
pub(crate) async fn until_parked(pair: &Pair, stream: &str) -> operate::ParkedStream {
    within(async {
        loop {
            let parked = operate::parked(&pair.consumer, "test").await.unwrap();
            if let Some(found) = parked.into_iter().find(|it| it.stream == stream && it.parked) {
                return found;
            }
            sleep(Duration::from_millis(2)).await;
        }
    })
    .await
}

/// Waits until these versions of a stream have taken effect.
pub(crate) async fn until_applied(pair: &Pair, stream: &str, versions: &[i64]) {
    within(async {
        while pair.versions(stream).await != versions {
            sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
}

async fn eight_streams(pair: &Pair) {
    for id in 0..5 {
        for stream in 0..8 {
            let stream = format!("streams/{stream}");
            append(&pair.producer, &stream, Expected::Any, &[tick(id)]).await.unwrap();
        }
    }
}

#[tokio::test]
async fn poison_in_one_of_eight_streams_leaves_seven_untouched() {
    for pair in pairs().await {
        eight_streams(&pair).await;
        let poison = Poison::of(&[("streams/3", 2)]);
        let _running = start(pair.consumer().attempts(2), &poison);
        pair.reaches(40).await;
        let parked = until_parked(&pair, "streams/3").await;
        assert_eq!((parked.attempts, parked.waiting), (2, 4), "{}", pair.name);
        for stream in 0..8 {
            let expected: &[i64] = if stream == 3 { &[1] } else { &[1, 2, 3, 4, 5] };
            assert_eq!(pair.versions(&format!("streams/{stream}")).await, expected, "{stream}");
        }
    }
}

#[tokio::test]
async fn a_released_stream_replays_in_order_before_anything_newer_of_it() {
    for pair in pairs().await {
        eight_streams(&pair).await;
        let poison = Poison::of(&[("streams/3", 2), ("streams/3", 4)]);
        let _running = start(pair.consumer().attempts(1), &poison);
        until_parked(&pair, "streams/3").await;
        poison.cure();
        operate::release(&pair.consumer, "test", "streams/3", BY).await.unwrap();
        append(&pair.producer, "streams/3", Expected::Any, &[tick(9)]).await.unwrap();
        until_applied(&pair, "streams/3", &[1, 2, 3, 4, 5, 6]).await;
        assert!(operate::parked(&pair.consumer, "").await.unwrap().is_empty());
        let letters = operate::dead_letters(&pair.consumer, "test").await.unwrap();
        let told: Vec<_> =
            letters.iter().map(|letter| (letter.event.version, &*letter.status)).collect();
        assert_eq!(told, [(2, "applied")], "{}", pair.name);
    }
}

#[tokio::test]
async fn a_second_poison_behind_the_first_parks_the_stream_again() {
    for pair in pairs().await {
        eight_streams(&pair).await;
        let poison = Poison::of(&[("streams/3", 2), ("streams/3", 4)]);
        let _running = start(pair.consumer().attempts(1), &poison);
        let first = until_parked(&pair, "streams/3").await;
        operate::discard(&pair.consumer, "test", "streams/3", first.position, BY).await.unwrap();
        until_applied(&pair, "streams/3", &[1, 3]).await;
        let second = until_parked(&pair, "streams/3").await;
        assert!(second.position > first.position, "{}", pair.name);
        assert_eq!((second.attempts, second.waiting), (1, 2));
    }
}

#[tokio::test]
async fn a_dead_letter_tells_all_that_is_needed_to_find_the_cause() {
    const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    for pair in pairs().await {
        let event = [tick(7)];
        let told = append(&pair.producer, "a", Expected::Any, &event);
        ::mesh::call::caused_by(Some(TRACE), told).await.unwrap();
        let _running = start(pair.consumer().attempts(3), &Poison::of(&[("a", 1)]));
        until_parked(&pair, "a").await;
        let letters = operate::dead_letters(&pair.consumer, "test").await.unwrap();
        let letter = &letters[0];
        assert_eq!((letters.len(), &*letter.status, letter.attempts), (1, "parked", 3));
        assert_eq!(letter.event.traceparent, TRACE);
        assert_eq!(crate::support::decode(&letter.event.data), 7);
        assert!(letter.error.contains("it is poison"), "{}", letter.error);
        assert!(letter.first_time > 0 && letter.first_time <= letter.last_time);
    }
}

#[tokio::test]
async fn an_event_that_works_at_the_third_attempt_is_applied_without_a_person() {
    for pair in pairs().await {
        append(&pair.producer, "a", Expected::Any, &[tick(1), tick(2)]).await.unwrap();
        let attempts = Arc::new(AtomicU32::new(0));
        let count = attempts.clone();
        let _running = Running(tokio::spawn(pair.consumer().run(move |tx, event| {
            let count = count.clone();
            Box::pin(async move {
                effect(tx, event).await?;
                let early = event.version == 1 && count.fetch_add(1, Ordering::SeqCst) < 2;
                if early { Err("not yet".into()) } else { Ok(()) }
            })
        })));
        until_applied(&pair, "a", &[1, 2]).await;
        assert_eq!(attempts.load(Ordering::SeqCst), 3, "{}", pair.name);
        assert!(operate::dead_letters(&pair.consumer, "").await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn an_event_that_cannot_be_decoded_is_tried_once() {
    for pair in pairs().await {
        append(&pair.producer, "a", Expected::Any, &[tick(1)]).await.unwrap();
        let _running = Running(tokio::spawn(pair.consumer().run(|_, event| {
            let mut garbled = event.clone();
            garbled.data = vec![0xff].into();
            Box::pin(async move {
                garbled.decode::<crate::support::Ticked>()?;
                Ok(())
            })
        })));
        assert_eq!(until_parked(&pair, "a").await.attempts, 1, "{}", pair.name);
    }
}

#[tokio::test]
async fn nothing_is_set_aside_while_the_database_is_away() {
    for pair in pairs().await {
        append(&pair.producer, "a", Expected::Any, &[tick(1)]).await.unwrap();
        let attempts = Arc::new(AtomicU32::new(0));
        let count = attempts.clone();
        let _running = Running(tokio::spawn(pair.consumer().attempts(1).run(move |tx, event| {
            let count = count.clone();
            Box::pin(async move {
                effect(tx, event).await?;
                if count.fetch_add(1, Ordering::SeqCst) < 3 {
                    return lose_the_database(tx).await;
                }
                Ok(())
            })
        })));
        until_applied(&pair, "a", &[1]).await;
        assert_eq!(attempts.load(Ordering::SeqCst), 4, "{}", pair.name);
        assert!(operate::dead_letters(&pair.consumer, "").await.unwrap().is_empty());
    }
}

/// On PostgreSQL the connection, on SQLite a neighbour that the handler asks.
async fn lose_the_database(tx: &mut Tx) -> Result<(), HandlerError> {
    if tx.dialect() == Dialect::Postgres {
        let killed = tx.query("SELECT pg_terminate_backend(pg_backend_pid())", vec![]).await;
        let error = killed.expect_err("nobody answers on a connection that is gone");
        // Wrapped by somebody who forgets what it was.
        return Err(error.to_string().into());
    }
    Err(tonic::Status::unavailable("away").into())
}

#[tokio::test]
async fn what_waits_survives_the_consumer_and_its_attempts_count_on() {
    for pair in pairs().await {
        append(&pair.producer, "a", Expected::Any, &[tick(1), tick(2)]).await.unwrap();
        let poison = Poison::of(&[("a", 1)]);
        let running = start(pair.consumer().attempts(1), &poison);
        until_parked(&pair, "a").await;
        drop(running);
        append(&pair.producer, "a", Expected::Any, &[tick(3)]).await.unwrap();
        append(&pair.producer, "b", Expected::Any, &[tick(3)]).await.unwrap();
        let _running = start(pair.consumer().attempts(1), &poison);
        pair.reaches(4).await;
        assert_eq!(until_parked(&pair, "a").await.waiting, 3, "{}", pair.name);
        poison.cure();
        operate::release(&pair.consumer, "test", "a", BY).await.unwrap();
        until_applied(&pair, "a", &[1, 2, 3]).await;
    }
}

#[tokio::test]
async fn decisions_over_what_does_not_wait_are_refused() {
    for pair in pairs().await {
        append(&pair.producer, "a", Expected::Any, &[tick(1)]).await.unwrap();
        let _running = start(pair.consumer().attempts(1), &Poison::of(&[("a", 1)]));
        until_parked(&pair, "a").await;
        let store = &pair.consumer;
        let none = operate::release(store, "test", "b", BY).await.unwrap_err();
        assert!(matches!(none, Refusal::NotParked(_)), "{}", pair.name);
        let other = operate::discard(store, "test", "a", 9, BY).await.unwrap_err();
        assert!(matches!(other, Refusal::NotFirst { first: 1, .. }), "{}", pair.name);
        assert!(operate::records(store, "test").await.unwrap().is_empty());
    }
}
