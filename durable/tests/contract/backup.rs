//! Copies of databases in use, and what becomes of them.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use durable::{
    Expected, Store, backup, params,
    testing::{Backend, backends},
};

use crate::support::{append, tick, within};

/// Databases of each kind in pairs: one to copy, one to restore into. Without
/// PostgreSQL's tools only SQLite's.
async fn pairs() -> Vec<(Backend, Backend)> {
    let installed = std::process::Command::new("pg_dump").arg("--version").output().is_ok();
    let pairs = backends().await.into_iter().zip(backends().await);
    pairs.filter(|(from, _)| from.name == "sqlite" || installed).collect()
}

async fn positions(store: &Store) -> Vec<i64> {
    let sql = "SELECT position FROM durable_event WHERE position IS NOT NULL ORDER BY position";
    let rows = store.query(sql, params![]).await.unwrap();
    rows.iter().map(|row| row.get("position").unwrap()).collect()
}

/// PostgreSQL numbers what was committed a little later.
async fn until_numbered(store: &Store, count: i64) {
    let sql = "SELECT count(*) AS count FROM durable_event WHERE position IS NOT NULL";
    loop {
        let row = store.query_one(sql, params![]).await.unwrap().unwrap();
        if row.get::<i64>("count").unwrap() >= count {
            return;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_copy_is_one_moment_of_a_database_that_is_written_to() {
    for (from, to) in pairs().await {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("copy");
        let store = from.open(&[]).await;
        for id in 0..10 {
            append(&store, "a", Expected::Any, &[tick(id)]).await.unwrap();
        }
        within(until_numbered(&store, 10)).await;
        let copying = AtomicBool::new(true);
        let write = async {
            let mut written = 10;
            while copying.load(Relaxed) {
                append(&store, "b", Expected::Any, &[tick(0), tick(1)]).await.unwrap();
                written += 2;
                tokio::task::yield_now().await;
            }
            written
        };
        let copy = async {
            let copied = backup::copy(&from.url, &file).await.unwrap();
            copying.store(false, Relaxed);
            copied
        };
        let (written, copied) = tokio::join!(write, copy);
        assert!((10..=written).contains(&copied.position), "{}: {copied:?}", from.name);

        backup::restore(&file, &to.url).await.unwrap();
        let restored = to.open(&[]).await;
        within(until_numbered(&restored, copied.position)).await;
        let positions = positions(&restored).await;
        let end = i64::try_from(positions.len()).unwrap();
        assert!(end >= copied.position, "{}: {end} of {copied:?}", from.name);
        assert!(positions.into_iter().eq(1..=end), "{}: a gap", from.name);
        // The log goes on where the copy ends.
        let version = append(&restored, "a", Expected::Exact(10), &[tick(10)]).await.unwrap();
        assert_eq!(version.version, 11, "{}", from.name);
    }
}

#[tokio::test]
async fn what_was_there_before_is_gone_after_a_restore() {
    for (from, to) in pairs().await {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("copy");
        let store = from.open(&[]).await;
        append(&store, "kept", Expected::NoStream, &[tick(1)]).await.unwrap();
        within(until_numbered(&store, 1)).await;
        backup::copy(&from.url, &file).await.unwrap();

        let replaced = to.open(&[]).await;
        append(&replaced, "gone", Expected::NoStream, &[tick(1)]).await.unwrap();
        let mut tx = replaced.begin().await.unwrap();
        tx.execute("CREATE TABLE later (id BIGINT)", params![]).await.unwrap();
        tx.commit().await.unwrap();
        replaced.close().await;
        drop(replaced);
        // Twice, as after an interruption.
        for _ in 0..2 {
            backup::restore(&file, &to.url).await.unwrap();
        }
        let restored = to.open(&[]).await;
        append(&restored, "gone", Expected::NoStream, &[tick(1)]).await.unwrap();
        append(&restored, "kept", Expected::Exact(1), &[tick(2)]).await.unwrap();
        assert!(restored.query("SELECT id FROM later", params![]).await.is_err(), "{}", to.name);
    }
}

#[tokio::test]
async fn a_database_in_use_is_not_replaced() {
    for (from, to) in pairs().await {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("copy");
        from.open(&[]).await.close().await;
        backup::copy(&from.url, &file).await.unwrap();
        let used = to.open(&[]).await;
        append(&used, "a", Expected::NoStream, &[tick(1)]).await.unwrap();
        let refused = backup::restore(&file, &to.url).await;
        assert!(matches!(refused, Err(backup::Error::InUse)), "{}: {refused:?}", to.name);
        append(&used, "a", Expected::Exact(1), &[tick(2)]).await.unwrap();
    }
}

#[tokio::test]
async fn a_damaged_copy_is_refused_and_changes_nothing() {
    for (from, to) in pairs().await {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("copy");
        from.open(&[]).await.close().await;
        backup::copy(&from.url, &file).await.unwrap();
        let store = to.open(&[]).await;
        append(&store, "a", Expected::NoStream, &[tick(1)]).await.unwrap();
        store.close().await;
        drop(store);
        let mut bytes = std::fs::read(&file).unwrap();
        bytes[..4096].fill(0x5a);
        std::fs::write(&file, bytes).unwrap();
        let refused = backup::restore(&file, &to.url).await.unwrap_err();
        let told = matches!(refused, backup::Error::Damaged { .. } | backup::Error::Tool { .. });
        assert!(told, "{}: {refused:?}", to.name);
        append(&to.open(&[]).await, "a", Expected::Exact(1), &[tick(2)]).await.unwrap();
    }
}

#[tokio::test]
async fn a_database_is_there_or_not() {
    for backend in backends().await {
        backend.open(&[]).await.close().await;
        assert!(backup::exists(&backend.url).await.unwrap(), "{}", backend.name);
        let absent = backend.url.replace("test", "absent");
        if absent != backend.url {
            assert!(!backup::exists(&absent).await.unwrap(), "{}", backend.name);
        }
    }
    assert!(backup::exists("mysql://h/d").await.is_err());
}
