//! The program that crashes: a service that starts a saga and tells of it in its
//! log, the participants of the saga, and a consumer of the log. Runs as a test
//! of its own name in a process of its own, and is nothing without its settings.

use std::{env, time::Duration};

use durable::{
    Consumer, Event, Expected, Migration, NewEvent, Store, Tx,
    consumer::HandlerError,
    crash,
    feed::Feed,
    params,
    saga::{self, Definition, Direction, Failure, Instance, Retry, Sagas, Step, StepContext},
    task::Worker,
};
use futures_util::future::BoxFuture;
use prost::Name;
use tokio::time::sleep;

/// Where the service and its participants keep their data, and what happens.
pub(crate) const STORE: &str = "TITAN_TEST_STORE";
pub(crate) const PARTICIPANTS: &str = "TITAN_TEST_PARTICIPANTS";
pub(crate) const SCENARIO: &str = "TITAN_TEST_SCENARIO";

/// What befalls the second of three steps.
pub(crate) const SCENARIOS: [&str; 3] = ["forward", "refused", "silent"];

pub(crate) const SERVICE: &[Migration] = &[Migration::new(
    1,
    "trips",
    "CREATE TABLE trip (id {text} PRIMARY KEY, state {text} NOT NULL);",
)];

/// `account` shows an effect that was made twice, or left over.
pub(crate) const OTHERS: &[Migration] = &[Migration::new(
    1,
    "participants",
    "CREATE TABLE booking (id {text} PRIMARY KEY, state {text} NOT NULL);
     CREATE TABLE account (step {text} PRIMARY KEY, charged {bigint} NOT NULL);
     CREATE TABLE told (stream {text} NOT NULL, version {bigint} NOT NULL, type {text} NOT NULL,
        correlation {text} NOT NULL);",
)];

/// The data of the saga.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Trip {
    #[prost(string, repeated, tag = "1")]
    pub(crate) booked: Vec<String>,
}

macro_rules! events {
    ($($event:ident),*) => {$(
        #[derive(Clone, PartialEq, prost::Message)]
        struct $event {}

        impl Name for $event {
            const NAME: &'static str = stringify!($event);
            const PACKAGE: &'static str = "trips";
        }
    )*};
}

events! { TripPlanned, FlightBooked, TripBooked, TripCancelled }

#[derive(Clone)]
struct World {
    store: Store,
    scenario: String,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn program() {
    let (Ok(store), Ok(others)) = (env::var(STORE), env::var(PARTICIPANTS)) else { return };
    let scenario = env::var(SCENARIO).unwrap_or_default();
    let store = Store::open(&store, SERVICE).await.unwrap();
    let others = Store::open(&others, OTHERS).await.unwrap();
    let feed = Feed::new(store.clone()).heartbeat(Duration::from_millis(50)).into_server();
    let consumer = tokio::spawn(Consumer::new("trips", feed, others.clone()).run(told));
    let worker = Worker::new(store.clone());
    let world = World { store: others.clone(), scenario };
    let sagas = Sagas::new(store.clone(), &worker).define(trip(world));
    let working = tokio::spawn(worker.run());
    // What the service is asked for; asked again after a crash, as clients do.
    plan(&store, &sagas).await.unwrap();
    println!("@planned");
    while !is_over(&store, &others).await {
        sleep(Duration::from_millis(5)).await;
    }
    println!("@over");
    working.abort();
    consumer.abort();
}

async fn plan(store: &Store, sagas: &Sagas) -> Result<(), durable::Error> {
    let mut tx = store.begin().await?;
    let sql = "INSERT INTO trip (id, state) VALUES ('t1', 'planned') ON CONFLICT (id) DO NOTHING";
    if tx.execute(sql, params![]).await? == 1 {
        tx.correlate("t1");
        tx.append("trips/t1", Expected::NoStream, vec![NewEvent::of(&TripPlanned {})]).await?;
    }
    sagas.start(&mut tx, "t1", &Trip::default()).await?;
    tx.commit().await
}

async fn is_over(store: &Store, others: &Store) -> bool {
    let saga = saga::get(store, "t1").await.unwrap();
    let count = async |store: &Store, sql: &'static str| -> i64 {
        store.query_one(sql, params![]).await.unwrap().unwrap().get("rows").unwrap()
    };
    saga.is_some_and(|saga| saga.status.is_final())
        && count(store, "SELECT count(*) AS rows FROM durable_event").await
            == count(others, "SELECT count(*) AS rows FROM told").await
}

fn trip(world: World) -> Definition<Trip, World> {
    const QUICK: Retry =
        Retry { attempts: 2, initial: Duration::from_millis(1), max: Duration::from_millis(2) };
    let undone = || Step::run(act).undo(act).retry(QUICK);
    Definition::new("trip", 1, world)
        .step("flight", undone().then(|tx, trip| append(tx, trip, &FlightBooked {}, None)))
        .step("hotel", undone())
        .pivot()
        .step("ticket", Step::run(act).without_undo("it is printed"))
        .completed(|tx, trip| append(tx, trip, &TripBooked {}, Some("booked")))
        .compensated(|tx, trip| append(tx, trip, &TripCancelled {}, Some("cancelled")))
}

/// An effect of the saga in the service's own state and log.
fn append<'a, M: prost::Message + Name>(
    tx: &'a mut Tx,
    trip: &'a Instance<Trip>,
    message: &M,
    state: Option<&'static str>,
) -> BoxFuture<'a, Result<(), HandlerError>> {
    let event = NewEvent::of(message);
    Box::pin(async move {
        tx.append(&format!("trips/{}", trip.id), Expected::Exists, vec![event]).await?;
        if let Some(state) = state {
            let sql = "UPDATE trip SET state = $2 WHERE id = $1";
            tx.execute(sql, params![&*trip.id, state]).await?;
        }
        Ok(())
    })
}

async fn act(world: World, step: StepContext, mut trip: Trip) -> Result<Trip, Failure> {
    let hotel = step.step == "hotel" && step.direction == Direction::Do;
    if hotel && world.scenario == "refused" {
        return Err(Failure::refused("SOLD_OUT", "no room"));
    }
    let unknown = |error: durable::Error| Failure::unknown(&error);
    let accepted = participate(&world.store, &step).await.map_err(unknown)?;
    if !accepted {
        return Err(Failure::refused("RELEASED", "it was undone before"));
    }
    if hotel && world.scenario == "silent" {
        return Err(Failure::Unknown("the answer is lost".into()));
    }
    match step.direction {
        Direction::Do => trip.booked.push(step.step.into()),
        Direction::Undo => trip.booked.retain(|booked| booked != step.step),
    }
    Ok(trip)
}

/// A participant as it must be: once per id, and never after it was undone.
async fn participate(store: &Store, step: &StepContext) -> Result<bool, durable::Error> {
    let id = format!("{}/{}", step.saga, step.step);
    let mut tx = store.begin().await?;
    let sql = "SELECT state FROM booking WHERE id = $1";
    let state = tx.query_one(sql, params![&id]).await?;
    let state: Option<String> = state.map(|row| row.get("state")).transpose()?;
    let (now, charge) = match (state.as_deref(), step.direction) {
        (None, Direction::Do) => ("booked", 1),
        (Some("booked"), Direction::Undo) => ("undone", -1),
        (None, Direction::Undo) => ("undone", 0),
        (Some(state), direction) => return Ok(state == "booked" || direction == Direction::Undo),
    };
    let sql = "INSERT INTO booking (id, state) VALUES ($1, $2)
        ON CONFLICT (id) DO UPDATE SET state = excluded.state";
    tx.execute(sql, params![id, now]).await?;
    let sql = "INSERT INTO account (step, charged) VALUES ($1, $2)
        ON CONFLICT (step) DO UPDATE SET charged = account.charged + excluded.charged";
    tx.execute(sql, params![step.step, charge]).await?;
    crash::point("participant.before_commit");
    tx.commit().await?;
    // From here on the effect is there and the answer may be lost.
    crash::point("participant.after_commit");
    Ok(true)
}

/// The consumer: one row per event that took effect.
fn told<'a>(tx: &'a mut Tx, event: &'a Event) -> BoxFuture<'a, Result<(), HandlerError>> {
    Box::pin(async move {
        let sql = "INSERT INTO told (stream, version, type, correlation) VALUES ($1, $2, $3, $4)";
        let Event { stream, version, kind, correlation, .. } = event;
        tx.execute(sql, params![stream, *version, kind, correlation]).await?;
        Ok(())
    })
}
