//! Consumers apply every event once: killed, failing, doubled, cut off.

mod model;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use durable::{
    Consumer, Event, Expected, Migration, Store, Tx,
    consumer::HandlerError,
    feed::{self, Feed},
    params,
    testing::{Backend, backends},
};
use futures_util::future::BoxFuture;
use tokio::{task::JoinHandle, time::sleep};

use crate::support::{append, other, tick, within};

pub(crate) const EFFECTS: &[Migration] = &[Migration::new(
    1,
    "effects",
    "CREATE TABLE effect (
        position {bigint} NOT NULL,
        type {text} NOT NULL,
        stream {text} NOT NULL,
        version {bigint} NOT NULL,
        place {bigint} NOT NULL
    );",
)];

/// A producer and a consumer, each with a database of its own.
pub(crate) struct Pair {
    pub(crate) name: &'static str,
    pub(crate) producer: Store,
    pub(crate) consumer: Store,
    _backends: [Backend; 2],
}

pub(crate) async fn pairs() -> Vec<Pair> {
    let mut pairs = Vec::new();
    for (one, two) in backends().await.into_iter().zip(backends().await) {
        let (producer, consumer) = (one.open(&[]).await, two.open(EFFECTS).await);
        pairs.push(Pair { name: one.name, producer, consumer, _backends: [one, two] });
    }
    pairs
}

impl Pair {
    pub(crate) fn consumer(&self) -> Consumer {
        let feed = Feed::new(self.producer.clone()).heartbeat(Duration::from_millis(20));
        Consumer::new("test", feed.into_server(), self.consumer.clone())
    }

    /// Waits until the checkpoint is there.
    pub(crate) async fn reaches(&self, position: i64) {
        within(async {
            while self.checkpoint().await < position {
                sleep(Duration::from_millis(2)).await
            }
        })
        .await;
    }

    pub(crate) async fn checkpoint(&self) -> i64 {
        let sql = "SELECT coalesce(min(position), 0) AS position FROM durable_partition
            WHERE consumer = 'test'";
        let row = self.consumer.query_one(sql, params![]).await.unwrap();
        row.map_or(0, |row| row.get("position").unwrap())
    }

    /// Positions whose effect is there, as often as it is there.
    pub(crate) async fn effects(&self) -> Vec<i64> {
        let sql = "SELECT position FROM effect ORDER BY position";
        let rows = self.consumer.query(sql, params![]).await.unwrap();
        rows.iter().map(|row| row.get("position").unwrap()).collect()
    }

    /// Versions of a stream in the order in which they took effect.
    pub(crate) async fn versions(&self, stream: &str) -> Vec<i64> {
        let sql = "SELECT version FROM effect WHERE stream = $1 ORDER BY place";
        let rows = self.consumer.query(sql, params![stream]).await.unwrap();
        rows.iter().map(|row| row.get("version").unwrap()).collect()
    }
}

pub(crate) fn effect<'a>(
    tx: &'a mut Tx,
    event: &'a Event,
) -> BoxFuture<'a, Result<(), HandlerError>> {
    Box::pin(async move {
        let sql = "INSERT INTO effect (position, type, stream, version, place)
            SELECT $1, $2, $3, $4, count(*) + 1 FROM effect WHERE stream = $3";
        let row = params![event.position, &event.kind, &event.stream, event.version];
        tx.execute(sql, row).await?;
        Ok(())
    })
}

pub(crate) fn start(consumer: Consumer) -> Running {
    Running(tokio::spawn(consumer.run(effect)))
}

/// Ends with the test.
pub(crate) struct Running(pub(crate) JoinHandle<()>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[tokio::test]
async fn every_event_takes_effect_once() {
    for pair in pairs().await {
        for id in 0..5 {
            append(&pair.producer, "a", Expected::Any, &[tick(id), other()]).await.unwrap();
        }
        let _running = start(pair.consumer());
        pair.reaches(10).await;
        append(&pair.producer, "b", Expected::Any, &[tick(9)]).await.unwrap();
        pair.reaches(11).await;
        assert_eq!(pair.effects().await, (1..=11).collect::<Vec<_>>(), "{}", pair.name);
    }
}

#[tokio::test]
async fn only_the_types_asked_for_take_effect() {
    for pair in pairs().await {
        append(&pair.producer, "a", Expected::Any, &[tick(1), other(), tick(2), other()])
            .await
            .unwrap();
        let _running = start(pair.consumer().types(["test.Other"]));
        pair.reaches(4).await;
        assert_eq!(pair.effects().await, [2, 4], "{}", pair.name);
    }
}

#[tokio::test]
async fn a_panicking_handler_is_a_failing_one() {
    for pair in pairs().await {
        append(&pair.producer, "a", Expected::Any, &[tick(1)]).await.unwrap();
        let first = Arc::new(AtomicBool::new(true));
        let _running = Running(tokio::spawn(pair.consumer().run(move |tx, event| {
            let first = first.clone();
            Box::pin(async move {
                effect(tx, event).await?;
                assert!(!first.swap(false, Ordering::SeqCst), "the first attempt panics");
                Ok(())
            })
        })));
        crate::parking::until_applied(&pair, "a", &[1]).await;
        assert_eq!(pair.effects().await, [1], "{}", pair.name);
    }
}

#[tokio::test]
async fn a_consumer_that_is_killed_at_any_moment_applies_each_event_once() {
    for pair in pairs().await {
        let producer = pair.producer.clone();
        let writing = tokio::spawn(async move {
            for id in 0..150 {
                let stream = format!("stream/{}", id % 7);
                append(&producer, &stream, Expected::Any, &[tick(id), tick(id)]).await.unwrap();
            }
        });
        let mut random = fastrand::Rng::with_seed(7);
        let mut kills = 0;
        while !writing.is_finished() || kills < 20 {
            let running = start(pair.consumer());
            sleep(Duration::from_millis(random.u64(1..30))).await;
            drop(running);
            kills += 1;
        }
        writing.await.unwrap();
        let _running = start(pair.consumer());
        pair.reaches(300).await;
        assert_eq!(pair.effects().await, (1..=300).collect::<Vec<_>>(), "{}", pair.name);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn two_replicas_apply_each_event_once() {
    for pair in pairs().await {
        let _running = [start(pair.consumer()), start(pair.consumer())];
        for id in 0..100 {
            append(&pair.producer, "a", Expected::Any, &[tick(id)]).await.unwrap();
        }
        pair.reaches(100).await;
        assert_eq!(pair.effects().await, (1..=100).collect::<Vec<_>>(), "{}", pair.name);
    }
}

#[tokio::test]
async fn a_consumer_appends_events_of_its_own_with_its_effect() {
    for pair in pairs().await {
        append(&pair.producer, "a", Expected::Any, &[tick(1)]).await.unwrap();
        let _running = Running(tokio::spawn(pair.consumer().run(|tx, event| {
            Box::pin(async move {
                let seen = vec![crate::support::new_event(&other())];
                tx.append(&event.stream, Expected::NoStream, seen).await?;
                Ok(())
            })
        })));
        let second = Pair {
            name: pair.name,
            producer: pair.consumer.clone(),
            consumer: pair.producer.clone(),
            _backends: backends()
                .await
                .into_iter()
                .chain(backends().await)
                .take(2)
                .collect::<Vec<_>>()
                .try_into()
                .unwrap(),
        };
        let seen = Arc::new(AtomicU32::new(0));
        let count = seen.clone();
        let _second = Running(tokio::spawn(second.consumer().run(move |_, event| {
            let (count, stream) = (count.clone(), event.stream.clone());
            Box::pin(async move {
                assert_eq!(stream, "a");
                count.fetch_add(1, Ordering::SeqCst);
                Ok(())
            })
        })));
        within(async {
            while seen.load(Ordering::SeqCst) < 1 {
                sleep(Duration::from_millis(2)).await
            }
        })
        .await;
    }
}

#[tokio::test]
async fn a_silent_feed_is_subscribed_again() {
    for pair in pairs().await {
        // Its heartbeats are rarer than the consumer's patience.
        let slow = feed::Feed::new(pair.producer.clone()).heartbeat(Duration::from_secs(3600));
        let consumer = Consumer::new("test", slow.into_server(), pair.consumer.clone());
        let _running = start(consumer.silence(Duration::from_millis(10)));
        sleep(Duration::from_millis(50)).await;
        append(&pair.producer, "a", Expected::Any, &[tick(1)]).await.unwrap();
        pair.reaches(1).await;
        assert_eq!(pair.effects().await, [1], "{}", pair.name);
    }
}

/// Correlation and causation of the first event of `stream`.
async fn cause(store: &Store, stream: &str) -> (String, String) {
    let sql = "SELECT correlation, causation FROM durable_event WHERE stream = $1";
    let row = store.query_one(sql, params![stream]).await.unwrap().unwrap();
    (row.get("correlation").unwrap(), row.get("causation").unwrap())
}

#[tokio::test]
async fn what_an_event_causes_names_it_and_belongs_to_the_same() {
    const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    for pair in pairs().await {
        let told = async {
            let mut tx = pair.producer.begin().await.unwrap();
            let event = vec![crate::support::new_event(&tick(1))];
            tx.append("traced", Expected::NoStream, event.clone()).await.unwrap();
            tx.correlate("saga-7");
            tx.append("correlated", Expected::NoStream, event).await.unwrap();
            tx.commit().await.unwrap();
        };
        ::mesh::call::caused_by(Some(TRACE), told).await;
        append(&pair.producer, "untold", Expected::NoStream, &[tick(1)]).await.unwrap();
        let _running = Running(tokio::spawn(pair.consumer().run(|tx, event| {
            Box::pin(async move {
                let seen = vec![crate::support::new_event(&tick(1))];
                tx.append(&event.stream, Expected::NoStream, seen).await?;
                Ok(())
            })
        })));
        pair.reaches(3).await;
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        for (stream, correlation) in [("traced", trace), ("correlated", "saga-7"), ("untold", "")] {
            let (produced, consumed) = (&pair.producer, &pair.consumer);
            assert_eq!(cause(produced, stream).await, (correlation.into(), String::new()));
            let expected = (correlation.into(), format!("{stream}@1"));
            assert_eq!(cause(consumed, stream).await, expected, "{}", pair.name);
        }
    }
}
