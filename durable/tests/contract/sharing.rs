//! Replicas share the work of a consumer, and one that lost its part writes
//! nothing.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use durable::{Expected, Store, params};
use tokio::time::sleep;

use crate::{
    consumer::{Pair, Running, effect, pairs},
    support::{append, new_event, tick, within},
};

/// Owners and how many partitions each has.
async fn shares(store: &Store) -> Vec<i64> {
    let sql = "SELECT count(*) AS parts FROM durable_partition
        WHERE consumer = 'test' AND owner <> '' GROUP BY owner ORDER BY count(*)";
    let rows = store.query(sql, params![]).await.unwrap();
    rows.iter().map(|row| row.get("parts").unwrap()).collect()
}

async fn until_shared(pair: &Pair, expected: &[i64]) {
    within(async {
        while shares(&pair.consumer).await != expected {
            sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

/// A replica that counts what it applies.
fn counting(pair: &Pair, lease: Duration) -> (Running, Arc<AtomicU32>) {
    let count = Arc::new(AtomicU32::new(0));
    let applied = count.clone();
    let consumer = pair.consumer().lease(lease);
    let running = Running(tokio::spawn(consumer.run(move |tx, event| {
        applied.fetch_add(1, Ordering::SeqCst);
        effect(tx, event)
    })));
    (running, count)
}

const LEASE: Duration = Duration::from_millis(150);

#[tokio::test]
async fn two_replicas_share_the_work_and_one_takes_it_all_back() {
    for pair in pairs().await {
        let (one, by_one) = counting(&pair, LEASE);
        until_shared(&pair, &[16]).await;
        let (_two, by_two) = counting(&pair, LEASE);
        until_shared(&pair, &[8, 8]).await;
        for id in 0..64 {
            let stream = format!("streams/{id}");
            append(&pair.producer, &stream, Expected::Any, &[tick(id)]).await.unwrap();
        }
        within(async {
            while pair.effects().await.len() < 64 {
                sleep(Duration::from_millis(2)).await;
            }
        })
        .await;
        let both = (by_one.load(Ordering::SeqCst), by_two.load(Ordering::SeqCst));
        assert!(both.0 > 0 && both.1 > 0, "{}: {both:?}", pair.name);
        drop(one);
        until_shared(&pair, &[16]).await;
        append(&pair.producer, "streams/0", Expected::Any, &[tick(0)]).await.unwrap();
        pair.reaches(65).await;
        assert_eq!(pair.effects().await, (1..=65).collect::<Vec<_>>(), "{}", pair.name);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_part_of_a_replica_that_died_without_a_word_is_taken_over() {
    for pair in pairs().await {
        let dying = pair.consumer().lease(LEASE);
        // A runtime that ends at once is as dead as a process.
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.spawn(dying.run(effect));
        until_shared(&pair, &[16]).await;
        runtime.shutdown_background();
        append(&pair.producer, "a", Expected::Any, &[tick(1)]).await.unwrap();
        let (_running, _) = counting(&pair, LEASE);
        pair.reaches(1).await;
        assert_eq!(pair.effects().await, [1], "{}", pair.name);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_was_paused_past_its_lease_writes_nothing() {
    for pair in pairs().await {
        let consumer = pair.consumer().lease(LEASE);
        let by_zombie = Arc::new(AtomicU32::new(0));
        let applied = by_zombie.clone();
        let (revive, revived) = std::sync::mpsc::channel::<()>();
        let (freeze, frozen) = tokio::sync::oneshot::channel::<()>();
        // All of its tasks stand still while the one thread that runs them does.
        let zombie = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async {
                let running = tokio::spawn(consumer.run(move |tx, event| {
                    applied.fetch_add(1, Ordering::SeqCst);
                    effect(tx, event)
                }));
                frozen.await.unwrap();
                revived.recv().unwrap();
                sleep(LEASE).await;
                running.abort();
            });
        });
        until_shared(&pair, &[16]).await;
        freeze.send(()).unwrap();
        let (_running, by_heir) = counting(&pair, LEASE);
        append(&pair.producer, "a", Expected::Any, &[tick(1), tick(2)]).await.unwrap();
        pair.reaches(2).await;
        revive.send(()).unwrap();
        tokio::task::spawn_blocking(|| zombie.join().unwrap()).await.unwrap();
        assert_eq!(pair.versions("a").await, [1, 2], "{}", pair.name);
        assert_eq!(by_zombie.load(Ordering::SeqCst), 0, "{}", pair.name);
        assert_eq!(by_heir.load(Ordering::SeqCst), 2, "{}", pair.name);
    }
}

#[tokio::test]
async fn an_owner_whose_epoch_has_passed_commits_nothing() {
    for pair in pairs().await {
        let (running, applied) = counting(&pair, Duration::from_secs(3600));
        until_shared(&pair, &[16]).await;
        // Somebody else took everything, which this one does not know yet.
        let mut tx = pair.consumer.begin().await.unwrap();
        let sql = "UPDATE durable_partition SET owner = 'other', epoch = epoch + 1";
        tx.execute(sql, params![]).await.unwrap();
        let sql = "INSERT INTO durable_replica (consumer, owner, alive_until)
            VALUES ('test', 'other', 9223372036854775807)";
        tx.execute(sql, params![]).await.unwrap();
        tx.commit().await.unwrap();
        append(&pair.producer, "a", Expected::Any, &[tick(1)]).await.unwrap();
        sleep(Duration::from_millis(100)).await;
        assert_eq!(applied.load(Ordering::SeqCst), 0, "{}", pair.name);
        assert_eq!((pair.checkpoint().await, pair.effects().await), (0, vec![]), "{}", pair.name);
        drop(running);
    }
}

#[tokio::test]
async fn a_consumer_from_before_partitions_goes_on_where_it_was() {
    for pair in pairs().await {
        for _ in 0..4 {
            append(&pair.producer, "a", Expected::Any, &[tick(1)]).await.unwrap();
        }
        // As the migration leaves a consumer that had applied two events.
        let mut tx = pair.consumer.begin().await.unwrap();
        let sql = "INSERT INTO durable_partition (consumer, number, position, owner, epoch, time)
            VALUES ('test', $1, 2, '', 0, 0)";
        for number in 0..16_i64 {
            tx.execute(sql, params![number]).await.unwrap();
        }
        tx.commit().await.unwrap();
        let (_running, _) = counting(&pair, LEASE);
        pair.reaches(4).await;
        assert_eq!(pair.effects().await, [3, 4], "{}", pair.name);
    }
}

/// One of sixteen writers: transactions on any of 64 streams, of which some roll
/// back and some commit late.
async fn write(store: Store, writer: u64) -> BTreeMap<String, i64> {
    let mut random = fastrand::Rng::with_seed(writer);
    let mut committed = BTreeMap::new();
    for round in 0..12 {
        let stream = format!("streams/{}", random.u64(0..4) * 16 + writer);
        let events = random.i64(1..=3);
        let mut tx = store.begin().await.unwrap();
        let samples = (0..events).map(|n| new_event(&tick(round * 10 + n))).collect();
        tx.append(&stream, Expected::Any, samples).await.unwrap();
        if random.u8(0..4) == 0 {
            sleep(Duration::from_millis(random.u64(1..20))).await;
        }
        if random.u8(0..5) == 0 {
            drop(tx);
        } else {
            tx.commit().await.unwrap();
            *committed.entry(stream).or_insert(0) += events;
        }
    }
    committed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn sixteen_writers_and_replicas_that_come_and_go_keep_the_order_of_every_stream() {
    for pair in pairs().await {
        let writers: Vec<_> =
            (0..16).map(|writer| tokio::spawn(write(pair.producer.clone(), writer))).collect();
        let mut random = fastrand::Rng::with_seed(3);
        let mut replicas = [counting(&pair, LEASE).0, counting(&pair, LEASE).0];
        let mut kills = 0;
        while kills < 8 || writers.iter().any(|writer| !writer.is_finished()) {
            sleep(Duration::from_millis(random.u64(5..80))).await;
            replicas[random.usize(0..2)] = counting(&pair, LEASE).0;
            kills += 1;
        }
        let mut committed = BTreeMap::new();
        for writer in writers {
            committed.append(&mut writer.await.unwrap());
        }
        let total: i64 = committed.values().sum();
        assert!(total > 200, "the writers wrote");
        within(async {
            while pair.effects().await.len() < usize::try_from(total).unwrap() {
                sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
        assert_eq!(pair.effects().await, (1..=total).collect::<Vec<_>>(), "{}", pair.name);
        for (stream, events) in committed {
            assert_eq!(pair.versions(&stream).await, (1..=events).collect::<Vec<_>>(), "{stream}");
        }
    }
}
