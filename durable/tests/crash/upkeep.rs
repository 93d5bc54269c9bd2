//! A replica that dies while it keeps its log small: the next one finds the file of
//! the archive that was written, and nothing is lost, archived twice, or removed
//! before the archive has it.

use std::{
    collections::BTreeMap, env, os::unix::process::ExitStatusExt as _, path::Path, time::Duration,
};

use durable::{
    Expected, NewEvent, Store, archive, params, time,
    upkeep::{Kept, Upkeep},
};
use tokio::time::{sleep, timeout};

use crate::{
    process::{Case, cases, finish},
    program::{SERVICE, STORE, Trip},
};

/// Names the folder of the archive.
const ARCHIVE: &str = "TITAN_TEST_ARCHIVE";
const SIGABRT: i32 = 6;

/// In more than the 90 days for which events are kept.
fn later() -> i64 {
    time::now() + 100 * 86_400_000_000
}

/// A round of upkeep of the store that another has filled.
#[tokio::test]
async fn keeper() {
    let (Ok(url), Ok(folder)) = (env::var(STORE), env::var(ARCHIVE)) else { return };
    let store = Store::open(&url, SERVICE).await.unwrap();
    let kept = Kept { archive: Some(folder.into()), ..Kept::default() };
    let upkeep = Upkeep::new(store.clone(), kept).shorten([""]).with_clock(later);
    let done = upkeep.round().await.unwrap();
    println!("@{} {}", done.archived, done.events);
    store.close().await;
}

/// What a round leaves behind.
#[derive(Debug, PartialEq)]
struct Left {
    log: Vec<(i64, String)>,
    archive: Vec<(i64, String)>,
    files: Vec<String>,
    marks: (i64, i64),
}

/// Two streams of some events, all of which have their positions.
async fn fill(store: &Store) {
    for number in 0..9 {
        let event = NewEvent::of(&Trip { booked: vec![number.to_string()] });
        let mut tx = store.begin().await.unwrap();
        let stream = ["trips/a", "trips/b"][number % 2];
        tx.append(stream, Expected::Any, vec![event]).await.unwrap();
        tx.commit().await.unwrap();
    }
    let numbered = async {
        let sql = "SELECT count(position) AS n FROM durable_event";
        while store.query_one(sql, params![]).await.unwrap().unwrap().get::<i64>("n").unwrap() < 9 {
            sleep(Duration::from_millis(2)).await;
        }
    };
    timeout(Duration::from_secs(60), numbered).await.expect("positions are given");
}

async fn left(case: &Case, folder: &Path) -> Left {
    let store = case.service().await;
    let rows = "SELECT position, stream, version FROM durable_event ORDER BY position";
    let rows = store.query(rows, params![]).await.unwrap();
    let name = |row: &durable::Row| {
        let (stream, version): (String, i64) =
            (row.get("stream").unwrap(), row.get("version").unwrap());
        (row.get("position").unwrap(), format!("{stream}@{version}"))
    };
    let log = rows.iter().map(name).collect();
    let marks = "SELECT archived, removed FROM durable_upkeep";
    let marks = store.query_one(marks, params![]).await.unwrap().unwrap();
    let marks = (marks.get("archived").unwrap(), marks.get("removed").unwrap());
    store.close().await;
    let events = archive::events(folder, 0).unwrap().map(Result::unwrap);
    let archive = events.map(|event| (event.position, event.reference())).collect();
    let files = std::fs::read_dir(folder).unwrap();
    let files = files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    Left { log, archive, files, marks }
}

/// A store that was filled, with a folder for its archive.
async fn filled(backend: Option<&str>) -> Vec<(Case, tempfile::TempDir)> {
    let mut all = Vec::new();
    for case in cases("forward").await {
        if backend.is_some_and(|name| name != case.name()) {
            continue;
        }
        let store = case.service().await;
        fill(&store).await;
        store.close().await;
        all.push((case, tempfile::tempdir().unwrap()));
    }
    all
}

/// Runs the keeper; whether it died, and what it said.
async fn keep(case: &Case, folder: &Path, setting: (&str, &str)) -> (bool, Vec<String>) {
    let folder = folder.to_str().unwrap();
    let (status, words) =
        finish(case.test("upkeep::keeper", &[], &[(ARCHIVE, folder), setting])).await;
    let died = status.signal() == Some(SIGABRT);
    assert!(died || status.success(), "{}: {status} {setting:?}", case.name());
    (died, words)
}

/// The lease of whoever died has run out.
async fn free_the_turn(case: &Case) {
    let store = case.service().await;
    let mut tx = store.begin().await.unwrap();
    tx.execute("UPDATE durable_upkeep SET alive_until = 0", params![]).await.unwrap();
    tx.commit().await.unwrap();
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_at_any_point_of_a_round_loses_no_event_and_archives_none_twice() {
    let mut crashes: BTreeMap<String, u32> = BTreeMap::new();
    for (case, folder) in filled(None).await {
        let list = folder.path().join("points");
        let into = folder.path().join("archive");
        let (_, words) = keep(&case, &into, ("TITAN_CRASH_LIST", list.to_str().unwrap())).await;
        assert_eq!(words, ["9 7"], "{}", case.name());
        let undisturbed = left(&case, &into).await;
        assert_eq!(undisturbed.archive.len(), 9, "{}", case.name());

        let mut passed: BTreeMap<String, u32> = BTreeMap::new();
        for point in std::fs::read_to_string(list).unwrap().lines() {
            *passed.entry(point.to_owned()).or_default() += 1;
        }
        assert_eq!(passed.get("upkeep.archived"), Some(&1), "{passed:?}");
        for (point, number) in
            passed.iter().flat_map(|(point, times)| (1..=*times).map(move |n| (point, n)))
        {
            let place = format!("{point}:{number}");
            let (case, folder) = filled(Some(case.name())).await.remove(0);
            let died = keep(&case, folder.path(), ("TITAN_CRASH_AT", &place)).await.0;
            if died {
                free_the_turn(&case).await;
                keep(&case, folder.path(), ("TITAN_CRASH_AT", "nowhere")).await;
            }
            assert_eq!(left(&case, folder.path()).await, undisturbed, "{} {place}", case.name());
            *crashes.entry(point.clone()).or_default() += u32::from(died);
        }
    }
    println!("crashes by point of a round of upkeep: {crashes:#?}");
    assert!(crashes.get("upkeep.archived").is_some_and(|crashes| *crashes > 0), "{crashes:?}");
}
