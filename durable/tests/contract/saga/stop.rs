//! A process that ends finishes the step that it is at, and others go on.

use std::sync::Arc;

use durable::{
    Store,
    saga::{self, Definition, Failure, Sagas, Status, Step, StepContext},
    task::Worker,
};
use tokio::sync::Semaphore;

use super::{Trip, cases, rests, start};
use crate::{support::within, task::Seen};

/// What was called, and what each call waits for.
#[derive(Clone)]
struct Gates(Seen, Arc<Semaphore>);

async fn pass(gates: Gates, step: StepContext, trip: Trip) -> Result<Trip, Failure> {
    gates.0.add(step.step);
    gates.1.acquire().await.unwrap().forget();
    Ok(trip)
}

fn sagas(store: &Store, gates: &Gates) -> (Worker, Sagas) {
    let worker = Worker::new(store.clone());
    let definition = Definition::new("gated", 1, gates.clone())
        .step("one", Step::run(pass).undo(pass))
        .step("two", Step::run(pass).undo(pass));
    let sagas = Sagas::new(store.clone(), &worker).define(definition);
    (worker, sagas)
}

#[tokio::test]
async fn the_step_in_flight_ends_and_the_next_is_left_to_others() {
    for case in cases().await {
        let gates = Gates(Seen::default(), Arc::new(Semaphore::new(0)));
        let (worker, sagas_here) = sagas(&case.store, &gates);
        let running = tokio::spawn(worker.clone().run());
        start(&case.store, &sagas_here, "s").await;
        gates.0.until(1).await;
        worker.stop();
        gates.1.add_permits(1);
        within(running).await.unwrap();
        let left = saga::get(&case.store, "s").await.unwrap().unwrap();
        assert_eq!((&*left.step, left.status), ("two", Status::Running), "{}", case.name);
        assert_eq!(gates.0.keys(), ["one"], "{}", case.name);

        let (worker, _sagas) = sagas(&case.store, &gates);
        let running = tokio::spawn(worker.clone().run());
        gates.1.add_permits(1);
        let ended = rests(&case.store, "s").await;
        assert_eq!(ended.status, Status::Completed, "{}", case.name);
        assert_eq!(gates.0.keys(), ["one", "two"], "each step once");
        worker.stop();
        within(running).await.unwrap();
    }
}
