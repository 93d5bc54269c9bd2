//! Aggregates: decisions are made on the state that they are appended to, by one
//! writer or by many, with snapshots or without, on old events or new ones.

mod model;

use std::collections::BTreeSet;

use durable::{
    Conflict, Error, Expected, NewEvent, Store,
    aggregate::{Failure, Recorded, Repository},
    testing::{Backend, backends},
};
use tonic::Code;

use crate::jar::{AddedDozens, Empty, Happened, Jar, KeptJar, Opened};
use crate::support::within;

fn jars(store: &Store) -> Repository<Jar> {
    Repository::new(store.clone())
}

async fn fresh(backend: &Backend) -> Repository<Jar> {
    let jars = jars(&backend.open(&[]).await);
    jars.create("jars/1", vec![Happened::Opened, Happened::Added(10)]).await.unwrap();
    jars
}

async fn versions(store: &Store, stream: &str) -> Vec<i64> {
    let sql = "SELECT version FROM durable_event WHERE stream = $1 ORDER BY version";
    let rows = store.query(sql, durable::params![stream]).await.unwrap();
    rows.iter().map(|row| row.get("version").unwrap()).collect()
}

#[tokio::test]
async fn the_state_is_the_fold_of_what_was_decided() {
    for backend in backends().await {
        let jars = fresh(&backend).await;
        let taken = jars.update("jars/1", |jar| jar.state.take(4)).await.unwrap();
        assert_eq!(taken, Recorded { state: Jar::holding(6), version: 3 }, "{}", backend.name);
        assert_eq!(jars.load("jars/1").await.unwrap(), Some(taken));
        assert_eq!(jars.load("jars/2").await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_refusal_and_an_empty_decision_write_nothing() {
    for backend in backends().await {
        let jars = fresh(&backend).await;
        let refused = jars.update("jars/1", |jar| jar.state.take(11)).await;
        assert!(matches!(refused, Err(Failure::Refused(Empty))), "{}", backend.name);
        let same = jars.update("jars/1", |_| Ok::<_, Empty>(vec![])).await.unwrap();
        assert_eq!(same.version, 2);
        let missing = jars.update("jars/2", |jar| jar.state.take(0)).await;
        assert!(matches!(missing, Err(Failure::Missing)));
        assert_eq!(jars.load("jars/1").await.unwrap(), Some(same));
    }
}

#[tokio::test]
async fn a_stream_begins_once_and_with_its_first_event() {
    for backend in backends().await {
        let jars = fresh(&backend).await;
        let again = jars.create("jars/1", vec![Happened::Opened]).await.unwrap_err();
        assert!(matches!(again, Error::Conflict(Conflict::Version { actual: 2, .. })));
        assert_eq!(tonic::Status::from(again).code(), Code::Aborted, "{}", backend.name);
        let headless = jars.create("jars/2", vec![Happened::Added(1)]).await;
        assert!(matches!(headless, Err(Error::UnreadableStream { version: 1, .. })));
        assert_eq!(jars.load("jars/2").await.unwrap(), None);
    }
}

#[tokio::test]
async fn an_upsert_begins_what_is_not_there_and_changes_what_is() {
    fn open(jar: Option<&Recorded<Jar>>) -> Result<Vec<Happened>, Empty> {
        Ok(if jar.is_some() { vec![Happened::Added(1)] } else { vec![Happened::Opened] })
    }
    for backend in backends().await {
        let jars = jars(&backend.open(&[]).await);
        assert_eq!(jars.upsert("jars/1", open).await.unwrap().version, 1, "{}", backend.name);
        let added = jars.upsert("jars/1", open).await.unwrap();
        assert_eq!(added, Recorded { state: Jar::holding(1), version: 2 });
        let nothing = jars.upsert("jars/2", |_| Ok::<_, Empty>(vec![])).await;
        assert!(matches!(nothing, Err(Failure::Missing)));
    }
}

#[tokio::test]
async fn a_change_in_a_transaction_goes_with_it() {
    for backend in backends().await {
        let store = backend.open(&[]).await;
        let jars = jars(&store);
        let mut tx = store.begin().await.unwrap();
        jars.create_in(&mut tx, "jars/1", vec![Happened::Opened]).await.unwrap();
        let added = jars.update_in(&mut tx, "jars/1", |jar| jar.state.add(7)).await.unwrap();
        assert_eq!(jars.load_in(&mut tx, "jars/1").await.unwrap(), Some(added));
        // A refusal leaves the transaction as it was.
        jars.update_in(&mut tx, "jars/1", |jar| jar.state.take(8)).await.unwrap_err();
        jars.update_in(&mut tx, "jars/1", |jar| jar.state.take(7)).await.unwrap();
        assert_eq!(jars.load("jars/1").await.unwrap(), None, "{}", backend.name);
        tx.commit().await.unwrap();
        assert_eq!(jars.load("jars/1").await.unwrap().unwrap().version, 3);
    }
}

/// The append race: of all who expect the same version exactly one wins.
#[tokio::test]
async fn of_sixteen_writers_with_one_expected_version_one_wins_each_time() {
    const WRITERS: usize = 16;
    const ROUNDS: i64 = 8;
    for backend in backends().await {
        let stores = [backend.open(&[]).await, backend.open(&[]).await];
        jars(&stores[0]).create("jars/1", vec![Happened::Opened]).await.unwrap();
        for version in 1..=ROUNDS {
            let race = (0..WRITERS).map(|writer| {
                let store = stores[writer % 2].clone();
                tokio::spawn(async move {
                    let mut tx = store.begin().await?;
                    let added = vec![NewEvent::of(&crate::jar::Added { amount: 1 })];
                    tx.append("jars/1", Expected::Exact(version), added).await?;
                    tx.commit().await
                })
            });
            let mut won = 0;
            for writer in race.collect::<Vec<_>>() {
                match within(writer).await.unwrap() {
                    Ok(()) => won += 1,
                    Err(error) => assert_eq!(tonic::Status::from(error).code(), Code::Aborted),
                }
            }
            assert_eq!(won, 1, "{} at version {version}", backend.name);
        }
        let versions = versions(&stores[0], "jars/1").await;
        assert_eq!(versions, (1..=ROUNDS + 1).collect::<Vec<_>>(), "{}", backend.name);
    }
}

#[tokio::test]
async fn racing_decisions_are_made_again_on_what_the_others_left() {
    const WRITERS: usize = 16;
    for backend in backends().await {
        let stores = [backend.open(&[]).await, backend.open(&[]).await];
        let first = jars(&stores[0]);
        first.create("jars/1", vec![Happened::Opened, Happened::Added(40)]).await.unwrap();
        let race = (0..WRITERS).map(|writer| {
            let jars = jars(&stores[writer % 2]);
            tokio::spawn(async move { jars.update("jars/1", |jar| jar.state.take(5)).await })
        });
        let mut seen = BTreeSet::new();
        let mut refused = 0;
        for writer in race.collect::<Vec<_>>() {
            match within(writer).await.unwrap() {
                Ok(recorded) => assert!(seen.insert(recorded.version), "{}", backend.name),
                Err(Failure::Refused(Empty)) => refused += 1,
                Err(error) => panic!("{}: {error:?}", backend.name),
            }
        }
        // Forty hold eight times five: never less than nothing, and nothing left.
        assert_eq!((seen.len(), refused), (8, 8), "{}", backend.name);
        let left = first.load("jars/1").await.unwrap().unwrap();
        assert_eq!(left, Recorded { state: Jar::holding(0), version: 10 });
    }
}

#[tokio::test]
async fn what_was_at_a_time_is_found_again() {
    for backend in backends().await {
        let store = backend.open(&[]).await;
        let jars = jars(&store);
        jars.create("jars/1", vec![Happened::Opened]).await.unwrap();
        for amount in [1, 2, 4] {
            jars.update("jars/1", |jar| jar.state.add(amount)).await.unwrap();
        }
        // Times that a test can name: one second, two, three, four.
        let mut tx = store.begin().await.unwrap();
        let sql = "UPDATE durable_event SET time = version * 1000000";
        tx.execute(sql, durable::params![]).await.unwrap();
        tx.commit().await.unwrap();
        for (time, held) in [
            (999_999, None),
            (1_000_000, Some(0)),
            (2_500_000, Some(1)),
            (3_000_000, Some(3)),
            (i64::MAX, Some(7)),
        ] {
            let then = jars.at("jars/1", time).await.unwrap();
            let held: Option<Jar> = held.map(Jar::holding);
            assert_eq!(then.map(|jar| jar.state), held, "{} at {time}", backend.name);
        }
    }
}

#[tokio::test]
async fn an_old_event_is_read_as_what_it_means_today() {
    for backend in backends().await {
        let store = backend.open(&[]).await;
        let mut tx = store.begin().await.unwrap();
        let old = vec![NewEvent::of(&Opened {}), NewEvent::of(&AddedDozens { dozens: 2 })];
        tx.append("jars/1", Expected::NoStream, old).await.unwrap();
        tx.commit().await.unwrap();
        let jar = jars(&store).update("jars/1", |jar| jar.state.take(1)).await.unwrap();
        assert_eq!(jar, Recorded { state: Jar::holding(23), version: 3 }, "{}", backend.name);
    }
}

#[tokio::test]
async fn a_stream_with_a_stranger_or_a_hole_is_not_folded() {
    for backend in backends().await {
        let store = backend.open(&[]).await;
        let jars = jars(&store);
        for (stream, sql) in [
            (
                "jars/1",
                "UPDATE durable_event SET type = 'test.Stranger' WHERE stream = $1 AND version = 2",
            ),
            ("jars/2", "DELETE FROM durable_event WHERE stream = $1 AND version = 2"),
        ] {
            let events = vec![Happened::Opened, Happened::Added(1), Happened::Added(2)];
            jars.create(stream, events).await.unwrap();
            let mut tx = store.begin().await.unwrap();
            tx.execute(sql, durable::params![stream]).await.unwrap();
            tx.commit().await.unwrap();
            let error = jars.load(stream).await.unwrap_err();
            assert!(matches!(error, Error::UnreadableStream { .. }), "{}: {error:?}", backend.name);
            assert_eq!(tonic::Status::from(error).code(), Code::Internal);
        }
    }
}

#[tokio::test]
async fn a_snapshot_saves_folding_and_is_ignored_in_another_form() {
    for backend in backends().await {
        let store = backend.open(&[]).await;
        let kept: Repository<KeptJar> = Repository::new(store.clone());
        kept.create("jars/1", vec![Happened::Opened]).await.unwrap();
        for _ in 0..10 {
            let add = |jar: &Recorded<KeptJar>| jar.state.0.add(3);
            kept.update("jars/1", add).await.unwrap();
        }
        let sql = "SELECT version FROM durable_snapshot WHERE stream = 'jars/1'";
        let row = store.query_one(sql, vec![]).await.unwrap().unwrap();
        // Kept with every fourth event, so eight of eleven.
        assert_eq!(row.get::<i64>("version").unwrap(), 8, "{}", backend.name);
        let all = jars(&store).load("jars/1").await.unwrap().unwrap();
        let from_snapshot = kept.load("jars/1").await.unwrap().unwrap();
        assert_eq!((from_snapshot.state.0, from_snapshot.version), (all.state, all.version));

        // What stands in the snapshot is believed, so it is known to be used …
        let mut tx = store.begin().await.unwrap();
        let bytes = 1000_i64.to_be_bytes().to_vec();
        let sql = "UPDATE durable_snapshot SET data = $1";
        tx.execute(sql, durable::params![bytes]).await.unwrap();
        tx.commit().await.unwrap();
        let believed = kept.load("jars/1").await.unwrap().unwrap();
        assert_eq!(believed.state.0, Jar::holding(1009), "{}", backend.name);
        // … unless it is of another form, or damaged.
        for sql in [
            "UPDATE durable_snapshot SET form = form + 1",
            "UPDATE durable_snapshot SET form = form - 1, data = stream_bytes",
        ] {
            let sql = sql.replace("data = stream_bytes", "data = $1");
            let params = if sql.contains("$1") { durable::params![vec![1_u8]] } else { vec![] };
            let mut tx = store.begin().await.unwrap();
            tx.execute(sql, params).await.unwrap();
            tx.commit().await.unwrap();
            let folded = kept.load("jars/1").await.unwrap().unwrap();
            assert_eq!(folded.state.0, Jar::holding(30), "{}", backend.name);
        }
    }
}
