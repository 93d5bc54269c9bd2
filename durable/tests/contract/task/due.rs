//! When tasks are done: once they are due, the most urgent first.

use std::time::Duration;

use durable::{
    task::{Kind, NewTask, Worker},
    testing::backends,
};

use super::{Clock, EFFECTS, Seen, count, effects, enqueue, finish, start, until};

const HOUR: i64 = 3_600_000_000;

#[tokio::test]
async fn every_task_is_done_once() {
    for backend in backends().await {
        let store = backend.open(EFFECTS).await;
        let handler_store = store.clone();
        let worker = Worker::new(store.clone()).kind(Kind::new("x"), move |lease| {
            let store = handler_store.clone();
            async move { Ok(finish(&store, &lease).await?) }
        });
        assert!(enqueue(&store, NewTask::new("x", "before")).await);
        let _running = start(worker);
        for number in 0..40 {
            assert!(enqueue(&store, NewTask::new("x", format!("k{number}"))).await);
        }
        until(&store, "durable_task", 0).await;
        assert_eq!(effects(&store).await.len(), 41, "{}", backend.name);
        assert_eq!(count(&store, "(SELECT DISTINCT key FROM effect) AS d").await, 41);
    }
}

#[tokio::test]
async fn a_key_is_taken_until_its_task_is_over() {
    for backend in backends().await {
        let store = backend.open(EFFECTS).await;
        assert!(enqueue(&store, NewTask::new("x", "a").body(*b"first")).await);
        assert!(!enqueue(&store, NewTask::new("x", "a").body(*b"second")).await);
        assert!(enqueue(&store, NewTask::new("y", "a")).await, "another kind has its own keys");
        let seen = Seen::default();
        let (handler_store, bodies) = (store.clone(), seen.clone());
        let worker = Worker::new(store.clone()).kind(Kind::new("x"), move |lease| {
            let (store, bodies) = (handler_store.clone(), bodies.clone());
            async move {
                finish(&store, &lease).await?;
                bodies.add(&String::from_utf8_lossy(lease.body()));
                Ok(())
            }
        });
        let _running = start(worker);
        seen.until(1).await;
        assert!(enqueue(&store, NewTask::new("x", "a").body(*b"third")).await);
        seen.until(2).await;
        assert_eq!(seen.keys(), ["first", "third"], "{}", backend.name);
        assert_eq!(count(&store, "durable_task").await, 1, "nobody does what is of kind y");
    }
}

#[tokio::test]
async fn nothing_is_done_before_it_is_due_whatever_the_clock_does() {
    for backend in backends().await {
        let store = backend.open(EFFECTS).await;
        let (clock, seen) = (Clock::at(10 * HOUR), Seen::default());
        for (key, due) in [("soon", 10 * HOUR + 1), ("later", 11 * HOUR), ("last", 12 * HOUR)] {
            enqueue(&store, NewTask::new("x", key).due(due)).await;
        }
        let (handler_store, keys, now) = (store.clone(), seen.clone(), clock.read());
        let worker = Worker::with_clock(store.clone(), clock.read());
        let worker = worker.kind(Kind::new("x").concurrency(1), move |lease| {
            let (store, keys, now) = (handler_store.clone(), keys.clone(), now());
            async move {
                assert!(lease.due() <= now, "{} is not due", lease.key());
                finish(&store, &lease).await?;
                keys.add(lease.key());
                Ok(())
            }
        });
        let _running = start(worker);
        // A task that is due shows that the worker looked at all of them.
        let look = async |name: &'static str, number| {
            enqueue(&store, NewTask::new("x", name)).await;
            seen.until(number).await;
        };
        look("one", 1).await;
        assert_eq!(seen.keys(), ["one"], "{}", backend.name);
        clock.set(9 * HOUR);
        look("two", 2).await;
        clock.set(11 * HOUR);
        seen.until(4).await;
        look("three", 5).await;
        assert_eq!(seen.keys(), ["one", "two", "soon", "later", "three"], "{}", backend.name);
        clock.set(10 * HOUR);
        look("four", 6).await;
        clock.set(12 * HOUR);
        seen.until(7).await;
        until(&store, "durable_task", 0).await;
        assert_eq!(effects(&store).await.len(), 7, "each of them once");
    }
}

#[tokio::test]
async fn the_most_urgent_of_what_is_due_comes_first() {
    for backend in backends().await {
        let store = backend.open(EFFECTS).await;
        let (clock, seen) = (Clock::at(HOUR), Seen::default());
        let tasks = [("low", -5, 1), ("late", 0, 9), ("early", 0, 3), ("high", 7, 8)];
        for (key, priority, due) in tasks {
            enqueue(&store, NewTask { priority, ..NewTask::new("x", key).due(due) }).await;
        }
        // Higher than all of them, and not due: it must not hide those below.
        enqueue(&store, NewTask { priority: 9, ..NewTask::new("x", "never").due(2 * HOUR) }).await;
        let (handler_store, keys) = (store.clone(), seen.clone());
        let worker = Worker::with_clock(store.clone(), clock.read());
        let worker = worker.kind(Kind::new("x").concurrency(1), move |lease| {
            let (store, keys) = (handler_store.clone(), keys.clone());
            async move {
                keys.add(lease.key());
                Ok(finish(&store, &lease).await?)
            }
        });
        let _running = start(worker);
        seen.until(4).await;
        assert_eq!(seen.keys(), ["high", "early", "late", "low"], "{}", backend.name);
    }
}

#[tokio::test]
async fn a_recurring_task_keeps_its_schedule_and_skips_what_was_missed() {
    for backend in backends().await {
        let store = backend.open(EFFECTS).await;
        let (clock, seen) = (Clock::at(HOUR), Seen::default());
        let (handler_store, dues) = (store.clone(), seen.clone());
        let every = Duration::from_secs(600);
        let worker = Worker::with_clock(store.clone(), clock.read());
        let worker = worker.kind(Kind::new("tick").every(every), move |lease| {
            let (store, dues) = (handler_store.clone(), dues.clone());
            async move {
                finish(&store, &lease).await?;
                dues.add(&(lease.due() / 60_000_000).to_string());
                Ok(())
            }
        });
        let _running = start(worker);
        seen.until(1).await;
        clock.set(HOUR + HOUR / 6 + 1);
        seen.until(2).await;
        // Three times pass while nobody looks: one of them is made up for.
        clock.set(HOUR + 40 * 60_000_000 + 1);
        seen.until(3).await;
        clock.set(HOUR + 50 * 60_000_000);
        seen.until(4).await;
        assert_eq!(seen.keys(), ["60", "70", "80", "110"], "{}", backend.name);
        assert_eq!(count(&store, "durable_task").await, 1);
    }
}
