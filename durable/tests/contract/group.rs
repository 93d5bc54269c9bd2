//! Transactions that share a commit do not hurt each other, and none is told of
//! success before it is there.

use std::collections::BTreeSet;

use durable::{Conflict, Error, Expected, Migration, NewEvent, Store, params, testing::backends};
use futures_util::future::join_all;
use proptest::{prelude::*, strategy::ValueTree as _, test_runner::TestRunner};

use crate::support::{new_event, tick, within};

const NOTES: &[Migration] =
    &[Migration::new(1, "notes", "CREATE TABLE note (id {bigint} NOT NULL UNIQUE)")];

fn ticks(ids: impl IntoIterator<Item = i64>) -> Vec<NewEvent> {
    ids.into_iter().map(|id| new_event(&tick(id))).collect()
}

/// What one of many concurrent writers does.
#[derive(Clone, Debug)]
enum Act {
    /// Appends this many events to one of a few streams, alone.
    Append(u8, i64),
    /// Appends with a version that the stream never has.
    Mistaken(u8),
    /// Writes a note and an event in one transaction.
    Note(i64, u8),
    /// The same, and leaves it.
    Dropped(i64, u8),
    /// The same, and undoes it.
    Undone(i64, u8),
    /// The same, and then a statement that is refused.
    Refused(i64, u8),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let (stream, note) = (0_u8..3, 0_i64..12);
    let act = prop_oneof![
        (stream.clone(), 1_i64..4).prop_map(|(stream, events)| Act::Append(stream, events)),
        stream.clone().prop_map(Act::Mistaken),
        (note.clone(), stream.clone()).prop_map(|(note, stream)| Act::Note(note, stream)),
        (note.clone(), stream.clone()).prop_map(|(note, stream)| Act::Dropped(note, stream)),
        (note.clone(), stream.clone()).prop_map(|(note, stream)| Act::Undone(note, stream)),
        (note, stream).prop_map(|(note, stream)| Act::Refused(note, stream)),
    ];
    proptest::collection::vec(act, 1..24)
}

fn name(stream: u8) -> String {
    format!("streams/{stream}")
}

/// The events and the notes that were acknowledged.
type Acknowledged = (Vec<(String, i64)>, Option<i64>);

async fn perform(store: Store, act: Act) -> Result<Acknowledged, Error> {
    match act {
        Act::Append(stream, events) => {
            let stream = name(stream);
            let last = store.append(&stream, Expected::Any, ticks(0..events)).await?.version;
            Ok((
                (last - events + 1..=last).map(|version| (stream.clone(), version)).collect(),
                None,
            ))
        }
        Act::Mistaken(stream) => {
            let outcome = store.append(&name(stream), Expected::Exact(1_000), ticks([0])).await;
            assert!(matches!(outcome, Err(Error::Conflict(Conflict::Version { .. }))));
            Ok((Vec::new(), None))
        }
        Act::Note(note, stream) => {
            let (tx, event) = write(&store, note, stream).await?;
            tx.commit().await?;
            Ok((vec![event], Some(note)))
        }
        Act::Dropped(note, stream) => {
            drop(write(&store, note, stream).await?);
            Ok((Vec::new(), None))
        }
        Act::Undone(note, stream) => {
            write(&store, note, stream).await?.0.rollback().await?;
            Ok((Vec::new(), None))
        }
        Act::Refused(note, stream) => {
            let (mut tx, _) = write(&store, note, stream).await?;
            let again = tx.execute("INSERT INTO note (id) VALUES ($1)", params![note]).await;
            assert!(again.unwrap_err().is_duplicate("note", "id"));
            assert!(matches!(tx.commit().await, Err(Error::Broken)));
            Ok((Vec::new(), None))
        }
    }
}

async fn write(
    store: &Store,
    note: i64,
    stream: u8,
) -> Result<(durable::Tx, (String, i64)), Error> {
    let mut tx = store.begin().await?;
    tx.execute("INSERT INTO note (id) VALUES ($1)", params![note]).await?;
    let stream = name(stream);
    let version = tx.append(&stream, Expected::Any, ticks([note])).await?.version;
    Ok((tx, (stream, version)))
}

/// All at once, so that they share commits; then what is there is exactly what
/// was acknowledged.
async fn check(store: Store, acts: Vec<Act>) {
    let tasks: Vec<_> =
        acts.into_iter().map(|act| tokio::spawn(perform(store.clone(), act))).collect();
    let (mut events, mut notes) = (BTreeSet::new(), BTreeSet::new());
    for task in tasks {
        match within(task).await.unwrap() {
            Ok((appended, note)) => {
                for event in appended {
                    assert!(events.insert(event), "no event is acknowledged twice");
                }
                notes.extend(note);
            }
            Err(error) => assert!(error.is_duplicate("note", "id"), "{error:?}"),
        }
    }
    let sql = "SELECT stream, version FROM durable_event";
    let rows = store.query(sql, params![]).await.unwrap();
    let found: BTreeSet<(String, i64)> =
        rows.iter().map(|row| (row.get("stream").unwrap(), row.get("version").unwrap())).collect();
    assert_eq!(found, events);
    let rows = store.query("SELECT id FROM note", params![]).await.unwrap();
    let found: BTreeSet<i64> = rows.iter().map(|row| row.get("id").unwrap()).collect();
    assert_eq!(found, notes);
    if store.dialect() == durable::Dialect::Sqlite {
        let sql = "SELECT position FROM durable_event ORDER BY position";
        let rows = store.query(sql, params![]).await.unwrap();
        let positions = rows.iter().map(|row| row.get::<i64>("position").unwrap());
        assert!(positions.eq(1..=i64::try_from(events.len()).unwrap()), "positions have no gap");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_there_is_what_was_acknowledged_whatever_fails_beside_it() {
    // Fixed seeds: what fails here fails everywhere.
    let mut runner = TestRunner::deterministic();
    for _ in 0..16 {
        let acts = acts().new_tree(&mut runner).unwrap().current();
        for backend in backends().await {
            check(backend.open(NOTES).await, acts.clone()).await;
        }
    }
}

#[tokio::test]
async fn appends_at_the_same_time_are_numbered_in_the_order_of_their_answers() {
    for backend in backends().await {
        let store = backend.open(&[]).await;
        let appends = (0..200).map(|id| store.append("streams/one", Expected::Any, ticks([id])));
        let mut versions = BTreeSet::new();
        for appended in join_all(appends.collect::<Vec<_>>()).await {
            let appended = appended.unwrap();
            assert!(versions.insert(appended.version), "{}", backend.name);
            // One stream alone in the log: both count the same.
            assert!(appended.position.is_none_or(|position| position == appended.version));
        }
        assert!(versions.into_iter().eq(1..=200), "{}", backend.name);
    }
}

#[tokio::test]
async fn a_transaction_that_has_done_nothing_holds_up_no_commit() {
    for backend in backends().await {
        let store = backend.open(NOTES).await;
        let idle = store.begin().await.unwrap();
        let mut tx = store.begin().await.unwrap();
        tx.execute("INSERT INTO note (id) VALUES (1)", params![]).await.unwrap();
        let (committed, begun) = tokio::join!(within(tx.commit()), within(store.begin()));
        committed.unwrap();
        begun.unwrap().commit().await.unwrap();
        idle.commit().await.unwrap();
    }
}

#[tokio::test]
async fn an_event_has_a_position_soon_after_its_commit() {
    for backend in backends().await {
        let store = backend.open(&[]).await;
        assert_eq!(store.position_of("streams/one", 1).await.unwrap(), None);
        let appended =
            store.append("streams/one", Expected::NoStream, ticks([1, 2])).await.unwrap();
        assert_eq!(appended.version, 2);
        assert_eq!(appended.position, Some(2), "{}", backend.name);
        let mut tx = store.begin().await.unwrap();
        let within_tx = tx.append("streams/one", Expected::Exact(2), ticks([3])).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(within_tx.position.is_some(), backend.name == "sqlite");
        let position = within(async {
            loop {
                if let Some(position) = store.position_of("streams/one", 3).await.unwrap() {
                    return position;
                }
                tokio::task::yield_now().await;
            }
        });
        assert_eq!(position.await, 3, "{}", backend.name);
    }
}
