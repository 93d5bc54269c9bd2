//! The doctor finds what is wrong where it is, and changes nothing.

use durable::{
    Error, Expected, Store,
    doctor::{self, Finding, Verdict, examine},
    params,
    task::NewTask,
    testing::{Backend, backends},
};

use crate::support::{append, tick};

async fn find(backend: &Backend, check: &str) -> Finding {
    let findings = examine(&backend.url).await.unwrap();
    let found = findings.iter().find(|finding| finding.check == check).cloned();
    found.unwrap_or_else(|| panic!("{}: no {check} in {findings:?}", backend.name))
}

async fn write(store: &Store, sql: &'static str, params: Vec<durable::Value>) {
    let mut tx = store.begin().await.unwrap();
    tx.execute(sql, params).await.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn settings_are_those_that_the_database_has() {
    for backend in backends().await {
        let store = backend.open(&[]).await;
        append(&store, "a", Expected::Any, &[tick(1)]).await.unwrap();
        let cases = match backend.name {
            "sqlite" => {
                vec![("journal_mode", "wal", Verdict::Good), ("synchronous", "full", Verdict::Good)]
            }
            // The server of these tests outlives nothing, so it does not flush.
            _ => vec![
                ("synchronous_commit", "on", Verdict::Good),
                ("fsync", "off", Verdict::Unsafe),
                ("full_page_writes", "off", Verdict::Unsafe),
                ("role", "primary", Verdict::Good),
            ],
        };
        for (check, value, verdict) in cases {
            let finding = find(&backend, check).await;
            assert_eq!((finding.found.as_str(), finding.verdict), (value, verdict));
        }
        assert_eq!(find(&backend, "clock").await.verdict, Verdict::Good, "{}", backend.name);
    }
}

#[tokio::test]
async fn what_a_session_is_told_counts_and_not_what_the_server_says() {
    for backend in backends().await.iter_mut().filter(|backend| backend.name == "postgres") {
        backend.url.push_str("&options=-c%20synchronous_commit%3Doff");
        let finding = find(backend, "synchronous_commit").await;
        assert_eq!((finding.found.as_str(), finding.verdict), ("off", Verdict::Unsafe));
        assert!(!finding.advice.is_empty());
    }
}

#[test]
fn what_a_url_accepts_is_known() {
    let url = "postgres://localhost/a?allow_unsafe=fsync,role&host=/tmp";
    assert_eq!(doctor::accepted(url).unwrap(), ["fsync", "role"]);
    assert!(doctor::accepted("postgres://localhost/a").unwrap().is_empty());
    assert!(doctor::accepted("sqlite:a.db").unwrap().is_empty());
    assert!(matches!(doctor::accepted("mysql://localhost"), Err(Error::Url(_))));
}

#[tokio::test]
async fn a_clock_that_went_back_shows_in_the_log() {
    for backend in backends().await {
        let store = backend.open(&[]).await;
        append(&store, "a", Expected::Any, &[tick(1)]).await.unwrap();
        append(&store, "a", Expected::Any, &[tick(2)]).await.unwrap();
        let hour = durable::time::now() + 3_600_000_000;
        write(&store, "UPDATE durable_event SET time = $1 WHERE version = 1", params![hour]).await;
        if backend.name == "postgres" {
            // Only what is numbered is looked at.
            let all = "SELECT 1 FROM durable_event WHERE position IS NULL";
            while !store.query(all, params![]).await.unwrap().is_empty() {
                tokio::time::sleep(std::time::Duration::from_millis(2)).await;
            }
        }
        assert_eq!(find(&backend, "clock").await.verdict, Verdict::Unsafe, "{}", backend.name);
        let steps = find(&backend, "clock_steps").await;
        assert_eq!(steps.verdict, Verdict::Doubtful, "{}", backend.name);
    }
}

#[tokio::test]
async fn tasks_that_nobody_does_are_told_of() {
    for backend in backends().await {
        let store = backend.open(&[]).await;
        let mut tx = store.begin().await.unwrap();
        tx.enqueue(NewTask::new("x", "late")).await.unwrap();
        tx.enqueue(NewTask::new("x", "dead")).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(find(&backend, "tasks").await.verdict, Verdict::Good, "{}", backend.name);
        write(&store, "UPDATE durable_task SET created = 0 WHERE key = 'late'", params![]).await;
        write(&store, "UPDATE durable_task SET died = 1 WHERE key = 'dead'", params![]).await;
        assert_eq!(find(&backend, "tasks").await.verdict, Verdict::Doubtful, "{}", backend.name);
        let dead = find(&backend, "dead_tasks").await;
        assert_eq!(dead.verdict, Verdict::Doubtful, "{}", backend.name);
    }
}

#[tokio::test]
async fn a_database_that_is_not_there_is_not_made() {
    let folder = tempfile_path();
    let url = format!("sqlite:{}/none.db", folder.display());
    assert!(examine(&url).await.is_err());
    assert!(!folder.join("none.db").exists());
    assert!(matches!(examine("mysql://root:secret@localhost").await, Err(Error::Url(_))));
}

/// A folder that another test's database has made, so that only the file is missing.
fn tempfile_path() -> std::path::PathBuf {
    std::env::temp_dir()
}
