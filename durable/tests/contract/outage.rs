//! PostgreSQL is stopped in each of its ways, and started again, while everything
//! is at work on it: what was answered OK is found afterwards, nothing happens
//! twice, and nobody has to be told to go on.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use durable::{
    Consumer, Error, Expected, Migration, Row, Store, Value,
    feed::Feed,
    params,
    saga::{self, Definition, Sagas, Status, Step},
    task::{Kind, NewTask, Worker},
    testing::{self, Stop},
};
use tokio::{task::JoinHandle, time::sleep};

use crate::{
    consumer::{EFFECTS, Running, effect},
    saga::Trip,
    support::{new_event, tick},
};

/// One row for each time that something took effect.
const DONE: &[Migration] =
    &[Migration::new(1, "done", "CREATE TABLE done (kind {text} NOT NULL, id {text} NOT NULL);")];

const WAYS: [Stop; 4] = [Stop::Smart, Stop::Fast, Stop::Immediate, Stop::Kill];
/// Answers between two stops: everything is at work again.
const BETWEEN: usize = 60;

/// What a caller asks for, again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Call {
    Append,
    AppendWithin,
    Enqueue,
    Start,
}

const CALLS: [Call; 4] = [Call::Append, Call::AppendWithin, Call::Enqueue, Call::Start];

/// What was answered.
#[derive(Default)]
struct Answers {
    ok: Mutex<BTreeSet<(Call, usize)>>,
    failed: AtomicUsize,
    over: AtomicBool,
}

impl Answers {
    fn ok(&self) -> usize {
        self.ok.lock().unwrap().len()
    }

    async fn until_more(&self, count: usize, when: &str) {
        let before = self.ok();
        until(&format!("{count} calls are answered {when}"), async || self.ok() >= before + count)
            .await;
    }

    fn failed(&self) -> usize {
        self.failed.load(SeqCst)
    }

    /// Numbers of the calls that were answered OK.
    fn of(&self, call: Call) -> Vec<usize> {
        let ok = self.ok.lock().unwrap();
        ok.iter().filter(|(it, _)| *it == call).map(|(_, number)| *number).collect()
    }
}

/// Waits for what comes by itself; far above what it takes on a busy machine.
async fn until(what: &str, check: impl AsyncFn() -> bool) {
    let give_up = Instant::now() + Duration::from_secs(100);
    while !check().await {
        assert!(Instant::now() < give_up, "waited in vain until {what}");
        sleep(Duration::from_millis(2)).await;
    }
}

#[derive(Clone)]
struct World {
    store: Store,
    sagas: Sagas,
    answers: Arc<Answers>,
}

impl World {
    async fn call(&self, call: Call, number: usize) -> Result<(), Error> {
        let event = vec![new_event(&tick(number as i64))];
        let id = format!("{call:?}/{number}");
        if call == Call::Append {
            return self.store.append(&id, Expected::NoStream, event).await.map(drop);
        }
        let mut tx = self.store.begin().await?;
        match call {
            Call::Append | Call::AppendWithin => {
                tx.append(&id, Expected::NoStream, event).await?;
            }
            Call::Enqueue => {
                tx.enqueue(NewTask::new("note", &id)).await?;
            }
            Call::Start => {
                self.sagas.start(&mut tx, &id, &Trip::default()).await?;
            }
        }
        tx.commit().await
    }

    /// Each thing is asked for once: whether it happened is unknown after a
    /// failure, and it must not have happened twice.
    fn calling(&self, call: Call) -> JoinHandle<()> {
        let world = self.clone();
        tokio::spawn(async move {
            for number in 0.. {
                if world.answers.over.load(SeqCst) {
                    return;
                }
                match world.call(call, number).await {
                    Ok(()) => {
                        world.answers.ok.lock().unwrap().insert((call, number));
                        // So that what follows from the calls keeps up with them.
                        sleep(Duration::from_millis(2)).await;
                    }
                    Err(Error::Unavailable(_)) => {
                        world.answers.failed.fetch_add(1, SeqCst);
                        sleep(Duration::from_millis(10)).await;
                    }
                    Err(error) => panic!("a caller cannot know what to do: {error:?}"),
                }
            }
        })
    }
}

/// Its two steps write through the transaction that notes their end.
fn noted() -> Definition<Trip, ()> {
    let step = || {
        Step::run(|(), _, trip| async { Ok(trip) }).without_undo("a test").then(|tx, saga| {
            Box::pin(async move {
                let row = params![&*saga.id];
                tx.execute("INSERT INTO done (kind, id) VALUES ('saga', $1)", row).await?;
                Ok(())
            })
        })
    };
    Definition::new("noted", 1, ()).step("first", step()).step("second", step())
}

fn worker(store: &Store) -> Worker {
    let kind = Kind::new("note").retry(Duration::from_millis(10), Duration::from_millis(200));
    let own = store.clone();
    Worker::new(store.clone()).kind(kind.attempts(u32::MAX), move |lease| {
        let store = own.clone();
        async move {
            let mut tx = store.begin().await?;
            let row = params![lease.key()];
            tx.execute("INSERT INTO done (kind, id) VALUES ('task', $1)", row).await?;
            lease.complete(&mut tx).await?;
            Ok(tx.commit().await?)
        }
    })
}

/// Asks until it is answered: each connection of the readers may be one of before.
async fn answered<T>(ask: impl AsyncFn() -> Result<T, Error>) -> T {
    for _ in 0..100 {
        match ask().await {
            Err(Error::Unavailable(_)) => sleep(Duration::from_millis(10)).await,
            answer => return answer.unwrap(),
        }
    }
    panic!("nobody answers")
}

async fn rows(store: &Store, sql: &'static str, params: Vec<Value>) -> Vec<Row> {
    answered(async || store.query(sql, params.clone()).await).await
}

async fn number(store: &Store, sql: &'static str) -> i64 {
    rows(store, sql, params![]).await[0].get("n").unwrap()
}

async fn until_zero(store: &Store, sql: &'static str) {
    until(sql, async || number(store, sql).await == 0).await;
}

/// How often each id is there.
async fn done(store: &Store, kind: &str) -> Vec<(String, i64)> {
    let sql = "SELECT id, count(*) AS n FROM done WHERE kind = $1 GROUP BY id";
    let rows = rows(store, sql, params![kind]).await;
    rows.iter().map(|row| (row.get("id").unwrap(), row.get("n").unwrap())).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_stopped_in_any_way_forgets_nothing_and_nothing_happens_twice() {
    let Some(server) = testing::postgres() else { return };
    let (one, two) = (server.database().await, server.database().await);
    let (store, other) = (one.open(DONE).await, two.open(EFFECTS).await);
    let feed = Feed::new(store.clone()).heartbeat(Duration::from_millis(50)).into_server();
    let consumer = Consumer::new("test", feed, other.clone());
    let _consuming = Running(tokio::spawn(consumer.run(effect)));
    let worker = worker(&store);
    let sagas = Sagas::new(store.clone(), &worker).define(noted());
    let _working = Running(tokio::spawn(worker.run()));
    let world = World { store: store.clone(), sagas, answers: Arc::default() };
    let calling = CALLS.map(|call| world.calling(call));

    let answers = &world.answers;
    let mut stops = 0;
    for way in WAYS {
        answers.until_more(BETWEEN, &format!("before {way:?}")).await;
        let before = answers.failed();
        server.stop(way);
        if way == Stop::Smart {
            // Who is connected stays so, and is served.
            answers.until_more(BETWEEN, "by a server that waits for its end").await;
            server.stop(Stop::Fast);
        }
        until("a call has failed", async || answers.failed() > before).await;
        stops += 1;
    }
    answers.until_more(BETWEEN, "in the end").await;
    answers.over.store(true, SeqCst);
    for caller in calling {
        caller.await.unwrap();
    }
    assert!(stops == WAYS.len() && answers.failed() >= stops, "nothing was harmed");

    appended(&store, &other, answers).await;
    tasks_are_done(&store, answers).await;
    sagas_are_over(&store, answers).await;
}

async fn appended(store: &Store, other: &Store, answers: &Answers) {
    until_zero(store, "SELECT count(*) AS n FROM durable_event WHERE position IS NULL").await;
    let events = rows(store, "SELECT stream FROM durable_event", params![]).await;
    let found: BTreeSet<String> = events.iter().map(|row| row.get("stream").unwrap()).collect();
    assert_eq!(found.len(), events.len(), "an event was appended twice");
    for call in [Call::Append, Call::AppendWithin] {
        for number in answers.of(call) {
            assert!(found.contains(&format!("{call:?}/{number}")), "{call:?}/{number} is lost");
        }
    }
    let effects = "SELECT count(*) AS n FROM effect";
    until("all is applied", async || number(other, effects).await >= events.len() as i64).await;
    let rows = rows(other, "SELECT position FROM effect ORDER BY position", params![]).await;
    let positions: Vec<i64> = rows.iter().map(|row| row.get("position").unwrap()).collect();
    assert!(positions.iter().copied().eq(1..=found.len() as i64), "{positions:?}");
}

async fn tasks_are_done(store: &Store, answers: &Answers) {
    until_zero(store, "SELECT count(*) AS n FROM durable_task WHERE kind = 'note'").await;
    let done = done(store, "task").await;
    assert!(done.iter().all(|(_, times)| *times == 1), "a task took effect twice: {done:?}");
    let done: BTreeSet<_> = done.into_iter().map(|(id, _)| id).collect();
    for number in answers.of(Call::Enqueue) {
        assert!(done.contains(&format!("Enqueue/{number}")), "Enqueue/{number} is lost");
    }
}

async fn sagas_are_over(store: &Store, answers: &Answers) {
    until_zero(store, "SELECT count(*) AS n FROM durable_task WHERE kind = 'saga'").await;
    assert_eq!(answered(async || saga::unfinished(store).await).await, []);
    let done = done(store, "saga").await;
    assert!(done.iter().all(|(_, times)| *times == 2), "each of two steps once: {done:?}");
    for number in answers.of(Call::Start) {
        let id = format!("Start/{number}");
        let saga = answered(async || saga::get(store, &id).await).await;
        assert_eq!(saga.map(|it| it.status), Some(Status::Completed), "Start/{number}");
    }
}
