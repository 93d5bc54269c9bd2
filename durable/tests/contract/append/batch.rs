//! What PostgreSQL is given in one statement: each append of it succeeds and fails
//! alone, and nobody is told of what is not there.

use std::{
    collections::{BTreeMap, BTreeSet},
    pin::pin,
    time::Duration,
};

use durable::{
    Conflict, Error, Expected, Store, Tx, params,
    testing::{Backend, backends},
};
use futures_util::{FutureExt as _, future::join_all};
use tokio::{task::JoinHandle, time::sleep};

use super::ticks;
use crate::support::within;

/// The server, where there is one: on SQLite there are no such batches.
async fn server() -> Option<Backend> {
    backends().await.into_iter().find(|backend| backend.name == "postgres")
}

/// As long as it is there, no append gets a position, so that a batch is on its way
/// and what comes meanwhile is the next.
async fn hold(store: &Store) -> Tx {
    let mut tx = store.begin().await.unwrap();
    tx.query("SELECT position FROM durable_sequencer FOR UPDATE", params![]).await.unwrap();
    tx
}

/// Until this batch waits at the server.
async fn until_it_waits(store: &Store) {
    let sql = "SELECT count(*) AS n FROM pg_stat_activity
        WHERE datname = current_database() AND query LIKE '%FROM durable_append_%'
          AND wait_event_type = 'Lock'";
    within(async {
        while store.query_one(sql, params![]).await.unwrap().unwrap().get::<i64>("n").unwrap() == 0
        {
            sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}

fn append(store: &Store, stream: &str, expected: Expected) -> JoinHandle<Result<i64, Error>> {
    let (store, stream) = (store.clone(), stream.to_owned());
    tokio::spawn(async move {
        store.append(&stream, expected, ticks(1)).await.map(|appended| appended.version)
    })
}

/// Versions by stream, and how many transactions wrote them.
async fn written(store: &Store) -> (BTreeMap<String, i64>, i64) {
    let sql = "SELECT stream, max(version) AS version FROM durable_event GROUP BY stream";
    let rows = store.query(sql, params![]).await.unwrap();
    let versions = rows.iter().map(|row| (row.get("stream").unwrap(), row.get("version").unwrap()));
    let sql = "SELECT count(DISTINCT xmin::text) AS n FROM durable_event";
    let row = store.query_one(sql, params![]).await.unwrap().unwrap();
    (versions.collect(), row.get("n").unwrap())
}

/// Lets everything wait behind one append, and go on together. A task that has been
/// spawned has asked when others of its runtime have had their turn.
async fn together<T>(store: &Store, begin: impl FnOnce() -> T) -> T {
    let held = hold(store).await;
    let first = append(store, "streams/first", Expected::Any);
    until_it_waits(store).await;
    let begun = begin();
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    held.rollback().await.unwrap();
    within(first).await.unwrap().unwrap();
    begun
}

#[tokio::test]
async fn what_comes_meanwhile_is_one_transaction_and_a_conflict_leaves_its_neighbours() {
    let Some(backend) = server().await else { return };
    let store = backend.open(&[]).await;
    let appends = together(&store, || {
        let mut appends = Vec::new();
        for number in 0..20 {
            let stream = format!("streams/{number}");
            appends.push((number, 0, append(&store, &stream, Expected::NoStream)));
            appends.push((number, 1, append(&store, &stream, Expected::NoStream)));
            appends.push((number, 2, append(&store, &stream, Expected::Exact(1))));
            appends.push((number, 3, append(&store, &stream, Expected::Exact(7))));
        }
        appends
    })
    .await;
    for (number, kind, append) in appends {
        match (kind, within(append).await.unwrap()) {
            (0, Ok(1)) | (2, Ok(2)) => {}
            (1, Err(Error::Conflict(Conflict::Version { stream, actual: 1 }))) => {
                assert_eq!(stream, format!("streams/{number}"));
            }
            (3, Err(Error::Conflict(Conflict::Version { actual: 2, .. }))) => {}
            (kind, answer) => panic!("{kind}: {answer:?}"),
        }
    }
    let (versions, transactions) = written(&store).await;
    assert_eq!(versions.values().sum::<i64>(), 41);
    assert_eq!(transactions, 2, "the first, and all others in one");
}

#[tokio::test]
async fn what_the_database_refuses_hurts_nobody_but_who_asked_for_it() {
    let Some(backend) = server().await else { return };
    let store = backend.open(&[]).await;
    let appends = together(&store, || {
        ["streams/a", "streams/\0", "streams/b"].map(|it| append(&store, it, Expected::NoStream))
    })
    .await;
    let [a, refused, b] = appends;
    assert_eq!(within(a).await.unwrap().unwrap(), 1);
    assert!(matches!(within(refused).await.unwrap(), Err(Error::Database(_))));
    assert_eq!(within(b).await.unwrap().unwrap(), 1);
}

#[tokio::test]
async fn a_stream_that_a_transaction_has_keeps_no_other_waiting() {
    let Some(backend) = server().await else { return };
    let store = backend.open(&[]).await;
    for crowd in [1, 5] {
        let (taken, free) = (format!("taken/{crowd}"), format!("free/{crowd}"));
        let mut tx = store.begin().await.unwrap();
        tx.append(&taken, Expected::NoStream, ticks(1)).await.unwrap();
        let waiting: Vec<_> =
            (0..crowd).map(|_| append(&store, &taken, Expected::Exists)).collect();
        assert_eq!(within(append(&store, &free, Expected::NoStream)).await.unwrap().unwrap(), 1);
        assert!(waiting.iter().all(|append| !append.is_finished()));
        tx.commit().await.unwrap();
        let mut versions = BTreeSet::new();
        for append in waiting {
            versions.insert(within(append).await.unwrap().unwrap());
        }
        assert!(versions.into_iter().eq(2..=crowd + 1));
    }
}

#[tokio::test]
async fn an_append_that_nobody_waits_for_any_more_is_not_written() {
    let Some(backend) = server().await else { return };
    let store = backend.open(&[]).await;
    let held = hold(&store).await;
    let first = append(&store, "streams/first", Expected::Any);
    until_it_waits(&store).await;
    {
        let mut left = pin!(store.append("streams/left", Expected::Any, ticks(1)));
        assert!(left.as_mut().now_or_never().is_none());
    }
    let last = append(&store, "streams/last", Expected::Any);
    held.rollback().await.unwrap();
    within(first).await.unwrap().unwrap();
    within(last).await.unwrap().unwrap();
    let (versions, _) = written(&store).await;
    assert!(versions.keys().eq(["streams/first", "streams/last"]), "{versions:?}");
}

/// Ends the connections that append; answers how many.
async fn kill(store: &Store) -> i64 {
    let sql = "SELECT count(pg_terminate_backend(pid)) AS n FROM pg_stat_activity
        WHERE datname = current_database() AND query LIKE '%FROM durable_append_%'
          AND state = 'active' AND pid <> pg_backend_pid()";
    store.query_one(sql, params![]).await.unwrap().unwrap().get("n").unwrap()
}

#[tokio::test]
async fn a_batch_whose_connection_is_killed_is_nobodys_success() {
    let Some(backend) = server().await else { return };
    let store = backend.open(&[]).await;
    let held = hold(&store).await;
    let first = append(&store, "streams/first", Expected::Any);
    until_it_waits(&store).await;
    let next: Vec<_> =
        (0..10).map(|it| append(&store, &format!("streams/{it}"), Expected::Any)).collect();
    assert_eq!(kill(&store).await, 1);
    assert!(matches!(within(first).await.unwrap(), Err(Error::Unavailable(_))));
    // The next batch opens another connection.
    until_it_waits(&store).await;
    assert_eq!(kill(&store).await, 1);
    for append in next {
        assert!(matches!(within(append).await.unwrap(), Err(Error::Unavailable(_))));
    }
    held.rollback().await.unwrap();
    assert_eq!(written(&store).await.0, BTreeMap::new());
    assert_eq!(within(append(&store, "streams/a", Expected::NoStream)).await.unwrap().unwrap(), 1);
    assert_eq!(store.position_of("streams/a", 1).await.unwrap(), Some(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whenever_a_connection_is_killed_what_was_acknowledged_is_there_and_nothing_is_twice() {
    let Some(backend) = server().await else { return };
    let (store, killer) = (backend.open(&[]).await, backend.open(&[]).await);
    let writing = (0..24).map(|writer| {
        let store = store.clone();
        tokio::spawn(async move {
            let (mut acknowledged, mut failed) = (Vec::new(), 0);
            for round in 0..60 {
                let stream = format!("streams/{writer}-{round}");
                match store.append(&stream, Expected::NoStream, ticks(2)).await {
                    Ok(_) => acknowledged.push(stream),
                    Err(Error::Unavailable(_)) => failed += 1,
                    Err(error) => panic!("{error:?}"),
                }
            }
            (acknowledged, failed)
        })
    });
    let writing: Vec<_> = writing.collect();
    let mut kills = 0;
    while writing.iter().any(|writer| !writer.is_finished()) {
        kills += kill(&killer).await;
        sleep(Duration::from_millis(5)).await;
    }
    let (mut acknowledged, mut failed) = (BTreeSet::new(), 0);
    for outcome in join_all(writing).await {
        let (streams, failures) = outcome.unwrap();
        acknowledged.extend(streams);
        failed += failures;
    }
    assert!(kills > 0 && failed > 0, "{kills} kills, {failed} failures");
    let (versions, _) = written(&store).await;
    assert!(versions.values().all(|version| *version == 2), "an append is whole, and there once");
    let lost: Vec<_> = acknowledged.iter().filter(|it| !versions.contains_key(*it)).collect();
    assert!(lost.is_empty(), "{lost:?}");
    let sql = "SELECT position FROM durable_event ORDER BY position";
    let rows = store.query(sql, params![]).await.unwrap();
    let positions = rows.iter().map(|row| row.get::<i64>("position").unwrap());
    assert!(positions.eq(1..=2 * versions.len() as i64), "positions have no gap");
}

/// The position that the event gets.
async fn position(store: &Store, stream: &str) -> i64 {
    within(async {
        loop {
            if let Some(position) = store.position_of(stream, 1).await.unwrap() {
                return position;
            }
            sleep(Duration::from_millis(1)).await;
        }
    })
    .await
}

#[tokio::test]
async fn what_was_committed_without_a_position_comes_first_however_much_it_is() {
    let Some(backend) = server().await else { return };
    let store = backend.open(&[]).await;
    let mut before = 0;
    for (round, events) in [1, 30, 2_500].into_iter().enumerate() {
        for crowd in [1, 4] {
            let held = hold(&store).await;
            let mut tx = store.begin().await.unwrap();
            let stream = format!("within/{round}-{crowd}");
            tx.append(&stream, Expected::NoStream, ticks(events)).await.unwrap();
            tx.commit().await.unwrap();
            let stream = |number| format!("alone/{round}-{crowd}-{number}");
            let alone: Vec<_> = (0..crowd)
                .map(|number| append(&store, &stream(number), Expected::NoStream))
                .collect();
            until_it_waits(&store).await;
            held.rollback().await.unwrap();
            let mut last = 0;
            for append in alone {
                within(append).await.unwrap().unwrap();
            }
            for number in 0..crowd {
                let position = position(&store, &stream(number)).await;
                assert!(position > before + events, "{position} after {before} and {events}");
                last = last.max(position);
            }
            assert_eq!(last, before + events + crowd);
            before = last;
        }
    }
}
