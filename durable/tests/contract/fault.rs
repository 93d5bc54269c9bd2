//! Whatever fails below SQLite, what was answered OK is found afterwards. Every
//! test counts its faults.

use std::{
    collections::BTreeSet,
    env,
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

use durable::{Error, Expected, NewEvent, Store, params, testing};
use futures_util::future::join_all;

use crate::support::{Ticked, within};

/// Names the database to the child of these tests.
const CHILD: &str = "TITAN_TEST_FAULT_CHILD";
/// Appends at once: they share commits, so one fault meets several.
const AT_ONCE: i64 = 8;

fn event(id: i64) -> NewEvent {
    NewEvent::of(&Ticked { id, padding: vec![7; 2_000] })
}

/// Appends these, all at once, and returns those that were acknowledged and how
/// many were not.
async fn append_all(store: &Store, ids: std::ops::Range<i64>) -> (Vec<i64>, usize) {
    let appends = ids.map(|id| async move {
        let stream = format!("streams/{id}");
        (id, store.append(&stream, Expected::NoStream, vec![event(id)]).await)
    });
    let (mut acknowledged, mut failed) = (Vec::new(), 0);
    for (id, outcome) in join_all(appends).await {
        match outcome {
            Ok(_) => acknowledged.push(id),
            // Repeat it later: it may or may not be there.
            Err(Error::Unavailable(_)) => failed += 1,
            Err(error) => panic!("{error:?}"),
        }
    }
    (acknowledged, failed)
}

/// The ids of the events that a new process finds.
async fn found(url: &str) -> BTreeSet<i64> {
    let store = Store::open(url, &[]).await.unwrap();
    let rows = store.query("SELECT stream FROM durable_event", params![]).await.unwrap();
    let check = store.query("PRAGMA integrity_check", params![]).await.unwrap();
    assert_eq!(check[0].get::<String>("integrity_check").unwrap(), "ok");
    let id = |stream: String| stream.trim_start_matches("streams/").parse().unwrap();
    rows.iter().map(|row| id(row.get("stream").unwrap())).collect()
}

async fn limit_pages(store: &Store, pages: &str) {
    let mut tx = store.begin().await.unwrap();
    tx.query(format!("PRAGMA max_page_count = {pages}"), params![]).await.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn a_full_disk_acknowledges_nothing_and_is_survived() {
    let backend = testing::sqlite();
    let store = backend.open(&[]).await;
    let pages = store.query_one("PRAGMA page_count", params![]).await.unwrap().unwrap();
    let pages: i64 = pages.get("page_count").unwrap();
    limit_pages(&store, &(pages + 40).to_string()).await;
    let (mut acknowledged, mut faults) = (Vec::new(), 0);
    for round in 0..20 {
        let first = round * AT_ONCE;
        let (written, failed) = within(append_all(&store, first..first + AT_ONCE)).await;
        acknowledged.extend(written);
        faults += failed;
    }
    assert!(faults > 0 && !acknowledged.is_empty(), "{faults} faults");
    // Somebody has made room.
    limit_pages(&store, "1000000").await;
    let (written, failed) = within(append_all(&store, 1_000..1_000 + AT_ONCE)).await;
    assert_eq!(failed, 0);
    acknowledged.extend(written);
    store.close().await;
    let found = found(&backend.url).await;
    assert!(acknowledged.iter().all(|id| found.contains(id)));
    // SQLite undid what did not fit, so nothing else is there.
    assert_eq!(found.len(), acknowledged.len());
}

/// Not a test by itself: the process that the tests below do harm to. It says
/// what was acknowledged.
#[tokio::test]
#[ignore = "is run by the tests of this file"]
async fn child() {
    let Ok(url) = env::var(CHILD) else { return };
    let store = Store::open(&url, &[]).await.unwrap();
    for round in 0..25 {
        let first = round * AT_ONCE;
        let (acknowledged, _) = append_all(&store, first..first + AT_ONCE).await;
        let mut out = std::io::stdout().lock();
        for id in acknowledged {
            writeln!(out, "acknowledged {id}").unwrap();
        }
        out.flush().unwrap();
    }
}

struct Harmed {
    acknowledged: Vec<i64>,
    /// System calls that failed or killed.
    faults: usize,
}

/// Runs the child under `strace`, which makes system calls fail; `None` where
/// there is none, or it may not.
fn harm(url: &str, inject: &str, log: &Path) -> Option<Harmed> {
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-e", "trace=fsync,fdatasync", "-e", inject, "-o"]).arg(log);
    command.arg(env::current_exe().unwrap());
    command.args(["--exact", "fault::child", "--ignored", "--nocapture", "--test-threads=1"]);
    let output = command.env(CHILD, url).stderr(Stdio::null()).output().ok()?;
    let calls = std::fs::read_to_string(log).unwrap_or_default();
    if calls.is_empty() {
        return None;
    }
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let acknowledged =
        text.lines().filter_map(|line| line.split("acknowledged ").nth(1)?.parse().ok());
    let marks = ["(INJECTED)", "+++ killed by SIGKILL +++"];
    let hurt = |line: &&str| marks.iter().any(|mark| line.contains(mark));
    Some(Harmed {
        acknowledged: acknowledged.collect(),
        faults: calls.lines().filter(hurt).count(),
    })
}

/// Lets the calls fail as told and looks for what was acknowledged.
async fn survives(injects: &[String]) {
    let mut faults = 0;
    for inject in injects {
        let backend = testing::sqlite();
        // Its schema, so that the harm comes to the appends.
        backend.open(&[]).await.close().await;
        let log = env::temp_dir().join(format!("titan-strace-{}", file_name(&backend.url)));
        let harmed = harm(&backend.url, inject, &log);
        let _ = std::fs::remove_file(&log);
        let Some(harmed) = harmed else {
            assert_eq!(faults, 0, "strace worked before");
            return;
        };
        faults += harmed.faults;
        let found = found(&backend.url).await;
        let lost: Vec<_> = harmed.acknowledged.iter().filter(|id| !found.contains(id)).collect();
        assert!(lost.is_empty(), "{inject}: {lost:?} were acknowledged and are lost");
    }
    assert!(faults >= injects.len(), "only {faults} faults");
}

/// Unique, since the database's own folder is.
fn file_name(url: &str) -> String {
    url.replace(|letter: char| !letter.is_ascii_alphanumeric(), "-")
}

#[tokio::test]
async fn an_fsync_that_fails_acknowledges_nothing() {
    let calls = "inject=fsync,fdatasync:error=EIO";
    survives(&[
        format!("{calls}:when=4"),
        format!("{calls}:when=5+3"),
        format!("{calls}:when=3+7"),
    ])
    .await;
}

#[tokio::test]
async fn a_process_killed_at_an_fsync_loses_nothing_that_it_acknowledged() {
    let kill = |call: u32| format!("inject=fsync,fdatasync:signal=KILL:when={call}");
    survives(&[2, 3, 5, 8, 13, 21].map(kill)).await;
}
