//! Workers that died, and workers that only seemed to.

use std::{
    env,
    path::Path,
    time::{Duration, Instant},
};

use durable::{
    Store, params,
    saga::{self, Definition, Entry, Failure, Sagas, Status, Step, StepContext},
    task::Worker,
};
use tokio::{
    task::JoinHandle,
    time::{sleep, timeout},
};

use crate::{
    process::{Watched, cases},
    program::{SERVICE, STORE, Trip},
};

/// Sagas that wait when their worker dies.
const SAGAS: usize = 16;
/// What is promised is less than two seconds. A machine that does other things at
/// the same time is given more, and what was measured is shown.
const SOON: Duration = Duration::from_secs(15);
/// Names the file whose appearance lets the first worker's actions answer.
const GO: &str = "TITAN_TEST_GO";

fn id(number: usize) -> String {
    format!("s{number:02}")
}

fn defined<F, R>(store: &Store, worker: &Worker, action: F) -> Sagas
where
    F: Fn((), StepContext, Trip) -> R + Send + Sync + 'static,
    R: Future<Output = Result<Trip, Failure>> + Send + 'static,
{
    let step = Step::run(action).without_undo("a test").deadline(Duration::from_secs(3_600));
    Sagas::new(store.clone(), worker).define(Definition::new("wait", 1, ()).step("only", step))
}

async fn start(store: &Store, sagas: &Sagas, id: &str) {
    let mut tx = store.begin().await.unwrap();
    sagas.start(&mut tx, id, &Trip::default()).await.unwrap();
    tx.commit().await.unwrap();
}

async fn until_go() {
    let go = env::var(GO).unwrap_or_default();
    while !Path::new(&go).exists() {
        sleep(Duration::from_millis(5)).await;
    }
}

/// The first worker: starts sagas, and does not answer them before it may.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn first() {
    let Ok(url) = env::var(STORE) else { return };
    let store = Store::open(&url, SERVICE).await.unwrap();
    let worker = Worker::new(store.clone());
    let sagas = defined(&store, &worker, |(), _, _| async {
        println!("@called");
        until_go().await;
        println!("@late");
        Ok(Trip { booked: vec!["late".into()] })
    });
    let _working = tokio::spawn(worker.run());
    for number in 0..SAGAS {
        start(&store, &sagas, &id(number)).await;
    }
    until_go().await;
    // Whoever was declared dead goes on under another name.
    start(&store, &sagas, "after").await;
    while !saga::get(&store, "after").await.unwrap().unwrap().status.is_final() {
        sleep(Duration::from_millis(10)).await;
    }
    println!("@after");
}

/// The second worker: answers at once.
fn second(store: &Store) -> JoinHandle<()> {
    let worker = Worker::new(store.clone());
    let _sagas = defined(store, &worker, |(), _, trip| async { Ok(trip) });
    tokio::spawn(worker.run())
}

async fn until_all_ended(store: &Store, since: Instant) {
    while !saga::unfinished(store).await.unwrap().is_empty() {
        assert!(since.elapsed() < SOON, "not taken over after {:?}", since.elapsed());
        sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sagas_of_a_dead_worker_are_taken_over_in_two_seconds() {
    for case in cases("forward").await {
        let store = case.service().await;
        let mut first = Watched::spawn(case.test("takeover::first", &[], &[]));
        for _ in 0..SAGAS {
            first.says("called").await;
        }
        let second = second(&store);
        // Time to see that the first one lives, or its death would be no news.
        sleep(Duration::from_millis(500)).await;
        let unfinished = saga::unfinished(&store).await.unwrap();
        assert_eq!(unfinished[0].1, SAGAS as i64, "{}", case.name());
        first.signal("-KILL");
        let killed = Instant::now();
        until_all_ended(&store, killed).await;
        println!("{}: {SAGAS} sagas taken over in {:?}", case.name(), killed.elapsed());
        second.abort();
        store.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_was_stopped_past_its_lease_writes_nothing_when_it_goes_on() {
    for case in cases("forward").await {
        let store = case.service().await;
        let folder = tempfile::tempdir().unwrap();
        let go = folder.path().join("go");
        let settings = [(GO, go.to_str().unwrap())];
        let mut first = Watched::spawn(case.test("takeover::first", &[], &settings));
        for _ in 0..SAGAS {
            first.says("called").await;
        }
        stop_without_locks(&first, &store).await;
        let second = second(&store);
        until_all_ended(&store, Instant::now()).await;
        let before = histories(&store).await;
        std::fs::write(&go, "").unwrap();
        first.signal("-CONT");
        first.says("after").await;
        assert!(first.ends().await.success());
        assert_eq!(histories(&store).await, before, "{}", case.name());
        for number in 0..SAGAS {
            let saga = saga::get(&store, &id(number)).await.unwrap().unwrap();
            let untouched = saga.status == Status::Completed && saga.data.is_empty();
            assert!(untouched, "{}: {saga:?}", case.name());
        }
        second.abort();
        store.close().await;
    }
}

/// Stops a process between two of its transactions: one that is stopped within
/// holds its locks for as long, and nothing could happen meanwhile.
async fn stop_without_locks(process: &Watched, store: &Store) {
    loop {
        process.signal("-STOP");
        let free = async {
            let mut tx = store.begin().await?;
            tx.execute("UPDATE durable_worker SET beat = beat", params![]).await?;
            tx.rollback().await
        };
        if let Ok(Ok(())) = timeout(Duration::from_millis(500), free).await {
            return;
        }
        process.signal("-CONT");
        sleep(Duration::from_millis(20)).await;
    }
}

async fn histories(store: &Store) -> Vec<Vec<Entry>> {
    let mut histories = Vec::new();
    for number in 0..SAGAS {
        histories.push(saga::history(store, &id(number)).await.unwrap());
    }
    histories
}
