//! A worker that is stopped ends what it began, gives back the rest, and is not
//! missed.

use ::mesh::{Routes, testing::Mesh};
use durable::{
    Store, params,
    task::{Kind, NewTask, Worker},
    testing::backends,
};
use tokio::sync::oneshot;

use super::{EFFECTS, Seen, adopt::gated, count, effects, enqueue, finish, start, until};
use crate::support::within;

/// Owner and attempts of each task, by key.
async fn tasks(store: &Store) -> Vec<(String, Option<String>, i64)> {
    let rows = store.query("SELECT key, owner, attempts FROM durable_task ORDER BY key", params![]);
    let rows = rows.await.unwrap();
    let task = |row: &durable::Row| {
        let (key, owner) = (row.get("key").unwrap(), row.get("owner").unwrap());
        (key, owner, row.get("attempts").unwrap())
    };
    rows.iter().map(task).collect()
}

#[tokio::test]
async fn what_runs_ends_and_nothing_new_is_taken() {
    for backend in backends().await {
        let store = backend.open(EFFECTS).await;
        let (worker, seen, gate) = gated(&store, 4);
        let running = tokio::spawn(worker.clone().run());
        enqueue(&store, NewTask::new("x", "a")).await;
        seen.until(1).await;
        worker.stop();
        enqueue(&store, NewTask::new("x", "b")).await;
        let mut tx = store.begin().await.unwrap();
        worker.adopt(&mut tx, NewTask::new("x", "c")).await.unwrap();
        tx.commit().await.unwrap();
        assert!(!running.is_finished(), "an attempt still runs");
        gate.add_permits(3);
        within(running).await.unwrap();

        assert_eq!(effects(&store).await, ["a"], "{}", backend.name);
        let left = [("b".to_owned(), None, 0), ("c".to_owned(), None, 0)];
        assert_eq!(tasks(&store).await, left, "{}", backend.name);
        assert_eq!(count(&store, "durable_worker").await, 0, "{}", backend.name);
        let (other, _, gate) = gated(&store, 4);
        gate.add_permits(2);
        let _running = start(other);
        until(&store, "durable_task", 0).await;
    }
}

#[tokio::test]
async fn what_was_taken_and_not_begun_is_given_back_with_its_attempt() {
    for backend in backends().await {
        let store = backend.open(EFFECTS).await;
        let (worker, seen, _gate) = gated(&store, 4);
        let running = tokio::spawn(worker.clone().run());
        tokio::task::yield_now().await;
        let mut tx = store.begin().await.unwrap();
        assert!(worker.adopt(&mut tx, NewTask::new("x", "a")).await.unwrap());
        worker.stop();
        tokio::task::yield_now().await;
        assert!(!running.is_finished(), "its claim may still commit");
        tx.commit().await.unwrap();
        within(running).await.unwrap();
        assert_eq!(tasks(&store).await, [("a".to_owned(), None, 0)], "{}", backend.name);
        assert!(seen.keys().is_empty(), "{}", backend.name);
    }
}

#[tokio::test]
async fn a_handler_learns_that_it_should_hand_over() {
    for backend in backends().await {
        let store = backend.open(EFFECTS).await;
        let (begun, learnt) = (Seen::default(), Seen::default());
        let (handler_store, keys, told) = (store.clone(), begun.clone(), learnt.clone());
        let gate = std::sync::Arc::new(tokio::sync::Semaphore::new(0));
        let open = gate.clone();
        let worker = Worker::new(store.clone()).kind(Kind::new("x"), move |lease| {
            let (store, keys, told) = (handler_store.clone(), keys.clone(), told.clone());
            let open = open.clone();
            async move {
                assert!(!lease.is_stopping());
                keys.add(lease.key());
                open.acquire().await?.forget();
                if lease.is_stopping() {
                    told.add(lease.key());
                }
                Ok(finish(&store, &lease).await?)
            }
        });
        let running = tokio::spawn(worker.clone().run());
        enqueue(&store, NewTask::new("x", "a")).await;
        begun.until(1).await;
        worker.stop();
        gate.add_permits(1);
        within(running).await.unwrap();
        assert_eq!(learnt.keys(), ["a"], "{}", backend.name);
    }
}

#[tokio::test]
async fn a_server_that_is_asked_to_end_waits_for_its_worker() {
    for backend in backends().await {
        let store = backend.open(EFFECTS).await;
        let (worker, seen, gate) = gated(&store, 4);
        let mesh = Mesh::new().await;
        let (stop, stopped) = oneshot::channel::<()>();
        let server = mesh.app("worker").serve().contracts(::mesh::DESCRIPTORS);
        let server = server.routes(Routes::new()).task("tasks", worker.run());
        let server = tokio::spawn(server.until(async { stopped.await.unwrap() }));
        enqueue(&store, NewTask::new("x", "a")).await;
        seen.until(1).await;
        stop.send(()).unwrap();
        gate.add_permits(1);
        within(server).await.unwrap().unwrap();
        assert_eq!(effects(&store).await, ["a"], "{}", backend.name);
        assert_eq!(count(&store, "durable_worker").await, 0, "{}", backend.name);
    }
}
