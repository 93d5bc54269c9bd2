//! Appends from several processes, within transactions and without: each has the
//! answer that is its own, and the log has no gap and no disorder whoever reads it
//! meanwhile.

mod batch;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
};

use durable::{Conflict, Error, Expected, NewEvent, Store, params, testing::backends};

use crate::support::{new_event, tick, within};

/// Stores on one database, as if each were a process.
const STORES: usize = 3;
const WRITERS: u64 = 8;
/// Appends of each writer.
const ROUNDS: usize = 40;
/// So few that everybody meets.
const STREAMS: u64 = 5;

fn ticks(events: i64) -> Vec<NewEvent> {
    (0..events).map(|id| new_event(&tick(id))).collect()
}

/// An append that was acknowledged, and when by a clock that all share.
struct Done {
    stream: String,
    last: i64,
    events: i64,
    began: u64,
    ended: u64,
}

struct Race {
    clock: AtomicU64,
    conflicts: AtomicU64,
    over: AtomicBool,
}

/// Appends what it likes where others do so as well.
async fn write(store: Store, race: Arc<Race>, seed: u64) -> Vec<Done> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut seen = BTreeMap::new();
    let mut done = Vec::new();
    for _ in 0..ROUNDS {
        let stream = format!("streams/{}", random.u64(0..STREAMS));
        let (events, known) = (random.i64(1..=3), seen.get(&stream).copied());
        let expected = match random.u8(0..4) {
            0 => Expected::Any,
            1 => Expected::NoStream,
            _ => known.map_or(Expected::Any, Expected::Exact),
        };
        let began = race.clock.fetch_add(1, SeqCst);
        let appended = if random.u8(0..3) == 0 {
            within_transaction(&store, &stream, expected, events, &mut random).await
        } else {
            store.append(&stream, expected, ticks(events)).await.map(|it| Some(it.version))
        };
        match appended {
            Ok(Some(last)) => {
                if let Expected::Exact(version) = expected {
                    assert_eq!(last, version + events, "it came after what it was decided on");
                }
                let ended = race.clock.fetch_add(1, SeqCst);
                seen.insert(stream.clone(), last);
                done.push(Done { stream, last, events, began, ended });
            }
            Ok(None) => {}
            Err(Error::Conflict(Conflict::Version { stream: refused, actual })) => {
                assert_eq!(refused, stream);
                let right = match expected {
                    Expected::NoStream => actual > 0,
                    Expected::Exact(version) => actual > version,
                    Expected::Any | Expected::Exists => false,
                };
                assert!(right, "{expected:?} was refused at {actual}");
                race.conflicts.fetch_add(1, SeqCst);
                seen.insert(stream, actual);
            }
            Err(error) => panic!("{error:?}"),
        }
    }
    done
}

/// `None` when it was rolled back.
async fn within_transaction(
    store: &Store,
    stream: &str,
    expected: Expected,
    events: i64,
    random: &mut fastrand::Rng,
) -> Result<Option<i64>, Error> {
    let mut tx = store.begin().await?;
    let appended = tx.append(stream, expected, ticks(events)).await?;
    for _ in 0..random.u8(0..20) {
        tokio::task::yield_now().await;
    }
    if random.u8(0..4) == 0 {
        tx.rollback().await?;
        return Ok(None);
    }
    tx.commit().await?;
    Ok(Some(appended.version))
}

/// Reads on and on: what comes next is the next, in the log and in its stream.
async fn follow(store: Store, race: Arc<Race>) -> BTreeMap<(String, i64), i64> {
    let sql = "SELECT position, stream, version FROM durable_event
        WHERE position > $1 ORDER BY position";
    let (mut found, mut last) = (BTreeMap::new(), 0);
    let mut versions: BTreeMap<String, i64> = BTreeMap::new();
    loop {
        let over = race.over.load(SeqCst);
        let rows = store.query(sql, params![last]).await.unwrap();
        for row in &rows {
            let stream: String = row.get("stream").unwrap();
            let (position, version) = (row.get("position").unwrap(), row.get("version").unwrap());
            assert_eq!(position, last + 1, "no position is skipped or comes late");
            last = position;
            let before = versions.insert(stream.clone(), version).unwrap_or(0);
            assert_eq!(version, before + 1, "{stream} is in order");
            found.insert((stream, version), position);
        }
        let sql = "SELECT count(*) AS n FROM durable_event WHERE position IS NULL";
        let left = store.query_one(sql, params![]).await.unwrap().unwrap();
        if over && rows.is_empty() && left.get::<i64>("n").unwrap() == 0 {
            return found;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn processes_that_race_for_the_same_streams_leave_a_log_without_gap_or_disorder() {
    for backend in backends().await {
        let mut stores = Vec::new();
        for _ in 0..STORES {
            stores.push(backend.open(&[]).await);
        }
        let race = Arc::new(Race {
            clock: AtomicU64::new(0),
            conflicts: AtomicU64::new(0),
            over: AtomicBool::new(false),
        });
        let following = tokio::spawn(follow(backend.open(&[]).await, race.clone()));
        let writers: Vec<_> = (0..WRITERS)
            .flat_map(|seed| stores.iter().cloned().map(move |store| (seed, store)))
            .enumerate()
            .map(|(number, (seed, store))| {
                tokio::spawn(write(store, race.clone(), seed * 100 + number as u64))
            })
            .collect();
        let mut done = Vec::new();
        for writer in writers {
            done.extend(within(writer).await.unwrap());
        }
        race.over.store(true, SeqCst);
        let found = within(following).await.unwrap();
        assert!(race.conflicts.load(SeqCst) > 0, "nobody met");
        check(backend.name, &done, &found);
    }
}

/// What was acknowledged is what is there, and who began after another's answer comes
/// after it.
fn check(name: &str, done: &[Done], found: &BTreeMap<(String, i64), i64>) {
    let mut acknowledged = BTreeSet::new();
    for one in done {
        for version in one.last - one.events + 1..=one.last {
            assert!(acknowledged.insert((one.stream.clone(), version)), "{name}: told twice");
        }
    }
    assert!(acknowledged.iter().eq(found.keys()), "{name}");
    let position = |one: &Done| found[&(one.stream.clone(), one.last)];
    let mut by_end: Vec<_> = done.iter().map(|one| (one.ended, position(one))).collect();
    by_end.sort_unstable();
    let mut by_begin: Vec<_> = done.iter().map(|one| (one.began, position(one))).collect();
    by_begin.sort_unstable();
    let (mut ended, mut greatest) = (by_end.into_iter().peekable(), 0);
    for (began, position) in by_begin {
        while let Some((_, before)) = ended.next_if(|(end, _)| *end < began) {
            greatest = greatest.max(before);
        }
        assert!(position > greatest, "{name}: {position} is before what was answered before");
    }
}
