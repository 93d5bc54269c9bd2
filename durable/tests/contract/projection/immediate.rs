//! Projections that are applied where events are appended.

use durable::{Store, aggregate::Repository, projection::Projector, testing::backends};

use super::ledger::{ImmediateLedger, change, dump, fill, folded};
use crate::{
    jar::{Happened, Jar},
    support::within,
};

async fn open(store: &Store) -> (Projector<ImmediateLedger>, Repository<Jar>) {
    let ledger = Projector::open(store, ImmediateLedger).await.unwrap();
    let jars = Repository::new(store.clone()).project(&ledger);
    (ledger, jars)
}

#[tokio::test]
async fn who_has_the_answer_finds_its_effect() {
    for backend in backends().await {
        let store = backend.open(&[]).await;
        let (_, jars) = open(&store).await;
        jars.create("jars/1", vec![Happened::Opened, Happened::Added(5)]).await.unwrap();
        assert_eq!(dump(&store).await, folded(&store).await, "{}", backend.name);
        jars.update("jars/1", |jar| jar.state.take(2)).await.unwrap();
        assert!(dump(&store).await.contains("jars/1 [3, -2, 3]"), "{}", backend.name);
        jars.update("jars/1", |jar| jar.state.take(9)).await.unwrap_err();
        assert_eq!(dump(&store).await, folded(&store).await, "{}", backend.name);
    }
}

#[tokio::test]
async fn what_is_rolled_back_is_not_projected() {
    for backend in backends().await {
        let store = backend.open(&[]).await;
        let (_, jars) = open(&store).await;
        let mut tx = store.begin().await.unwrap();
        jars.create_in(&mut tx, "jars/1", vec![Happened::Opened]).await.unwrap();
        tx.rollback().await.unwrap();
        assert_eq!(dump(&store).await, "", "{}", backend.name);
    }
}

#[tokio::test]
async fn what_others_appended_is_made_up_for_by_the_next_append_or_the_log() {
    for backend in backends().await {
        let store = backend.open(&[]).await;
        // A program from before there was a ledger.
        fill(&store, 4).await;
        let (ledger, jars) = open(&store).await;
        assert_eq!(dump(&store).await, "", "{}", backend.name);
        jars.update("jars/1", |jar| jar.state.add(1)).await.unwrap();
        let one = dump(&store).await;
        assert!(one.starts_with("jars/1 [1, 0, 0]") && !one.contains("jars/2"), "{one}");
        within(ledger.catch_up()).await.unwrap();
        assert_eq!(dump(&store).await, folded(&store).await, "{}", backend.name);
    }
}

#[tokio::test]
async fn racing_appends_followers_and_rebuilds_project_each_event_once() {
    for backend in backends().await {
        let stores = [backend.open(&[]).await, backend.open(&[]).await];
        let mut tasks = Vec::new();
        let mut followers = Vec::new();
        for store in &stores {
            let (ledger, jars) = open(store).await;
            followers.push(tokio::spawn(ledger.clone().run()));
            // One of them knows the ledger, the other does not.
            tasks.push(tokio::spawn(async move { change(&jars, 15).await }));
            let unaware = Repository::new(store.clone());
            tasks.push(tokio::spawn(async move { change(&unaware, 15).await }));
        }
        let (ledger, _) = open(&stores[0]).await;
        for _ in 0..4 {
            ledger.rebuild().await.unwrap();
            within(ledger.catch_up()).await.unwrap();
        }
        for task in tasks {
            within(task).await.unwrap();
        }
        within(ledger.catch_up()).await.unwrap();
        let folded = folded(&stores[0]).await;
        assert!(folded.lines().count() > 60, "{}", backend.name);
        assert_eq!(dump(&stores[0]).await, folded, "{}", backend.name);
        followers.iter().for_each(tokio::task::JoinHandle::abort);
    }
}
