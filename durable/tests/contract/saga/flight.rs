//! Many sagas at once, and actions that come late.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use durable::saga::{Direction, Failure, Status, StepContext};
use tokio::sync::Notify;

use super::{Definition, QUICK, Running, Step, Trip, cases, rests, start};

#[tokio::test]
async fn sixty_four_sagas_in_flight_all_end() {
    for case in cases().await {
        let running = case.run();
        let ids: Vec<String> = (0..64).map(|number| format!("t{number}")).collect();
        let starts = ids.iter().map(|id| case.start(&running, id));
        assert!(futures_util::future::join_all(starts).await.into_iter().all(|started| started));
        for id in &ids {
            assert_eq!(case.rests(id).await.status, Status::Completed, "{}", case.name);
        }
        assert_eq!(case.world.calls().len(), 64 * 3);
    }
}

/// A participant as it must be, before which requests can be held up.
#[derive(Clone, Default)]
struct Hotel(Arc<Rooms>);

#[derive(Default)]
struct Rooms {
    /// Reserved, or refused for ever.
    bookings: Mutex<HashMap<String, bool>>,
    undone: Notify,
    late: Mutex<Option<tokio::task::JoinHandle<bool>>>,
}

impl Hotel {
    /// Whether it is booked now.
    fn book(&self, saga: &str) -> bool {
        *self.0.bookings.lock().unwrap().entry(saga.into()).or_insert(true)
    }

    fn release(&self, saga: &str) {
        self.0.bookings.lock().unwrap().insert(saga.into(), false);
        self.0.undone.notify_one();
    }
}

/// The request is delayed beyond the patience of the saga.
async fn book(hotel: Hotel, step: StepContext, _: Trip) -> Result<Trip, Failure> {
    let late = hotel.clone();
    let mut delayed = hotel.0.late.lock().unwrap();
    if delayed.is_none() {
        *delayed = Some(tokio::spawn(async move {
            late.0.undone.notified().await;
            late.book(&step.saga)
        }));
    }
    Err(Failure::Unknown("no answer".into()))
}

async fn release(hotel: Hotel, step: StepContext, trip: Trip) -> Result<Trip, Failure> {
    assert_eq!(step.direction, Direction::Undo);
    hotel.release(&step.saga);
    Ok(trip)
}

#[tokio::test]
async fn an_action_that_comes_after_its_compensation_is_refused() {
    for case in cases().await {
        let hotel = Hotel::default();
        let running = Running::new(&case.store, |sagas| {
            let late = Step::run(book).undo(release).retry(QUICK).deadline(Duration::from_secs(1));
            sagas.define(Definition::new("trip", 1, hotel.clone()).step("hotel", late))
        });
        start(&case.store, &running.sagas, "t1").await;
        assert_eq!(rests(&case.store, "t1").await.status, Status::Compensated, "{}", case.name);
        let late = hotel.0.late.lock().unwrap().take().unwrap();
        let booked = late.await.unwrap();
        assert!(!booked, "the request that came late was refused");
    }
}
