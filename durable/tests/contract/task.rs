//! Tasks: what is enqueued is done once, by one worker at a time, when it is due.

mod adopt;
mod due;
mod failure;
mod grpc;
mod lease;
mod model;
mod stop;

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicI64, AtomicU32, Ordering},
};

use durable::{
    Error, Migration, Store, Tx, params,
    task::{Lease, NewTask, Worker},
    testing::backends,
};
use tokio::{sync::Notify, task::JoinHandle};

use crate::support::within;

/// What tasks write: one row for each time that one took effect.
pub(crate) const EFFECTS: &[Migration] = &[Migration::new(
    1,
    "effects",
    "CREATE TABLE effect (key {text} NOT NULL, attempt {bigint} NOT NULL);",
)];

pub(crate) async fn effect(tx: &mut Tx, lease: &Lease) -> Result<(), Error> {
    let sql = "INSERT INTO effect (key, attempt) VALUES ($1, $2)";
    tx.execute(sql, params![lease.key(), lease.attempts()]).await?;
    Ok(())
}

/// Takes effect and completes in one transaction, as a handler should.
pub(crate) async fn finish(store: &Store, lease: &Lease) -> Result<(), Error> {
    let mut tx = store.begin().await?;
    effect(&mut tx, lease).await?;
    lease.complete(&mut tx).await?;
    tx.commit().await
}

/// Keys of the effects that are there, as often as they are.
pub(crate) async fn effects(store: &Store) -> Vec<String> {
    let rows = store.query("SELECT key FROM effect ORDER BY key", params![]).await.unwrap();
    rows.iter().map(|row| row.get("key").unwrap()).collect()
}

pub(crate) async fn enqueue(store: &Store, task: NewTask) -> bool {
    let mut tx = store.begin().await.unwrap();
    let new = tx.enqueue(task).await.unwrap();
    tx.commit().await.unwrap();
    new
}

pub(crate) async fn count(store: &Store, table: &'static str) -> i64 {
    let sql = format!("SELECT count(*) AS n FROM {table}");
    store.query_one(sql, params![]).await.unwrap().unwrap().get("n").unwrap()
}

/// Waits until the statement, which counts, gives this number.
pub(crate) async fn until(store: &Store, table: &'static str, number: i64) {
    within(async {
        while count(store, table).await != number {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
    })
    .await;
}

/// A worker that ends with the test.
pub(crate) struct Running(JoinHandle<()>);

pub(crate) fn start(worker: Worker) -> Running {
    Running(tokio::spawn(worker.run()))
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A clock that stands still until it is set.
#[derive(Clone)]
pub(crate) struct Clock(Arc<AtomicI64>);

impl Clock {
    pub(crate) fn at(now: i64) -> Self {
        Self(Arc::new(AtomicI64::new(now)))
    }

    pub(crate) fn set(&self, now: i64) {
        self.0.store(now, Ordering::SeqCst);
    }

    pub(crate) fn read(&self) -> impl Fn() -> i64 + Send + Sync + 'static {
        let now = self.0.clone();
        move || now.load(Ordering::SeqCst)
    }
}

/// Remembers what was handled, in order, and wakes whoever waits for more of it.
#[derive(Clone, Default)]
pub(crate) struct Seen {
    keys: Arc<Mutex<Vec<String>>>,
    more: Arc<Notify>,
}

impl Seen {
    pub(crate) fn add(&self, key: &str) {
        self.keys.lock().unwrap().push(key.to_owned());
        self.more.notify_one();
    }

    pub(crate) fn keys(&self) -> Vec<String> {
        self.keys.lock().unwrap().clone()
    }

    pub(crate) async fn until(&self, number: usize) {
        within(async {
            while self.keys.lock().unwrap().len() < number {
                self.more.notified().await;
            }
        })
        .await;
    }
}

#[tokio::test]
async fn a_hook_runs_after_its_commit_and_after_nothing_else() {
    for backend in backends().await {
        let store = backend.open(&[]).await;
        let ran = Arc::new(AtomicU32::new(0));
        let hook = || {
            let ran = ran.clone();
            move || {
                ran.fetch_add(1, Ordering::SeqCst);
            }
        };
        let mut rolled_back = store.begin().await.unwrap();
        rolled_back.after_commit(hook());
        rolled_back.rollback().await.unwrap();
        let mut dropped = store.begin().await.unwrap();
        dropped.after_commit(hook());
        drop(dropped);
        let mut broken = store.begin().await.unwrap();
        broken.after_commit(hook());
        broken.query("SELECT nothing FROM nowhere", params![]).await.unwrap_err();
        broken.commit().await.unwrap_err();
        assert_eq!(ran.load(Ordering::SeqCst), 0, "{}", backend.name);
        let mut tx = store.begin().await.unwrap();
        tx.after_commit(hook());
        tx.after_commit(hook());
        tx.commit().await.unwrap();
        assert_eq!(ran.load(Ordering::SeqCst), 2, "{}", backend.name);
    }
}
