//! One worker at a time: what a dead one held is others', and one that revives
//! writes nothing.

use std::{
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};

use durable::{
    Dialect, Error, Store, params,
    task::{Kind, NewTask, Worker},
    testing::{Backend, backends},
};
use tokio::sync::Semaphore;

use super::{EFFECTS, Seen, count, effect, effects, enqueue, finish, start, until};
use crate::support::within;

/// A worker whose whole process stands still in the middle of an attempt: its
/// runtime has one thread, and the handler blocks it.
struct Frozen {
    /// Whether it is to go on with its attempt, or only to stand still once more.
    thaw: mpsc::Sender<bool>,
    outcome: mpsc::Receiver<Result<(), Error>>,
    thread: std::thread::JoinHandle<()>,
}

impl Frozen {
    /// Returns once it stands still, and not within a transaction: nobody could write
    /// until it revives, and the database would have to end it first.
    async fn with_task(store: &Store, url: &str) -> Self {
        let (thaw, thawed) = mpsc::channel::<bool>();
        let (tell, outcome) = mpsc::channel();
        let (stopped, mut stops) = tokio::sync::mpsc::channel(1);
        let url = url.to_owned();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async move {
                let store = Store::open(&url, EFFECTS).await.unwrap();
                let thawed = Arc::new(std::sync::Mutex::new(thawed));
                let (done, mut over) = tokio::sync::mpsc::channel(1);
                let worker = Worker::new(store.clone()).kind(Kind::new("x"), move |lease| {
                    let (store, thawed) = (store.clone(), thawed.clone());
                    let (tell, stopped, done) = (tell.clone(), stopped.clone(), done.clone());
                    async move {
                        loop {
                            stopped.send(()).await?;
                            if thawed.lock().unwrap().recv()? {
                                break;
                            }
                            // Long enough for what was begun to end.
                            tokio::time::sleep(Duration::from_millis(50)).await;
                        }
                        // Whoever was declared dead is stopped where it waits. This one
                        // is worse and goes on.
                        let zombie = tokio::spawn(async move {
                            let outcome = finish(&store, &lease).await;
                            tell.send(outcome).unwrap();
                            done.send(()).await.unwrap();
                        });
                        zombie.await?;
                        Ok(())
                    }
                });
                tokio::select! {
                    () = worker.run() => {}
                    _ = over.recv() => {}
                }
            });
        });
        within(stops.recv()).await;
        while holds_up_others(store).await {
            thaw.send(false).unwrap();
            within(stops.recv()).await;
        }
        Self { thaw, outcome, thread }
    }

    async fn revive(self) -> Result<(), Error> {
        self.thaw.send(true).unwrap();
        tokio::task::spawn_blocking(move || {
            let outcome = self.outcome.recv().unwrap();
            self.thread.join().unwrap();
            outcome
        })
        .await
        .unwrap()
    }
}

/// Whether another process has begun what it has not ended.
async fn holds_up_others(store: &Store) -> bool {
    if store.dialect() == Dialect::Sqlite {
        // What it had asked for before it stood still comes when the first has passed.
        for _ in 0..2 {
            // Far longer than a transaction takes that goes on.
            match tokio::time::timeout(Duration::from_secs(2), store.begin()).await {
                Ok(begun) => begun.unwrap().rollback().await.unwrap(),
                Err(_) => return true,
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        return false;
    }
    let sql = "SELECT count(*) AS n FROM pg_stat_activity
        WHERE datname = current_database() AND state <> 'idle' AND pid <> pg_backend_pid()";
    let busy = store.query_one(sql, params![]).await.unwrap().unwrap();
    busy.get::<i64>("n").unwrap() > 0
}

fn finishing(store: &Store) -> Worker {
    finishing_behind(store, Arc::new(Semaphore::new(Semaphore::MAX_PERMITS)))
}

/// Each attempt passes the gate first.
fn finishing_behind(store: &Store, gate: Arc<Semaphore>) -> Worker {
    let handler_store = store.clone();
    Worker::new(store.clone()).kind(Kind::new("x"), move |lease| {
        let (store, gate) = (handler_store.clone(), gate.clone());
        async move {
            gate.acquire().await?.forget();
            Ok(finish(&store, &lease).await?)
        }
    })
}

#[tokio::test]
async fn a_worker_that_was_paused_beyond_its_lease_and_revived_writes_nothing() {
    for backend in backends().await {
        let store = backend.open(EFFECTS).await;
        enqueue(&store, NewTask::new("x", "a")).await;
        let frozen = Frozen::with_task(&store, &backend.url).await;
        let _running = start(finishing(&store));
        let paused = Instant::now();
        until(&store, "durable_task", 0).await;
        tracing::info!(backend = backend.name, takeover = ?paused.elapsed());
        // The same key again: neither its name nor its place is the zombie's.
        enqueue(&store, NewTask::new("x", "a").due(i64::MAX)).await;
        let revived = frozen.revive().await;
        assert!(matches!(revived, Err(Error::Fenced { .. })), "{}: {revived:?}", backend.name);
        assert_eq!(effects(&store).await, ["a"], "{}", backend.name);
        assert_eq!(count(&store, "durable_task").await, 1, "{}", backend.name);
    }
}

#[tokio::test]
async fn a_worker_that_was_paused_and_missed_by_nobody_goes_on() {
    for backend in backends().await {
        let store = backend.open(EFFECTS).await;
        enqueue(&store, NewTask::new("x", "a")).await;
        let frozen = Frozen::with_task(&store, &backend.url).await;
        frozen.revive().await.unwrap();
        assert_eq!(effects(&store).await, ["a"], "{}", backend.name);
    }
}

/// Ends like a killed process: nothing is said, nothing is given back.
async fn killed_with_tasks(backend: &Backend, number: usize) -> Store {
    let store = backend.open(EFFECTS).await;
    let seen = Seen::default();
    let keys = seen.clone();
    let worker = Worker::new(store.clone()).kind(Kind::new("x"), move |lease| {
        keys.add(lease.key());
        std::future::pending()
    });
    for key in 0..number {
        enqueue(&store, NewTask::new("x", key.to_string())).await;
    }
    let running = start(worker);
    seen.until(number).await;
    drop(running);
    store
}

#[tokio::test]
async fn the_tasks_of_a_killed_worker_are_done_by_another() {
    for backend in backends().await {
        let store = killed_with_tasks(&backend, 8).await;
        assert_eq!(count(&store, "effect").await, 0);
        let _running = start(finishing(&store));
        until(&store, "durable_task", 0).await;
        assert_eq!(count(&store, "effect").await, 8, "{}", backend.name);
    }
}

#[tokio::test]
async fn a_fenced_transaction_cannot_commit_whoever_ignores_the_error() {
    for backend in backends().await {
        let store = backend.open(EFFECTS).await;
        let seen = Seen::default();
        let (handler_store, outcomes) = (store.clone(), seen.clone());
        let worker = Worker::new(store.clone()).kind(Kind::new("x"), move |lease| {
            let (store, outcomes) = (handler_store.clone(), outcomes.clone());
            async move {
                finish(&store, &lease).await?;
                let mut tx = store.begin().await?;
                let guard = lease.guard(&mut tx).await;
                assert!(matches!(guard, Err(Error::Fenced { .. })));
                effect(&mut tx, &lease).await?;
                let commit = tx.commit().await;
                outcomes.add(if matches!(commit, Err(Error::Broken)) { "broken" } else { "?" });
                Ok(())
            }
        });
        enqueue(&store, NewTask::new("x", "a")).await;
        let _running = start(worker);
        seen.until(1).await;
        assert_eq!(seen.keys(), ["broken"], "{}", backend.name);
        assert_eq!(effects(&store).await, ["a"], "{}", backend.name);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn two_workers_never_do_a_task_at_once() {
    for backend in backends().await {
        let (one, two) = (backend.open(EFFECTS).await, backend.open(EFFECTS).await);
        for key in 0..60 {
            enqueue(&one, NewTask::new("x", key.to_string())).await;
        }
        let seen = Seen::default();
        let worker = |store: &Store| {
            let (handler_store, keys) = (store.clone(), seen.clone());
            Worker::new(store.clone()).kind(Kind::new("x").concurrency(4), move |lease| {
                let (store, keys) = (handler_store.clone(), keys.clone());
                async move {
                    keys.add(lease.key());
                    Ok(finish(&store, &lease).await?)
                }
            })
        };
        let _running = [start(worker(&one)), start(worker(&two))];
        until(&one, "durable_task", 0).await;
        let mut keys = seen.keys();
        keys.sort();
        keys.dedup();
        assert_eq!((keys.len(), seen.keys().len()), (60, 60), "{}", backend.name);
        assert_eq!(count(&one, "effect").await, 60, "{}", backend.name);
    }
}

#[tokio::test]
async fn a_worker_at_rest_signs_off() {
    for backend in backends().await {
        let store = backend.open(EFFECTS).await;
        enqueue(&store, NewTask::new("x", "a")).await;
        let gate = Arc::new(Semaphore::new(0));
        let _running = start(finishing_behind(&store, gate.clone()));
        until(&store, "durable_worker", 1).await;
        gate.add_permits(1);
        within(async {
            while count(&store, "durable_worker").await > 0 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
    }
}
