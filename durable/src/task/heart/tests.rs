//! How soon a dead worker's tasks are free, counted in looks instead of time.

use super::*;
use crate::{
    task::{NewTask, Worker},
    testing::{Backend, backends},
};

/// Beyond what a look may wait for, with its jitter.
const LONGEST_LOOK: Duration = Duration::from_millis(220);
/// What is promised.
const PROMISED: Duration = Duration::from_secs(2);

/// A task of a worker that has counted to `beat`, and somebody who looks.
async fn held(backend: &Backend, beat: Option<i64>) -> (Store, Worker) {
    let store = backend.open(&[]).await;
    let mut tx = store.begin().await.unwrap();
    tx.enqueue(NewTask::new("x", "a")).await.unwrap();
    tx.execute("UPDATE durable_task SET owner = 'dead'", params![]).await.unwrap();
    if let Some(beat) = beat {
        let sql = "INSERT INTO durable_worker (owner, beat) VALUES ('dead', $1)";
        tx.execute(sql, params![beat]).await.unwrap();
    }
    tx.commit().await.unwrap();
    let worker = Worker::new(store.clone());
    (store, worker)
}

async fn is_free(store: &Store) -> bool {
    let sql = "SELECT count(*) AS free FROM durable_task WHERE owner IS NULL";
    store.query_one(sql, params![]).await.unwrap().unwrap().get::<i64>("free").unwrap() == 1
}

/// Looks until the task is free.
async fn looks_until_free(worker: &Worker, known: &mut HashMap<String, Seen>) -> u32 {
    for looks in 1..100 {
        look(&worker.inner, known).await.unwrap();
        if is_free(&worker.inner.store).await {
            return looks;
        }
    }
    panic!("never");
}

/// The time of so many looks and the waits around them, at the most.
fn longest(looks: u32) -> Duration {
    LONGEST_LOOK * (looks + 1)
}

#[tokio::test]
async fn the_tasks_of_a_dead_worker_are_free_in_less_than_two_seconds() {
    assert!(LOOK.mul_f64(1.1) <= LONGEST_LOOK);
    for backend in backends().await {
        let (store, worker) = held(&backend, Some(6)).await;
        let mut known = HashMap::new();
        look(&worker.inner, &mut known).await.unwrap();
        // The worst case: it counted for the last time when somebody had just looked.
        assert!(write_beat(&store, "dead", 7, true).await.unwrap());
        let looks = looks_until_free(&worker, &mut known).await;
        assert_eq!(looks, LOOKS + 1, "{}", backend.name);
        assert!(longest(looks) < PROMISED);
    }
}

#[tokio::test]
async fn so_are_those_of_one_that_died_before_it_ever_counted() {
    for backend in backends().await {
        let (_store, worker) = held(&backend, None).await;
        let looks = looks_until_free(&worker, &mut HashMap::new()).await;
        assert_eq!(looks, LOOKS, "{}", backend.name);
        assert!(longest(looks) < PROMISED);
    }
}

#[tokio::test]
async fn a_worker_that_counts_keeps_its_tasks_however_often_somebody_looks() {
    for backend in backends().await {
        let (store, worker) = held(&backend, Some(0)).await;
        let mut known = HashMap::new();
        for count in 1..=5 {
            // One more, and it would be dead.
            for _ in 1..LOOKS {
                look(&worker.inner, &mut known).await.unwrap();
            }
            assert!(!is_free(&store).await, "{} {count}", backend.name);
            assert!(write_beat(&store, "dead", count, true).await.unwrap());
        }
        assert_eq!(looks_until_free(&worker, &mut known).await, LOOKS + 1, "{}", backend.name);
        assert!(!write_beat(&store, "dead", 6, true).await.unwrap(), "it is told");
    }
}
