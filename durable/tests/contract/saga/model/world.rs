//! The participants of a saga as its actions reach them, and the processes that
//! fail on the way.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex},
};

use durable::{
    Store,
    saga::{self, Direction, Failure, StepContext},
    task::Worker,
};
use tokio::sync::{Notify, mpsc};
use tonic::Code;

use super::{
    super::Trip,
    rules::{Answer, Fate, NAMES, Network, Shape, Turn, Verb},
};

/// What happens to a process.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Event {
    Died(usize),
    Stalled,
    Stopped(usize),
}

/// What all processes share.
pub(crate) struct Shared {
    pub(crate) store: Store,
    pub(crate) shape: Shape,
    pub(crate) script: Mutex<Script>,
    /// Those that run, by their process.
    pub(crate) workers: Mutex<BTreeMap<usize, Worker>>,
    pub(crate) events: mpsc::UnboundedSender<Event>,
}

pub(crate) struct Script {
    pub(crate) network: Network,
    pub(crate) calls: Vec<String>,
    pub(crate) granted: Vec<bool>,
    pub(crate) turns: VecDeque<Turn>,
    /// Those who stand still, and for how many calls more.
    pub(crate) stalled: Vec<(usize, Arc<Notify>)>,
}

impl Script {
    fn tick(&mut self) {
        self.network.tick();
        self.stalled.iter_mut().for_each(|(calls, _)| *calls -= 1);
        for (_, gate) in self.stalled.extract_if(.., |(calls, _)| *calls == 0) {
            gate.notify_one();
        }
    }

    /// Whatever is on its way arrives, and who stands still goes on.
    pub(crate) fn flush(&mut self) {
        self.network.flush();
        self.stalled.drain(..).for_each(|(_, gate)| gate.notify_one());
    }
}

/// The world of the sagas of one process.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) shared: Arc<Shared>,
    pub(crate) process: usize,
}

impl World {
    fn begin(&self, number: usize, step: &StepContext) -> Turn {
        let mut script = self.shared.script.lock().unwrap();
        script.tick();
        script.calls.push(step.key());
        let turn = script.turns.pop_front().unwrap_or((Fate::Answered, None));
        self.shared.shape.turn(number, turn)
    }

    fn tell(&self, event: Event) {
        // Nobody hears it only when the test has failed.
        let _ = self.shared.events.send(event);
    }

    fn stop(&self) {
        if let Some(worker) = self.shared.workers.lock().unwrap().get(&self.process) {
            worker.stop();
        }
        self.tell(Event::Stopped(self.process));
    }

    fn stand_still(&self, calls: usize) -> Arc<Notify> {
        let gate = Arc::new(Notify::new());
        self.shared.script.lock().unwrap().stalled.push((calls, gate.clone()));
        self.tell(Event::Stalled);
        gate
    }
}

/// Every action and every compensation.
pub(crate) async fn act(world: World, step: StepContext, trip: Trip) -> Result<Trip, Failure> {
    let number = NAMES.iter().position(|name| *name == step.step).unwrap();
    let (fate, verb) = world.begin(number, &step);
    if let Some(verb) = verb {
        ask(&world.shared, &step.saga, verb).await;
    }
    let call = |network: &mut Network| network.call(fate, number, step.direction, &step.key());
    let answer = call(&mut world.shared.script.lock().unwrap().network);
    match fate {
        Fate::Panic => panic!("on purpose"),
        Fate::Hang => std::future::pending().await,
        Fate::Die { .. } => {
            world.tell(Event::Died(world.process));
            std::future::pending().await
        }
        Fate::Stall { calls, .. } => world.stand_still(calls).notified().await,
        Fate::Stop => world.stop(),
        _ => {}
    }
    match answer {
        Answer::Refused => Err(Failure::refused("SOLD_OUT", "none left")),
        Answer::Unknown => Err(tonic::Status::unavailable("no answer").into()),
        // Who was taken for dead believes that all is well.
        Answer::Done | Answer::Cut => Ok(noted(trip, &step)),
    }
}

fn noted(mut trip: Trip, step: &StepContext) -> Trip {
    match step.direction {
        Direction::Do => trip.done.push(step.step.into()),
        Direction::Undo => trip.done.retain(|done| done != step.step),
    }
    trip
}

/// Asks as a human does, and notes the answer.
pub(crate) async fn ask(shared: &Shared, id: &str, verb: Verb) -> bool {
    let store = &shared.store;
    let answer = match verb {
        Verb::Cancel => saga::cancel(store, id, "model").await,
        Verb::Retry => saga::retry(store, id, "model").await,
        Verb::Skip => saga::skip(store, id, "model").await,
    };
    let granted = answer.is_ok();
    if let Err(refused) = answer {
        assert_eq!(tonic::Status::from(refused).code(), Code::FailedPrecondition, "{verb:?}");
    }
    shared.script.lock().unwrap().granted.push(granted);
    granted
}
