//! Random commands, against a model that is a map.

use std::{
    collections::{BTreeMap, HashSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use durable::{
    Store, params,
    task::{Kind, NewTask, Worker, discard, requeue},
    testing::backends,
};
use proptest::{
    prelude::*,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};

use super::{Clock, EFFECTS, Running, finish, start};
use crate::support::within;

const BEGIN: i64 = 1_000_000;

#[derive(Clone, Debug)]
enum Command {
    Enqueue {
        key: u8,
        delay: i64,
        priority: i32,
    },
    /// The clock goes on, or back.
    Pass(i64),
    /// From here on tasks of this key fail, or do not.
    Fail(u8, bool),
    Requeue(u8),
    Discard(u8),
    /// Another worker takes the place of the one that runs.
    Restart,
}

fn commands() -> impl Strategy<Value = Vec<Command>> {
    let key = 0..4_u8;
    let enqueue = (key.clone(), -50..50_i64, -1..2_i32)
        .prop_map(|(key, delay, priority)| Command::Enqueue { key, delay, priority });
    let command = prop_oneof![
        4 => enqueue,
        3 => (-20..60_i64).prop_map(Command::Pass),
        2 => (key.clone(), any::<bool>()).prop_map(|(key, fails)| Command::Fail(key, fails)),
        1 => key.clone().prop_map(Command::Requeue),
        1 => key.prop_map(Command::Discard),
        1 => Just(Command::Restart),
    ];
    prop::collection::vec(command, 1..30)
}

/// What should be there.
#[derive(Debug, Default, PartialEq, Eq)]
struct Model {
    waiting: BTreeMap<String, i64>,
    dead: Vec<String>,
    effects: BTreeMap<String, i64>,
}

impl Model {
    fn is_free(&self, key: &str) -> bool {
        !self.waiting.contains_key(key) && !self.dead.iter().any(|dead| dead == key)
    }

    /// Whether it was dead.
    fn bury_no_more(&mut self, key: &str) -> bool {
        let before = self.dead.len();
        self.dead.retain(|dead| dead != key);
        self.dead.len() < before
    }

    /// What is due is done, or given up.
    fn settle(&mut self, now: i64, failing: &HashSet<String>) {
        let due = self.waiting.extract_if(.., |_, due| *due <= now);
        for (key, _) in due {
            if failing.contains(&key) {
                self.dead.push(key);
                self.dead.sort();
            } else {
                *self.effects.entry(key).or_default() += 1;
            }
        }
    }

    async fn of(store: &Store) -> Self {
        let mut model = Self::default();
        // One statement, so that it is one moment.
        let sql = "SELECT key, due, died, 0 AS effects FROM durable_task
            UNION ALL SELECT key, 0, NULL, count(*) FROM effect GROUP BY key ORDER BY 1";
        for row in store.query(sql, params![]).await.unwrap() {
            let (key, effects): (String, i64) =
                (row.get("key").unwrap(), row.get("effects").unwrap());
            if effects > 0 {
                model.effects.insert(key, effects);
            } else if row.get::<Option<i64>>("died").unwrap().is_some() {
                model.dead.push(key);
            } else {
                model.waiting.insert(key, row.get("due").unwrap());
            }
        }
        model
    }
}

struct World {
    store: Store,
    clock: Clock,
    failing: Arc<Mutex<HashSet<String>>>,
    now: i64,
}

impl World {
    fn work(&self) -> Running {
        let (store, failing) = (self.store.clone(), self.failing.clone());
        // No wait between attempts: the clock stands still.
        let kind = Kind::new("x").attempts(2).retry(Duration::ZERO, Duration::ZERO);
        let worker = Worker::with_clock(self.store.clone(), self.clock.read());
        start(worker.kind(kind, move |lease| {
            let (store, failing) = (store.clone(), failing.clone());
            async move {
                if failing.lock().unwrap().contains(lease.key()) {
                    return Err("as it was told".into());
                }
                Ok(finish(&store, &lease).await?)
            }
        }))
    }

    async fn apply(&mut self, command: &Command, model: &mut Model, running: &mut Running) {
        let mut tx = self.store.begin().await.unwrap();
        match command {
            Command::Enqueue { key, delay, priority } => {
                let (key, due) = (format!("k{key}"), self.now + delay);
                let task = NewTask { priority: *priority, ..NewTask::new("x", &key).due(due) };
                let new = tx.enqueue(task).await.unwrap();
                assert_eq!(new, model.is_free(&key), "{command:?}");
                if new {
                    model.waiting.insert(key, due);
                }
            }
            Command::Pass(micros) => {
                self.now += micros;
                self.clock.set(self.now);
            }
            Command::Fail(key, fails) => {
                let mut failing = self.failing.lock().unwrap();
                let key = format!("k{key}");
                let _ = if *fails { failing.insert(key) } else { failing.remove(&key) };
            }
            Command::Requeue(key) => {
                let key = format!("k{key}");
                let was_dead = model.bury_no_more(&key);
                assert_eq!(requeue(&mut tx, "x", &key).await.unwrap(), was_dead, "{command:?}");
                if was_dead {
                    model.waiting.insert(key, 0);
                }
            }
            Command::Discard(key) => {
                let key = format!("k{key}");
                let was_dead = model.bury_no_more(&key);
                assert_eq!(discard(&mut tx, "x", &key).await.unwrap(), was_dead, "{command:?}");
            }
            Command::Restart => *running = self.work(),
        }
        tx.commit().await.unwrap();
        model.settle(self.now, &self.failing.lock().unwrap());
    }

    /// Waits for what should happen; what should not would never go away again.
    async fn agrees(&self, model: &Model) {
        within(async {
            while Model::of(&self.store).await != *model {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        })
        .await;
    }
}

async fn play(commands: &[Command]) {
    for backend in backends().await {
        let store = backend.open(EFFECTS).await;
        let mut world =
            World { store, clock: Clock::at(BEGIN), failing: Arc::default(), now: BEGIN };
        let (mut model, mut running) = (Model::default(), world.work());
        for command in commands {
            world.apply(command, &mut model, &mut running).await;
            world.agrees(&model).await;
        }
    }
}

#[test]
fn random_commands_do_what_a_map_would() {
    let config = Config { cases: 12, failure_persistence: None, ..Config::default() };
    let random = TestRng::from_seed(RngAlgorithm::ChaCha, &[5; 32]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    TestRunner::new_with_rng(config, random)
        .run(&commands(), |commands| {
            runtime.block_on(play(&commands));
            Ok(())
        })
        .unwrap();
}
