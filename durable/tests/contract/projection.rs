//! Projections: their tables are the fold of the log whatever is killed, run
//! twice or made anew, and a query is always answered.

mod immediate;
mod ledger;
mod rebuild;

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use durable::{
    Error, Event, Store,
    aggregate::Repository,
    projection::{Progress, Projection, Projector, Table, Writer},
    testing::backends,
};
use tonic::Code;

use crate::{
    jar::{Happened, Jar},
    support::within,
};
use ledger::{Ledger, dump, fill, folded, interrupted};

#[tokio::test]
async fn the_tables_are_the_fold_of_the_log() {
    for backend in backends().await {
        let store = backend.open(&[]).await;
        let ledger = Projector::open(&store, Ledger).await.unwrap();
        assert_eq!(dump(&store).await, "", "{}", backend.name);
        fill(&store, 40).await;
        within(ledger.catch_up()).await.unwrap();
        assert_eq!(dump(&store).await, folded(&store).await, "{}", backend.name);
        let Progress { live, building, end } = ledger.progress().await.unwrap();
        assert_eq!((live, building), (end, None));
    }
}

#[tokio::test]
async fn a_projector_that_is_killed_anywhere_goes_on_where_it_was() {
    for backend in backends().await {
        let store = backend.open(&[]).await;
        Projector::open(&store, Ledger).await.unwrap();
        let mut kills = 0;
        for polls in 0..60 {
            fill(&store, 3).await;
            // As a new process finds it.
            let again = Projector::open(&store, Ledger).await.unwrap();
            kills += u32::from(interrupted(again.catch_up(), polls).await);
        }
        // Each awaits a few times: the statements of SQLite run on this thread.
        assert!(kills >= 5, "{}: only {kills} were killed", backend.name);
        Projector::open(&store, Ledger).await.unwrap().catch_up().await.unwrap();
        assert_eq!(dump(&store).await, folded(&store).await, "{}", backend.name);
    }
}

#[tokio::test]
async fn two_replicas_project_each_event_once() {
    for backend in backends().await {
        let stores = [backend.open(&[]).await, backend.open(&[]).await];
        let mut running = Vec::new();
        for store in &stores {
            let ledger = Projector::open(store, Ledger).await.unwrap();
            running.push(tokio::spawn(ledger.run()));
        }
        for round in 0..30 {
            fill(&stores[round % 2], 2).await;
        }
        let ledger = Projector::open(&stores[0], Ledger).await.unwrap();
        within(ledger.catch_up()).await.unwrap();
        assert_eq!(dump(&stores[0]).await, folded(&stores[1]).await, "{}", backend.name);
        running.iter().for_each(tokio::task::JoinHandle::abort);
    }
}

#[tokio::test]
async fn a_query_waits_for_what_its_caller_has_written() {
    for backend in backends().await {
        let stores = [backend.open(&[]).await, backend.open(&[]).await];
        let ledger = Projector::open(&stores[0], Ledger).await.unwrap();
        let running = tokio::spawn(ledger.clone().run());
        let elsewhere = Projector::open(&stores[1], Ledger).await.unwrap();
        let jars: Repository<Jar> = Repository::new(stores[0].clone());
        jars.create("jars/1", vec![Happened::Opened]).await.unwrap();
        for number in 1..20 {
            let added = jars.update("jars/1", |jar| jar.state.add(1)).await.unwrap();
            let waiting = if number % 2 == 0 { &ledger } else { &elsewhere };
            waiting.wait("jars/1", added.version, Duration::from_secs(30)).await.unwrap();
            assert_eq!(dump(&stores[0]).await, folded(&stores[0]).await, "{}", backend.name);
        }
        let ahead = ledger.wait("jars/1", 100, Duration::from_secs(30)).await.unwrap_err();
        assert_eq!(tonic::Status::from(ahead).code(), Code::OutOfRange);
        running.abort();
    }
}

#[tokio::test]
async fn a_wait_for_what_nobody_projects_has_an_end() {
    for backend in backends().await {
        let store = backend.open(&[]).await;
        let ledger = Projector::open(&store, Ledger).await.unwrap();
        fill(&store, 1).await;
        let behind = ledger.wait("jars/0", 1, Duration::from_millis(30)).await.unwrap_err();
        assert!(matches!(behind, Error::Behind { projection: "ledger" }), "{}", backend.name);
        assert_eq!(tonic::Status::from(behind).code(), Code::Unavailable);
    }
}

/// Fails a few times at its third event.
struct Stumbling(AtomicU32);

impl Projection for Stumbling {
    const NAME: &'static str = "stumbling";
    const VERSION: i64 = 1;
    const TABLES: &'static [Table] =
        &[Table { name: "seen", columns: "position {bigint} PRIMARY KEY", indexes: &[] }];

    async fn apply(&self, into: &mut Writer<'_>, events: &[Event]) -> Result<(), Error> {
        for event in events {
            let sql = "INSERT INTO {seen} (position) VALUES ($1)";
            into.execute(sql, durable::params![event.position]).await?;
            if event.position == 3 && self.0.fetch_add(1, Ordering::SeqCst) < 3 {
                return Err(Error::Broken);
            }
        }
        Ok(())
    }
}

#[tokio::test]
async fn an_event_that_fails_is_tried_again_and_never_skipped() {
    for backend in backends().await {
        let store = backend.open(&[]).await;
        fill(&store, 5).await;
        let stumbling = Projector::open(&store, Stumbling(AtomicU32::new(0))).await.unwrap();
        let running = tokio::spawn(stumbling.clone().run());
        let last = last_of(&store, "jars/0").await;
        stumbling.wait("jars/0", last, Duration::from_secs(30)).await.unwrap();
        let sql = "SELECT count(*) AS n, max(position) AS last FROM seen";
        let row = store.query_one(sql, vec![]).await.unwrap().unwrap();
        let (count, newest): (i64, i64) = (row.get("n").unwrap(), row.get("last").unwrap());
        assert!(count >= 5 && count == newest, "{}: {count} of {newest}", backend.name);
        running.abort();
    }
}

async fn last_of(store: &Store, stream: &str) -> i64 {
    let jars: Repository<Jar> = Repository::new(store.clone());
    jars.load(stream).await.unwrap().unwrap().version
}
