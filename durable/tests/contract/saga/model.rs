//! The engine as a whole against a model: random definitions, answers, verbs, and
//! processes that die, stand still past their leases or are asked to end. What the
//! model says must be what is found: every call in its order, the history, what
//! took effect and how often.

mod rules;
mod world;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use durable::{
    Store, params,
    saga::{self, Definition, Record, Retry, Sagas, Status, Step},
    task::{NewTask, Worker},
    testing::{Backend, sqlite},
};
use proptest::{
    prelude::*,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use prost::Message as _;
use tokio::{sync::mpsc, task::JoinHandle, time::sleep};

use self::{
    rules::{Expected, Fate, NAMES, Network, Shape, StepShape, Turn, Verb},
    world::{Event, Script, Shared, World, act, ask},
};
use super::{TABLES, Trip, story};
use crate::support::within;

/// Processes at the same time.
const PROCESSES: usize = 2;

#[derive(Clone, Debug)]
struct Plot {
    shape: Shape,
    turns: Vec<Turn>,
    /// What the human decides who is asked; then to try again.
    decisions: Vec<Verb>,
}

fn shapes() -> impl Strategy<Value = Shape> {
    let step = (prop::bool::weighted(0.8), 1..4_u32, 1..4_u32, prop::bool::weighted(0.2));
    let step = step.prop_map(|(undoable, attempts, undo_attempts, hasty)| StepShape {
        undoable,
        attempts,
        undo_attempts,
        hasty,
    });
    prop::collection::vec(step, 1..=NAMES.len()).prop_flat_map(|steps| {
        let pivot = prop::option::weighted(0.6, 0..=steps.len());
        (Just(steps), pivot).prop_map(|(steps, pivot)| Shape { steps, pivot })
    })
}

fn fates() -> impl Strategy<Value = Fate> {
    let calls = 1..4_usize;
    prop_oneof![
        10 => Just(Fate::Answered),
        3 => Just(Fate::Refused),
        2 => Just(Fate::Lost),
        2 => Just(Fate::AnswerLost),
        1 => Just(Fate::Panic),
        1 => Just(Fate::Hang),
        2 => calls.clone().prop_map(Fate::Late),
        1 => any::<bool>().prop_map(|after| Fate::Die { after }),
        1 => (any::<bool>(), calls).prop_map(|(after, calls)| Fate::Stall { after, calls }),
        1 => Just(Fate::Stop),
    ]
}

fn plots() -> impl Strategy<Value = Plot> {
    let verb = prop_oneof![3 => Just(Verb::Cancel), 1 => Just(Verb::Retry), 1 => Just(Verb::Skip)];
    let turn = (fates(), prop::option::weighted(0.08, verb));
    let decision =
        prop_oneof![1 => Just(Verb::Cancel), 3 => Just(Verb::Retry), 2 => Just(Verb::Skip)];
    let decisions = prop::collection::vec(decision, 0..6);
    (shapes(), prop::collection::vec(turn, 0..24), decisions)
        .prop_map(|(shape, turns, decisions)| Plot { shape, turns, decisions })
}

const AT_ONCE: Retry = Retry { attempts: 1, initial: Duration::ZERO, max: Duration::ZERO };

fn definition(world: &World) -> Definition<Trip, World> {
    let shape = world.shared.shape.clone();
    let mut definition = Definition::new("model", 1, world.clone());
    for (number, it) in shape.steps.iter().enumerate() {
        if shape.pivot == Some(number) {
            definition = definition.pivot();
        }
        let action = Step::run(act);
        let step = if it.undoable { action.undo(act) } else { action.without_undo("waived") };
        let deadline = if it.hasty { Duration::from_millis(1) } else { Duration::from_secs(3_600) };
        let step = step
            .deadline(deadline)
            .retry(Retry { attempts: it.attempts, ..AT_ONCE })
            .undo_retry(Retry { attempts: it.undo_attempts, ..AT_ONCE })
            .then(move |tx, saga| super::effects::note(tx, &saga.id, NAMES[number]));
        definition = definition.step(NAMES[number], step);
    }
    if shape.pivot == Some(shape.steps.len()) {
        definition = definition.pivot();
    }
    definition
        .completed(|tx, saga| super::effects::note(tx, &saga.id, "completed"))
        .compensated(|tx, saga| super::effects::note(tx, &saga.id, "compensated"))
}

/// The processes of one plot.
struct Stage {
    shared: Arc<Shared>,
    events: mpsc::UnboundedReceiver<Event>,
    running: BTreeMap<usize, (Sagas, JoinHandle<()>)>,
    /// Those that were asked to end.
    ending: Vec<JoinHandle<()>>,
    spawned: usize,
}

impl Stage {
    fn new(store: &Store, plot: &Plot) -> Self {
        let (tell, events) = mpsc::unbounded_channel();
        let script = Script {
            network: Network::new(&plot.shape),
            calls: Vec::new(),
            granted: Vec::new(),
            turns: plot.turns.iter().copied().collect(),
            stalled: Vec::new(),
        };
        let shared = Arc::new(Shared {
            store: store.clone(),
            shape: plot.shape.clone(),
            script: Mutex::new(script),
            workers: Mutex::default(),
            events: tell,
        });
        let mut stage =
            Self { shared, events, running: BTreeMap::new(), ending: Vec::new(), spawned: 0 };
        (0..PROCESSES).for_each(|_| stage.spawn());
        stage
    }

    fn spawn(&mut self) {
        let process = self.spawned;
        self.spawned += 1;
        let worker = Worker::new(self.shared.store.clone());
        let world = World { shared: self.shared.clone(), process };
        let sagas = Sagas::new(self.shared.store.clone(), &worker).define(definition(&world));
        self.shared.workers.lock().unwrap().insert(process, worker.clone());
        self.running.insert(process, (sagas, tokio::spawn(worker.run())));
    }

    async fn start(&self, id: &str) {
        // Their workers run from here on, so that one of them adopts it.
        tokio::task::yield_now().await;
        let (sagas, _) = self.running.values().next().unwrap();
        assert!(super::start(&self.shared.store, sagas, id).await);
    }

    async fn happened(&mut self, event: Event) {
        match event {
            Event::Died(process) => {
                let (_, running) = self.leave(process);
                running.abort();
                let _ = running.await;
                self.free().await;
                self.spawn();
            }
            Event::Stalled => self.free().await,
            Event::Stopped(process) => {
                let (_, running) = self.leave(process);
                self.ending.push(running);
                self.spawn();
            }
        }
    }

    fn leave(&mut self, process: usize) -> (Sagas, JoinHandle<()>) {
        self.shared.workers.lock().unwrap().remove(&process);
        self.running.remove(&process).unwrap()
    }

    /// As if the lease of whoever has the saga had run out.
    async fn free(&self) {
        let mut tx = self.shared.store.begin().await.unwrap();
        tx.execute("UPDATE durable_task SET owner = NULL", params![]).await.unwrap();
        // So that nobody has to look for it by chance.
        tx.enqueue(NewTask::new("bell", "")).await.unwrap();
        tx.execute("DELETE FROM durable_task WHERE kind = 'bell'", params![]).await.unwrap();
        tx.commit().await.unwrap();
    }

    async fn entries(&self, id: &str) -> usize {
        saga::history(&self.shared.store, id).await.unwrap().len()
    }

    /// Waits until the saga is over or asks, with more in its history than `seen`.
    async fn rests(&mut self, id: &str, seen: usize) -> (Record, usize) {
        loop {
            while let Ok(event) = self.events.try_recv() {
                self.happened(event).await;
            }
            let entries = self.entries(id).await;
            let saga = saga::get(&self.shared.store, id).await.unwrap().unwrap();
            let rests = saga.status.is_final() || saga.status == Status::NeedsAttention;
            // The same before and after: it is the saga of this history.
            if rests && entries > seen && entries == self.entries(id).await {
                return (saga, entries);
            }
            // Others have this thread meanwhile.
            sleep(Duration::from_micros(200)).await;
        }
    }

    /// Plays until the saga is over, with a human who decides when there is a
    /// question.
    async fn play(&mut self, id: &str, decisions: &[Verb]) -> Record {
        self.start(id).await;
        let (mut decisions, mut seen) = (decisions.iter(), 0);
        loop {
            let (saga, entries) = within(self.rests(id, seen)).await;
            self.shared.script.lock().unwrap().flush();
            if saga.status.is_final() {
                return saga;
            }
            let effects = effects(&self.shared.store, id).await;
            assert!(!effects.iter().any(|it| it.starts_with("comp")), "{id} asks: {effects:?}");
            let verb = decisions.next().copied().unwrap_or(Verb::Retry);
            // What was granted is in its history, and something follows from it.
            seen = if ask(&self.shared, id, verb).await { entries + 1 } else { entries - 1 };
        }
    }

    async fn end(mut self) {
        for ending in std::mem::take(&mut self.ending) {
            within(ending).await.unwrap();
        }
        for (_, running) in std::mem::take(&mut self.running).into_values() {
            running.abort();
            let _ = running.await;
        }
    }
}

impl Drop for Stage {
    /// Nobody of a plot that failed takes part in the next one.
    fn drop(&mut self) {
        self.shared.workers.lock().unwrap().clear();
        self.running.values().for_each(|(_, running)| running.abort());
        self.ending.iter().for_each(JoinHandle::abort);
    }
}

async fn effects(store: &Store, id: &str) -> Vec<String> {
    let sql = "SELECT what FROM effect WHERE saga = $1 ORDER BY what";
    let rows = store.query(sql, params![id]).await.unwrap();
    rows.iter().map(|row| row.get("what").unwrap()).collect()
}

async fn play(store: &Store, id: &str, plot: &Plot) {
    let (expected, status) = Expected::of(id, &plot.shape, &plot.turns, &plot.decisions);
    // What a plot that failed has left.
    let mut tx = store.begin().await.unwrap();
    tx.execute("DELETE FROM durable_task", params![]).await.unwrap();
    tx.commit().await.unwrap();
    let mut stage = Stage::new(store, plot);
    let saga = stage.play(id, &plot.decisions).await;
    let shared = stage.shared.clone();
    stage.end().await;

    let history = story(&saga::history(store, id).await.unwrap());
    assert_eq!(history, expected.story);
    assert_eq!(saga.status, status);
    assert_eq!(saga.refusal.map(|refusal| refusal.reason).as_deref(), expected.refusal);
    let effects = effects(store, id).await;
    assert!(effects.iter().eq(&expected.effects), "{effects:?} {:?}", expected.effects);
    let left = store.query("SELECT key FROM durable_task", params![]).await.unwrap();
    assert!(left.is_empty(), "a task is left of a saga that is over");
    assert_eq!(Trip::decode(&*saga.data).unwrap().done, remembered(&history));
    let script = shared.script.lock().unwrap();
    assert_eq!(script.calls, expected.calls);
    assert_eq!(script.granted, expected.granted);
    assert_eq!(script.network.participants, expected.network.participants);
    is_true(status, &plot.shape, &script.network, &history);
}

/// What the data of a saga says after this history.
fn remembered(history: &[String]) -> Vec<String> {
    let mut done: Vec<String> = Vec::new();
    for entry in history.iter().filter_map(|entry| entry.strip_suffix(" Done")) {
        match entry.split_at(1) {
            (">", step) => done.push(step.to_owned()),
            (_, step) => done.retain(|it| it != step),
        }
    }
    done
}

/// Whatever the model says: an end means what its name does.
fn is_true(status: Status, shape: &Shape, network: &Network, history: &[String]) {
    for (participant, step) in network.participants.iter().zip(&shape.steps) {
        assert!(participant.done.len() <= 1 && participant.undone.len() <= 1, "{participant:?}");
        match status {
            Status::Completed => assert!(participant.is_in_effect()),
            Status::Compensated if step.undoable => assert!(!participant.is_in_effect()),
            _ => {}
        }
        assert!(step.undoable || participant.undone.is_empty(), "what was waived is undone");
    }
    let undone: Vec<_> = history.iter().filter(|it| it.starts_with('<')).collect();
    let undone: Vec<_> = undone.iter().filter(|it| it.ends_with(" Done")).collect();
    assert!(undone.is_sorted_by(|one, next| one > next), "{undone:?}");
    let skipped = history.iter().any(|entry| entry.ends_with(" Skipped"));
    assert_eq!(status == Status::Resolved, skipped);
}

fn runner(cases: u32) -> TestRunner {
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]))
}

/// Runs a test of plots on one database, each as a saga of its own.
fn each(
    cases: u32,
    plots: impl Strategy<Value = Plot>,
    test: &impl AsyncFn(&Backend, &Store, &str, &Plot),
) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let backend = sqlite();
    let store = runtime.block_on(backend.open(TABLES));
    let number = std::cell::Cell::new(0);
    let run = |plot: Plot| {
        let id = format!("s{}", number.replace(number.get() + 1));
        runtime.block_on(test(&backend, &store, &id, &plot));
        Ok(())
    };
    runner(cases).run(&plots, run).unwrap();
}

#[test]
fn random_plots_end_as_the_model_says() {
    each(300, plots(), &async |_, store, id, plot| play(store, id, plot).await);
}

#[test]
fn a_saga_to_which_nothing_happens_writes_its_row_once_more_than_it_has_steps() {
    let calm = shapes().prop_map(|shape| Plot { shape, turns: vec![], decisions: vec![] });
    each(12, calm, &async |backend, store, id, plot| {
        let file = backend.url.strip_prefix("sqlite:").unwrap();
        let written = rusqlite::Connection::open(file).unwrap();
        written
            .execute_batch(
                "CREATE TABLE IF NOT EXISTS written (what TEXT NOT NULL);
                 DELETE FROM written;
                 CREATE TRIGGER IF NOT EXISTS saga_begun AFTER INSERT ON durable_saga
                     BEGIN INSERT INTO written VALUES ('saga'); END;
                 CREATE TRIGGER IF NOT EXISTS saga_changed AFTER UPDATE ON durable_saga
                     BEGIN INSERT INTO written VALUES ('saga'); END;
                 CREATE TRIGGER IF NOT EXISTS task_begun AFTER INSERT ON durable_task
                     BEGIN INSERT INTO written VALUES ('task'); END;
                 CREATE TRIGGER IF NOT EXISTS task_changed AFTER UPDATE ON durable_task
                     BEGIN INSERT INTO written VALUES ('task'); END;
                 CREATE TRIGGER IF NOT EXISTS task_ended AFTER DELETE ON durable_task
                     BEGIN INSERT INTO written VALUES ('task'); END;",
            )
            .unwrap();
        play(store, id, plot).await;
        let count = |what: &str| -> i64 {
            let sql = "SELECT count(*) FROM written WHERE what = ?1";
            written.query_row(sql, [what], |row| row.get(0)).unwrap()
        };
        assert_eq!(count("saga"), plot.shape.steps.len() as i64 + 1, "{plot:?}");
        assert_eq!(count("task"), 2, "it is begun with the saga and ends with it: {plot:?}");
    });
}
