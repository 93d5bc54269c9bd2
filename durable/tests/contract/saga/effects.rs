//! What commits with a saga: starts, results, events, ends.

use durable::{
    Expected, NewEvent, Tx,
    consumer::HandlerError,
    params,
    saga::{Instance, Status},
};
use futures_util::future::BoxFuture;

use super::{Case, Definition, Fate, Running, Trip, cases, start, step, trip};
use crate::support::Ticked;

pub(super) fn note<'a>(
    tx: &'a mut Tx,
    id: &'a str,
    what: &'a str,
) -> BoxFuture<'a, Result<(), HandlerError>> {
    Box::pin(async move {
        let sql = "INSERT INTO effect (saga, what) VALUES ($1, $2)";
        tx.execute(sql, params![id, what]).await?;
        Ok(())
    })
}

fn booked<'a>(tx: &'a mut Tx, trip: &'a Instance<Trip>) -> BoxFuture<'a, Result<(), HandlerError>> {
    Box::pin(async move {
        let event = NewEvent::of(&Ticked { id: trip.data.done.len() as i64, padding: vec![] });
        tx.append("trips/1", Expected::Any, vec![event]).await?;
        note(tx, &trip.id, "booked").await
    })
}

fn with_effects(case: &Case) -> Running {
    Running::new(&case.store, |sagas| {
        sagas.define(
            Definition::new("trip", 1, case.world.clone())
                .step("flight", step().then(booked))
                .step("hotel", step())
                .completed(|tx, trip| note(tx, &trip.id, "completed"))
                .compensated(|tx, trip| {
                    let why = trip.refusal.as_ref().map_or("", |refusal| &refusal.reason);
                    note(tx, &trip.id, why)
                }),
        )
    })
}

async fn effects(case: &Case, id: &str) -> Vec<String> {
    let sql = "SELECT what FROM effect WHERE saga = $1 ORDER BY what";
    let rows = case.store.query(sql, params![id]).await.unwrap();
    rows.iter().map(|row| row.get("what").unwrap()).collect()
}

#[tokio::test]
async fn each_end_has_its_effect_once() {
    for case in cases().await {
        let running = with_effects(&case);
        case.start(&running, "good").await;
        assert_eq!(case.rests("good").await.status, Status::Completed);
        case.world.next("hotel/do", &[Fate::Refuse]);
        case.start(&running, "bad").await;
        assert_eq!(case.rests("bad").await.status, Status::Compensated);
        assert_eq!(effects(&case, "good").await, ["booked", "completed"], "{}", case.name);
        assert_eq!(effects(&case, "bad").await, ["SOLD_OUT", "booked"], "{}", case.name);
    }
}

#[tokio::test]
async fn events_of_a_saga_carry_its_id_as_their_correlation() {
    for case in cases().await {
        let running = with_effects(&case);
        case.start(&running, "t1").await;
        case.rests("t1").await;
        let sql = "SELECT stream, correlation FROM durable_event";
        let rows = case.store.query(sql, params![]).await.unwrap();
        assert_eq!(rows.len(), 1, "{}", case.name);
        assert_eq!(rows[0].get::<String>("correlation").unwrap(), "t1");
    }
}

#[tokio::test]
async fn an_effect_that_fails_undoes_its_step() {
    for case in cases().await {
        let running = Running::new(&case.store, |sagas| {
            let failing = step().then(|tx, trip| {
                Box::pin(async move {
                    note(tx, &trip.id, "must not be seen").await?;
                    Err("no".into())
                })
            });
            sagas.define(Definition::new("trip", 1, case.world.clone()).step("flight", failing))
        });
        case.start(&running, "t1").await;
        assert_eq!(case.rests("t1").await.status, Status::Compensated, "{}", case.name);
        assert!(effects(&case, "t1").await.is_empty());
        let calls = case.world.calls();
        assert_eq!(calls[calls.len() - 1], "trip/t1/flight/undo");
    }
}

#[tokio::test]
async fn a_second_start_under_the_same_id_changes_nothing() {
    for case in cases().await {
        let running = case.run();
        assert!(case.start(&running, "t1").await);
        assert!(!case.start(&running, "t1").await, "{}", case.name);
        case.rests("t1").await;
        assert!(!case.start(&running, "t1").await, "{}", case.name);
        assert_eq!(case.world.calls().len(), 3);
    }
}

#[tokio::test]
async fn a_start_that_is_rolled_back_never_begins() {
    for case in cases().await {
        let running = case.run();
        let mut tx = case.store.begin().await.unwrap();
        assert!(running.sagas.start(&mut tx, "t1", &Trip::default()).await.unwrap());
        tx.rollback().await.unwrap();
        // The one after it has ended, so the first would have begun.
        case.start(&running, "t2").await;
        case.rests("t2").await;
        assert!(case.world.calls().iter().all(|key| key.contains("t2")), "{}", case.name);
    }
}

#[tokio::test]
async fn a_saga_that_was_started_without_a_worker_is_found_by_one() {
    for case in cases().await {
        let idle = durable::task::Worker::new(case.store.clone());
        let sagas = durable::saga::Sagas::new(case.store.clone(), &idle).define(trip(&case.world));
        assert!(start(&case.store, &sagas, "t1").await);
        let _running = case.run();
        assert_eq!(case.rests("t1").await.status, Status::Completed, "{}", case.name);
    }
}
