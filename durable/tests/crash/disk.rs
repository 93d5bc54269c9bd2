//! A process that is killed at each of its disk writes in turn, and a disk that
//! fails: whatever was acknowledged is found afterwards. Needs `strace`, which
//! ends the system call before it is made; without it these tests say so.

use std::{env, process::Command as Plain};

use durable::{Expected, NewEvent, Store, params};
use prost::Name;

use crate::{
    process::{finish, sqlite},
    program::{STORE, Trip},
};

/// Events that are appended one after the other.
const EVENTS: usize = 12;

impl Name for Trip {
    const NAME: &'static str = "Trip";
    const PACKAGE: &'static str = "trips";
}

/// Appends events, and says of each that it is there when that is known.
#[tokio::test]
async fn writer() {
    let Ok(url) = env::var(STORE) else { return };
    let store = Store::open(&url, &[]).await.unwrap();
    println!("@open");
    for number in 0..EVENTS {
        let event = NewEvent::of(&Trip { booked: vec![number.to_string()] });
        let mut tx = store.begin().await.unwrap();
        let stream = format!("trips/{number}");
        if tx.append(&stream, Expected::Any, vec![event]).await.is_err() {
            continue;
        }
        if tx.commit().await.is_ok() {
            println!("@{stream}");
        }
    }
}

fn is_there() -> bool {
    let works = Plain::new("strace").args(["-o", "/dev/null", "true"]).status();
    let works = works.is_ok_and(|status| status.success());
    if !works {
        println!("skipped: `strace` cannot be used on this machine");
    }
    works
}

/// The command line before a program whose threads are given this fault, each at
/// its n-th write to the disk.
fn strace(fault: &str, number: u32, log: &str) -> Vec<String> {
    const WRITES: &str = "fdatasync,fsync";
    let (trace, inject) =
        (format!("trace={WRITES}"), format!("inject={WRITES}:{fault}:when={number}"));
    ["strace", "-f", "-qq", "-o", log, "-e", &trace, "-e", &inject].map(str::to_owned).into()
}

/// Every stream that was acknowledged and is not there.
async fn lost(url: &str, acknowledged: &[String]) -> Vec<String> {
    let store = Store::open(url, &[]).await.unwrap();
    let rows = store.query("SELECT stream FROM durable_event", params![]).await.unwrap();
    let found: Vec<String> = rows.iter().map(|row| row.get("stream").unwrap()).collect();
    store.close().await;
    let lost = |stream: &&String| stream.starts_with("trips/") && !found.contains(stream);
    acknowledged.iter().filter(lost).cloned().collect()
}

/// Runs the writer with a fault at its n-th disk write, for every n there is.
/// Faults that were injected, and acknowledgements that were given after one.
async fn with_every_write(fault: &str) -> (usize, usize) {
    let (mut faults, mut acknowledged) = (0, 0);
    for number in 1.. {
        let case = sqlite("forward");
        let log = tempfile::NamedTempFile::new().unwrap();
        let strace = strace(fault, number, log.path().to_str().unwrap());
        let strace: Vec<&str> = strace.iter().map(String::as_str).collect();
        let (_, words) = finish(case.test("disk::writer", &strace, &[])).await;
        let traced = std::fs::read_to_string(log.path()).unwrap_or_default();
        let injected = traced.contains("INJECTED") || traced.contains("killed by SIGKILL");
        if !injected {
            break;
        }
        faults += 1;
        acknowledged += words.iter().filter(|word| word.starts_with("trips/")).count();
        assert_eq!(lost(&case.url(), &words).await, [""; 0], "{fault} at write {number}");
    }
    (faults, acknowledged)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_a_kill_at_any_disk_write() {
    if !is_there() {
        return;
    }
    let (faults, acknowledged) = with_every_write("signal=KILL").await;
    println!("kills at disk writes: {faults}, acknowledged before them: {acknowledged}");
    assert!(faults >= EVENTS && acknowledged > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_fails_is_never_answered_with_success() {
    if !is_there() {
        return;
    }
    let (faults, acknowledged) = with_every_write("error=EIO").await;
    println!("failed disk writes: {faults}, acknowledged beside them: {acknowledged}");
    assert!(faults >= EVENTS && acknowledged > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_saga_that_was_killed_at_any_disk_write_ends_as_if_nothing_had_happened() {
    if !is_there() {
        return;
    }
    let baseline = sqlite("silent");
    assert!(baseline.run(&[], &[]).await.0.success());
    let (baseline, mut kills) = (baseline.found().await, 0);
    for number in 1.. {
        let case = sqlite("silent");
        let strace = strace("signal=KILL", number, "/dev/null");
        let strace: Vec<&str> = strace.iter().map(String::as_str).collect();
        let (status, words) = case.run(&strace, &[]).await;
        if status.success() {
            break;
        }
        kills += 1;
        let planned = words.contains(&"planned".to_owned());
        assert!(!planned || case.is_started().await, "kill {number}: what was said is not there");
        let (status, _) = case.run(&[], &[]).await;
        assert!(status.success(), "after kill {number}: {status}");
        assert_eq!(case.found().await, baseline, "after kill {number}");
    }
    println!("sagas killed at disk writes: {kills}");
    assert!(kills > 5);
}
