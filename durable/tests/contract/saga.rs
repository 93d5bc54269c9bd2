//! Sagas end with everything done, with everything undone, or with a question:
//! whatever participants answer, and whoever interferes.

mod effects;
mod flight;
mod grpc;
mod model;
mod path;
mod stop;
mod verbs;
mod versions;

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex},
    time::Duration,
};

use durable::{
    Migration, Store,
    saga::{
        self, Definition, Direction, Entry, Failure, Happening, Record, Retry, Sagas, Status, Step,
        StepContext,
    },
    task::Worker,
    testing::{Backend, backends},
};
use tokio::{task::JoinHandle, time::sleep};

use crate::support::within;

/// The data of the sagas of these tests.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Trip {
    /// Steps that were done, as the actions noted them.
    #[prost(string, repeated, tag = "1")]
    pub(crate) done: Vec<String>,
}

/// What a participant does with a call.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fate {
    Refuse,
    Silence,
    Panic,
    /// Never answers.
    Hang,
}

/// The participants: what was called, under which keys, and what they will do.
#[derive(Clone, Default)]
pub(crate) struct World(Arc<Mutex<Script>>);

#[derive(Default)]
struct Script {
    calls: Vec<String>,
    fates: HashMap<String, VecDeque<Fate>>,
    always: HashMap<String, Fate>,
}

impl World {
    /// What befalls the next calls of `step/direction`.
    pub(crate) fn next(&self, call: &str, fates: &[Fate]) {
        let mut script = self.0.lock().unwrap();
        script.fates.entry(call.into()).or_default().extend(fates);
    }

    /// What befalls all of them.
    pub(crate) fn always(&self, call: &str, fate: Fate) {
        self.0.lock().unwrap().always.insert(call.into(), fate);
    }

    pub(crate) fn heal(&self) {
        self.0.lock().unwrap().always.clear();
    }

    /// Keys in the order of the calls.
    pub(crate) fn calls(&self) -> Vec<String> {
        self.0.lock().unwrap().calls.clone()
    }

    fn call(&self, step: &StepContext) -> Option<Fate> {
        let mut script = self.0.lock().unwrap();
        script.calls.push(step.key());
        let direction = if step.direction == Direction::Do { "do" } else { "undo" };
        let call = format!("{}/{direction}", step.step);
        let fate = script.fates.get_mut(&call).and_then(VecDeque::pop_front);
        fate.or_else(|| script.always.get(&call).copied())
    }
}

/// Every action and every compensation of these tests.
pub(crate) async fn act(world: World, step: StepContext, mut trip: Trip) -> Result<Trip, Failure> {
    match world.call(&step) {
        None => {}
        Some(Fate::Refuse) => return Err(Failure::refused("SOLD_OUT", "none left")),
        Some(Fate::Silence) => return Err(tonic::Status::unavailable("no answer").into()),
        Some(Fate::Panic) => panic!("on purpose"),
        Some(Fate::Hang) => std::future::pending().await,
    }
    match step.direction {
        Direction::Do => trip.done.push(step.step.into()),
        Direction::Undo => trip.done.retain(|done| done != step.step),
    }
    Ok(trip)
}

pub(crate) const QUICK: Retry =
    Retry { attempts: 3, initial: Duration::from_millis(1), max: Duration::from_millis(2) };

pub(crate) fn step() -> Step<Trip, World> {
    Step::run(act).undo(act).retry(QUICK).undo_retry(QUICK)
}

/// Flight, hotel, pivot, ticket.
pub(crate) fn trip(world: &World) -> Definition<Trip, World> {
    Definition::new("trip", 1, world.clone())
        .step("flight", step())
        .step("hotel", step())
        .pivot()
        .step("ticket", Step::run(act).without_undo("it is printed").retry(QUICK))
}

/// A worker and its sagas, until dropped.
pub(crate) struct Running {
    pub(crate) sagas: Sagas,
    worker: JoinHandle<()>,
}

impl Running {
    pub(crate) fn new(store: &Store, define: impl FnOnce(Sagas) -> Sagas) -> Self {
        let worker = Worker::new(store.clone());
        let sagas = define(Sagas::new(store.clone(), &worker));
        Self { sagas, worker: tokio::spawn(worker.run()) }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.worker.abort();
    }
}

pub(crate) const TABLES: &[Migration] = &[Migration::new(
    1,
    "effects",
    "CREATE TABLE effect (saga {text} NOT NULL, what {text} NOT NULL, PRIMARY KEY (saga, what));",
)];

/// A database with the participants of one test.
pub(crate) struct Case {
    pub(crate) store: Store,
    pub(crate) world: World,
    pub(crate) name: &'static str,
    _backend: Backend,
}

pub(crate) async fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for backend in backends().await {
        let store = backend.open(TABLES).await;
        let (world, name) = (World::default(), backend.name);
        cases.push(Case { store, world, name, _backend: backend });
    }
    cases
}

impl Case {
    pub(crate) fn run(&self) -> Running {
        Running::new(&self.store, |sagas| sagas.define(trip(&self.world)))
    }

    pub(crate) async fn start(&self, running: &Running, id: &str) -> bool {
        start(&self.store, &running.sagas, id).await
    }

    /// Waits until it is over or asks.
    pub(crate) async fn rests(&self, id: &str) -> Record {
        rests(&self.store, id).await
    }

    /// Waits until something like this stands in its history.
    pub(crate) async fn happens(&self, id: &str, happening: Happening) {
        within(async {
            while !self.history(id).await.iter().any(|entry| entry.happening == happening) {
                sleep(Duration::from_millis(2)).await;
            }
        })
        .await;
    }

    pub(crate) async fn history(&self, id: &str) -> Vec<Entry> {
        saga::history(&self.store, id).await.unwrap()
    }

    /// The history as `step/direction happening`.
    pub(crate) async fn story(&self, id: &str) -> Vec<String> {
        story(&self.history(id).await)
    }
}

/// Entries as `>step Happening` or, on the way back, `<step Happening`.
pub(crate) fn story(entries: &[Entry]) -> Vec<String> {
    assert!(entries.iter().map(|entry| entry.number).eq(1..=entries.len() as i64));
    entries
        .iter()
        .map(|entry| {
            let arrow = if entry.direction == Direction::Do { ">" } else { "<" };
            format!("{arrow}{} {:?}", entry.step, entry.happening)
        })
        .collect()
}

pub(crate) async fn start(store: &Store, sagas: &Sagas, id: &str) -> bool {
    let mut tx = store.begin().await.unwrap();
    let started = sagas.start(&mut tx, id, &Trip::default()).await.unwrap();
    tx.commit().await.unwrap();
    started
}

pub(crate) async fn rests(store: &Store, id: &str) -> Record {
    within(async {
        loop {
            let saga = saga::get(store, id).await.unwrap();
            match saga {
                Some(saga) if saga.status.is_final() => return saga,
                Some(saga) if saga.status == Status::NeedsAttention => return saga,
                _ => sleep(Duration::from_millis(2)).await,
            }
        }
    })
    .await
}
