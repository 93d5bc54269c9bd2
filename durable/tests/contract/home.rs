//! A store belongs to the runtime that opened it, whoever calls it: a caller's
//! runtime may block or end and takes nothing of the store with it.

use std::{sync::mpsc, thread};

use durable::{Error, Store, params, testing::backends};
use futures_util::future::join_all;
use tokio::{runtime::Builder, sync::oneshot};

use crate::support::within;

/// More than any pool holds, so that each of its connections is used.
const EVERYONE: usize = 12;

/// Everybody reads at once, and a few write.
async fn work(store: &Store) -> Result<(), Error> {
    let read = || store.query("SELECT version FROM durable_migration", params![]);
    for rows in join_all((0..EVERYONE).map(|_| read())).await {
        assert!(!rows?.is_empty());
    }
    for written in join_all((0..EVERYONE).map(|_| write(store))).await {
        written?;
    }
    Ok(())
}

async fn write(store: &Store) -> Result<(), Error> {
    let mut tx = store.begin().await?;
    tx.execute("UPDATE durable_migration SET name = name WHERE version = 1", params![]).await?;
    tx.commit().await
}

/// Uses the store from a thread with a runtime of its own, which then waits, with
/// a transaction open, until it is told to end.
fn visit(store: Store) -> (thread::JoinHandle<()>, oneshot::Receiver<()>, mpsc::Sender<()>) {
    let (worked, done) = oneshot::channel();
    let (end, ended) = mpsc::channel::<()>();
    let visitor = thread::spawn(move || {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            work(&store).await.unwrap();
            drop(store.begin().await.unwrap());
            worked.send(()).unwrap();
            // Blocks the thread, as a handler that computes does.
            let _ = ended.recv();
        });
    });
    (visitor, done, end)
}

#[tokio::test]
async fn a_caller_whose_thread_blocks_does_not_stop_the_others() {
    for backend in backends().await {
        let store = backend.open(&[]).await;
        let (visitor, done, end) = visit(store.clone());
        done.await.unwrap();
        within(work(&store)).await.unwrap();
        drop(end);
        visitor.join().unwrap();
    }
}

#[tokio::test]
async fn a_store_outlives_the_runtimes_that_used_it() {
    for backend in backends().await {
        let store = backend.open(&[]).await;
        for _ in 0..2 {
            let (visitor, done, end) = visit(store.clone());
            done.await.unwrap();
            drop(end);
            visitor.join().unwrap();
            let worked = within(work(&store)).await;
            assert!(worked.is_ok(), "{}: {worked:?}", backend.name);
        }
    }
}

#[tokio::test]
async fn a_transaction_may_be_dropped_outside_of_any_runtime() {
    for backend in backends().await {
        let store = backend.open(&[]).await;
        let tx = store.begin().await.unwrap();
        thread::spawn(move || drop(tx)).join().unwrap();
        within(work(&store)).await.unwrap();
    }
}

#[tokio::test]
async fn callers_that_leave_while_a_connection_opens_leak_none() {
    for backend in backends().await {
        let store = backend.open(&[]).await;
        // More than there are connections, each at another moment of its opening.
        for turns in 0..3 * EVERYONE {
            let leaves = async {
                for _ in 0..turns {
                    tokio::task::yield_now().await;
                }
            };
            tokio::select! {
                biased;
                tx = store.begin() => drop(tx.unwrap()),
                () = leaves => {}
            }
        }
        within(work(&store)).await.unwrap();
    }
}
