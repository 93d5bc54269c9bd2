//! Random batches, poison, decisions and deaths, against a model that is a queue
//! for each stream: what is applied is applied once and in order, a poisoned
//! stream waits, and the others do not notice.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use durable::{Expected, consumer::operate, params};
use proptest::{
    prelude::*,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};

use super::{Pair, Running, pairs};
use crate::{
    parking::{self, BY, Poison},
    support::{new_event, tick, within},
};

/// Short, since a part that somebody took is claimed again at a third of it.
const LEASE: Duration = Duration::from_millis(90);

#[derive(Clone, Debug)]
enum Command {
    /// Events of several streams in one transaction; the last of the first stream
    /// may be poison.
    Append {
        batch: Vec<(u8, u8)>,
        poisoned: bool,
    },
    /// Events that nobody commits.
    Abandon(u8),
    /// From here on everything of this stream can be applied.
    Cure(u8),
    Release(u8),
    Discard(u8),
    /// One of two replicas dies, and another takes its place.
    Kill(bool),
    /// Every lease is taken away by somebody who does nothing.
    Seize,
}

fn commands() -> impl Strategy<Value = Vec<Command>> {
    let stream = 0..4_u8;
    let batch = prop::collection::vec((stream.clone(), 1..4_u8), 1..4);
    let command = prop_oneof![
        6 => (batch, prop::bool::weighted(0.3))
            .prop_map(|(batch, poisoned)| Command::Append { batch, poisoned }),
        1 => stream.clone().prop_map(Command::Abandon),
        2 => stream.clone().prop_map(Command::Cure),
        2 => stream.clone().prop_map(Command::Release),
        2 => stream.prop_map(Command::Discard),
        1 => any::<bool>().prop_map(Command::Kill),
        1 => Just(Command::Seize),
    ];
    prop::collection::vec(command, 1..24)
}

fn name(stream: u8) -> String {
    format!("streams/{stream}")
}

/// What should have become of a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Stream {
    applied: Vec<i64>,
    /// Of a parked stream: it begins with the event that cannot be applied.
    waiting: VecDeque<i64>,
}

/// All streams that there are, and their poison.
#[derive(Debug, Default)]
struct Model {
    streams: BTreeMap<String, Stream>,
    versions: BTreeMap<String, i64>,
    poison: BTreeSet<(String, i64)>,
}

impl Model {
    fn append(&mut self, stream: &str, poisoned: bool) {
        let version = self.versions.entry(stream.to_owned()).or_default();
        *version += 1;
        if poisoned {
            self.poison.insert((stream.to_owned(), *version));
        }
        let parked = !self.streams.entry(stream.to_owned()).or_default().waiting.is_empty();
        self.streams.get_mut(stream).unwrap().waiting.push_back(*version);
        if !parked {
            self.flow(stream);
        }
    }

    /// Applies what waits, up to the next poison.
    fn flow(&mut self, stream: &str) {
        let Some(it) = self.streams.get_mut(stream) else { return };
        while let Some(version) = it.waiting.front() {
            if self.poison.contains(&(stream.to_owned(), *version)) {
                return;
            }
            it.applied.extend(it.waiting.pop_front());
        }
    }

    fn is_parked(&self, stream: &str) -> bool {
        self.streams.get(stream).is_some_and(|it| !it.waiting.is_empty())
    }

    /// What is there.
    async fn of(pair: &Pair, names: impl Iterator<Item = &String>) -> BTreeMap<String, Stream> {
        let mut streams = BTreeMap::new();
        for name in names {
            let applied = pair.versions(name).await;
            streams.insert(name.clone(), Stream { applied, waiting: VecDeque::new() });
        }
        let sql = "SELECT event.stream, event.version FROM durable_parked_event AS event
            JOIN durable_parked_stream AS parked ON parked.consumer = event.consumer
                AND parked.stream = event.stream AND parked.status = 'parked'
            ORDER BY event.position";
        for row in pair.consumer.query(sql, params![]).await.unwrap() {
            let stream: String = row.get("stream").unwrap();
            let version = row.get("version").unwrap();
            streams.entry(stream).or_default().waiting.push_back(version);
        }
        streams
    }
}

struct World<'p> {
    pair: &'p Pair,
    poison: Poison,
    replicas: [Running; 2],
}

impl World<'_> {
    fn replica(pair: &Pair, poison: &Poison) -> Running {
        parking::start(pair.consumer().attempts(1).lease(LEASE), poison)
    }

    async fn apply(&mut self, command: &Command, model: &mut Model) {
        let store = &self.pair.consumer;
        match command {
            Command::Append { batch, poisoned } => self.append(batch, *poisoned, model).await,
            Command::Abandon(stream) => {
                let mut tx = self.pair.producer.begin().await.unwrap();
                let events = vec![new_event(&tick(0))];
                tx.append(&name(*stream), Expected::Any, events).await.unwrap();
                tx.rollback().await.unwrap();
            }
            Command::Cure(stream) => {
                self.poison.cure_stream(&name(*stream));
                model.poison.retain(|(poisoned, _)| *poisoned != name(*stream));
            }
            Command::Release(stream) => {
                let released = operate::release(store, "test", &name(*stream), BY).await;
                assert_eq!(released.is_ok(), model.is_parked(&name(*stream)), "{released:?}");
                model.flow(&name(*stream));
            }
            Command::Discard(stream) => self.discard(&name(*stream), model).await,
            Command::Kill(first) => {
                let replica = Self::replica(self.pair, &self.poison);
                self.replicas[usize::from(*first)] = replica;
            }
            Command::Seize => {
                let mut tx = store.begin().await.unwrap();
                let sql = "UPDATE durable_partition SET owner = '', epoch = epoch + 1";
                tx.execute(sql, params![]).await.unwrap();
                tx.commit().await.unwrap();
            }
        }
    }

    async fn append(&self, batch: &[(u8, u8)], poisoned: bool, model: &mut Model) {
        let mut versions = model.versions.clone();
        let mut tx = self.pair.producer.begin().await.unwrap();
        for (place, (stream, events)) in batch.iter().enumerate() {
            let stream = name(*stream);
            let samples = (0..*events).map(|id| new_event(&tick(id.into()))).collect();
            tx.append(&stream, Expected::Any, samples).await.unwrap();
            let version = versions.entry(stream.clone()).or_default();
            *version += i64::from(*events);
            let last_is_poison = poisoned && place == 0;
            if last_is_poison {
                // Before anybody can see it.
                self.poison.add(&stream, *version);
            }
            for event in 1..=*events {
                model.append(&stream, last_is_poison && event == *events);
            }
        }
        tx.commit().await.unwrap();
    }

    async fn discard(&self, stream: &str, model: &mut Model) {
        let parked = operate::parked(&self.pair.consumer, "test").await.unwrap();
        let position = parked.iter().find(|it| it.stream == stream).map(|it| it.position);
        let discarded = operate::discard(
            &self.pair.consumer,
            "test",
            stream,
            // Nobody waits for the first event if it is not this stream's.
            position.unwrap_or(1),
            BY,
        );
        let discarded = discarded.await;
        assert_eq!(discarded.is_ok(), model.is_parked(stream), "{discarded:?}");
        if let Some(it) = model.streams.get_mut(stream) {
            it.waiting.pop_front();
        }
        model.flow(stream);
    }

    /// Waits for what should happen; what should not would never go away again.
    async fn agrees(&self, model: &Model, after: &Command) {
        let found = || Model::of(self.pair, model.streams.keys());
        let agreed = tokio::time::timeout(Duration::from_secs(30), async {
            while found().await != model.streams {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        });
        if agreed.await.is_err() {
            assert_eq!(found().await, model.streams, "{} after {after:?}", self.pair.name);
        }
    }
}

async fn play(commands: &[Command]) {
    for pair in pairs().await {
        let poison = Poison::default();
        let replicas = [World::replica(&pair, &poison), World::replica(&pair, &poison)];
        let mut world = World { pair: &pair, poison, replicas };
        let mut model = Model::default();
        // So that whoever decides finds the consumer.
        let known = async {
            while operate::consumers(&pair.consumer).await.unwrap().is_empty() {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        within(known).await;
        for command in commands {
            world.apply(command, &mut model).await;
            world.agrees(&model, command).await;
        }
    }
}

#[test]
fn random_batches_and_decisions_do_what_queues_would() {
    let config = Config { cases: 8, failure_persistence: None, ..Config::default() };
    let random = TestRng::from_seed(RngAlgorithm::ChaCha, &[8; 32]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    TestRunner::new_with_rng(config, random)
        .run(&commands(), |commands| {
            runtime.block_on(play(&commands));
            Ok(())
        })
        .unwrap();
}
