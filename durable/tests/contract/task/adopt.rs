//! Tasks that are born claimed start with the commit that promised them.

use std::sync::{Arc, Mutex};

use durable::{
    Store,
    task::{Kind, NewTask, Worker},
    testing::backends,
};

use super::{EFFECTS, Seen, count, effects, finish, start, until};

/// A worker whose handler waits for permission, and whom it has met.
pub(super) fn gated(
    store: &Store,
    concurrency: usize,
) -> (Worker, Seen, Arc<tokio::sync::Semaphore>) {
    let (seen, gate) = (Seen::default(), Arc::new(tokio::sync::Semaphore::new(0)));
    let (handler_store, keys, open) = (store.clone(), seen.clone(), gate.clone());
    let kind = Kind::new("x").concurrency(concurrency);
    let worker = Worker::new(store.clone()).kind(kind, move |lease| {
        let (store, keys, open) = (handler_store.clone(), keys.clone(), open.clone());
        async move {
            keys.add(lease.key());
            open.acquire().await?.forget();
            Ok(finish(&store, &lease).await?)
        }
    });
    (worker, seen, gate)
}

#[tokio::test]
async fn an_adopted_task_starts_with_its_commit_and_is_done_once() {
    for backend in backends().await {
        let store = backend.open(EFFECTS).await;
        let (worker, seen, gate) = gated(&store, 1);
        let _running = start(worker.clone());
        tokio::task::yield_now().await;
        let mut tx = store.begin().await.unwrap();
        assert!(worker.adopt(&mut tx, NewTask::new("x", "a")).await.unwrap());
        assert!(seen.keys().is_empty(), "not before the commit");
        tx.commit().await.unwrap();
        seen.until(1).await;
        // It has taken the only place, so this one is enqueued.
        let mut tx = store.begin().await.unwrap();
        assert!(worker.adopt(&mut tx, NewTask::new("x", "b")).await.unwrap());
        assert!(!worker.adopt(&mut tx, NewTask::new("x", "a")).await.unwrap(), "the key is taken");
        tx.commit().await.unwrap();
        gate.add_permits(2);
        until(&store, "durable_task", 0).await;
        assert_eq!((effects(&store).await, seen.keys()), (keys(), keys()), "{}", backend.name);
    }
}

fn keys() -> Vec<String> {
    vec!["a".to_owned(), "b".to_owned()]
}

#[tokio::test]
async fn an_adopted_task_whose_transaction_fails_never_starts() {
    for backend in backends().await {
        let store = backend.open(EFFECTS).await;
        let (worker, seen, gate) = gated(&store, 1);
        let _running = start(worker.clone());
        tokio::task::yield_now().await;
        let mut dropped = store.begin().await.unwrap();
        assert!(worker.adopt(&mut dropped, NewTask::new("x", "a")).await.unwrap());
        drop(dropped);
        // Its place is free again, or this one could not start.
        let mut tx = store.begin().await.unwrap();
        assert!(worker.adopt(&mut tx, NewTask::new("x", "b")).await.unwrap());
        tx.commit().await.unwrap();
        gate.add_permits(1);
        until(&store, "effect", 1).await;
        assert_eq!(seen.keys(), ["b"], "{}", backend.name);
        assert_eq!(count(&store, "durable_task").await, 0, "{}", backend.name);
    }
}

#[tokio::test]
async fn what_nobody_runs_yet_is_enqueued() {
    for backend in backends().await {
        let store = backend.open(EFFECTS).await;
        let (worker, seen, gate) = gated(&store, 4);
        gate.add_permits(4);
        let mut tx = store.begin().await.unwrap();
        worker.adopt(&mut tx, NewTask::new("x", "early")).await.unwrap();
        tx.commit().await.unwrap();
        assert!(seen.keys().is_empty());
        let _running = start(worker);
        until(&store, "effect", 1).await;
        assert_eq!(seen.keys(), ["early"], "{}", backend.name);
    }
}

/// Whoever awaits a commit may be gone when it comes: the row is there, with an
/// owner who lives, and nobody works on it.
#[tokio::test]
async fn a_claim_whose_commit_nobody_saw_is_given_back() {
    for backend in backends().await {
        let store = backend.open(EFFECTS).await;
        let (worker, seen, gate) = gated(&store, 4);
        gate.add_permits(4);
        let _running = start(worker.clone());
        tokio::task::yield_now().await;
        let lost = Arc::new(Mutex::new(None));
        let mut tx = store.begin().await.unwrap();
        assert!(worker.adopt(&mut tx, NewTask::new("x", "lost")).await.unwrap());
        let committing = Box::pin(tx.commit());
        *lost.lock().unwrap() = Some(committing);
        // Polled as far as the database answers at once, then forgotten.
        let mut commit = lost.lock().unwrap().take().unwrap();
        let _ = futures_util::poll!(&mut commit);
        drop(commit);
        // Either it was committed, and is found, or it was not, and leaves nothing.
        let mut tx = store.begin().await.unwrap();
        let new = worker.adopt(&mut tx, NewTask::new("x", "lost")).await.unwrap();
        tx.commit().await.unwrap();
        until(&store, "durable_task", 0).await;
        assert_eq!(effects(&store).await, ["lost"], "{}: new {new}", backend.name);
        assert_eq!(seen.keys().len(), 1, "{}", backend.name);
    }
}
