//! A store stays small by itself: what is over goes, what waits for somebody
//! stays, and nothing leaves the log before the archive has it.

use std::path::Path;

use durable::{
    Error, Event, Store, Value, archive, params,
    testing::backends,
    time,
    upkeep::{Done, Kept, Upkeep},
};

use crate::retention::{filled, free_the_turn, later, positions};

async fn write(store: &Store, sql: &'static str, row: Vec<Value>) {
    let mut tx = store.begin().await.unwrap();
    tx.execute(sql, row).await.unwrap();
    tx.commit().await.unwrap();
}

async fn texts(store: &Store, sql: &'static str) -> Vec<String> {
    let rows = store.query(sql, params![]).await.unwrap();
    rows.iter().map(|row| row.get("text").unwrap()).collect()
}

fn archiving(store: &Store, folder: &Path) -> Upkeep {
    let kept = Kept { archive: Some(folder.to_owned()), ..Kept::default() };
    Upkeep::new(store.clone(), kept).shorten([""]).with_clock(later)
}

fn archived(folder: &Path) -> Vec<Event> {
    archive::events(folder, 0).unwrap().collect::<Result<_, _>>().unwrap()
}

async fn saga(store: &Store, id: &str, status: &str, updated: i64) {
    let sql = "INSERT INTO durable_saga (id, definition, version, status, step, direction,
            attempts, data, error, traceparent, actor, created, updated, skipped, revision, pivoted)
        VALUES ($1, 'trip', 1, $2, 'x', 'do', 0, $3, '', '', '', 0, $4, FALSE, 1, FALSE)";
    write(store, sql, params![id, status, Vec::<u8>::new(), updated]).await;
    let sql = "INSERT INTO durable_saga_history (saga, number, step, direction, happening, detail,
            time) VALUES ($1, 1, '', 'do', 'started', '', 0)";
    write(store, sql, params![id]).await;
}

#[tokio::test]
async fn sagas_that_are_over_for_long_go_and_all_others_stay() {
    for backend in backends().await {
        let store = backend.open(&[]).await;
        let now = time::now();
        for status in
            ["completed", "compensated", "resolved", "running", "compensating", "needs_attention"]
        {
            saga(&store, &format!("old {status}"), status, 1).await;
            saga(&store, &format!("young {status}"), status, now).await;
        }
        // Of pieces there are more than one.
        for number in 0..120 {
            saga(&store, &format!("s{number}"), "completed", 2).await;
        }
        let done = Upkeep::new(store.clone(), Kept::default()).round().await.unwrap();
        assert_eq!(done.sagas, 123, "{}", backend.name);
        let left = texts(&store, "SELECT id AS text FROM durable_saga ORDER BY id").await;
        let stayed = [
            "old compensating",
            "old needs_attention",
            "old running",
            "young compensated",
            "young compensating",
            "young completed",
            "young needs_attention",
            "young resolved",
            "young running",
        ];
        assert_eq!(left, stayed, "{}", backend.name);
        let histories = "SELECT saga AS text FROM durable_saga_history ORDER BY saga";
        assert_eq!(texts(&store, histories).await, stayed, "{}", backend.name);
    }
}

#[tokio::test]
async fn settled_letters_and_expired_keys_go_and_what_waits_stays() {
    for backend in backends().await {
        let store = backend.open(&[]).await;
        for (position, status) in (1..).zip(["parked", "released", "applied", "discarded"]) {
            let sql = "INSERT INTO durable_dead_letter (consumer, position, stream, version, type,
                    data, time, traceparent, actor, correlation, causation, status, attempts,
                    first_time, last_time, error)
                VALUES ('c', $1, 'a', 1, 't', $2, 0, '', '', '', '', $3, 10, 0, $4, '')";
            let none = Vec::<u8>::new();
            write(&store, sql, params![position, none.clone(), status, 1]).await;
            write(&store, sql, params![position + 10, none, status, time::now()]).await;
        }
        for (key, expires) in [("gone", 1), ("good", time::now() + 60_000_000)] {
            let sql = "INSERT INTO durable_idempotency (caller, command, key, request, expire_time)
                VALUES ('', 'c', $1, $2, $3)";
            write(&store, sql, params![key, Vec::<u8>::new(), expires]).await;
        }
        let done = Upkeep::new(store.clone(), Kept::default()).round().await.unwrap();
        assert_eq!((done.letters, done.keys), (2, 1), "{}", backend.name);
        let left = "SELECT status AS text FROM durable_dead_letter ORDER BY position";
        let stayed = ["parked", "released", "parked", "released", "applied", "discarded"];
        assert_eq!(texts(&store, left).await, stayed, "{}", backend.name);
        let keys = texts(&store, "SELECT key AS text FROM durable_idempotency").await;
        assert_eq!(keys, ["good"], "{}", backend.name);
    }
}

#[tokio::test]
async fn one_replica_at_a_time_does_it() {
    for backend in backends().await {
        let (store, other) = (backend.open(&[]).await, backend.open(&[]).await);
        let first = Upkeep::new(store.clone(), Kept::default());
        let second = Upkeep::new(other, Kept::default());
        saga(&store, "a", "completed", 1).await;
        assert_eq!(first.round().await.unwrap().sagas, 1, "{}", backend.name);
        saga(&store, "b", "completed", 1).await;
        assert_eq!(second.round().await.unwrap(), Done::default(), "{}", backend.name);
        // The first one has died.
        free_the_turn(&store).await;
        assert_eq!(second.round().await.unwrap().sagas, 1, "{}", backend.name);
        saga(&store, "c", "completed", 1).await;
        assert_eq!(first.round().await.unwrap(), Done::default(), "{}", backend.name);
    }
}

#[tokio::test]
async fn what_leaves_the_log_is_in_the_archive() {
    for backend in backends().await {
        let store = backend.open(&[]).await;
        filled(&store).await;
        let folder = tempfile::tempdir().unwrap();
        let upkeep = archiving(&store, folder.path());
        let done = upkeep.round().await.unwrap();
        assert_eq!((done.archived, done.events), (4, 2), "{}", backend.name);
        assert_eq!(positions(&store).await, [3, 4], "{}", backend.name);
        let events = archived(folder.path());
        let found: Vec<_> =
            events.iter().map(|event| (event.position, event.reference())).collect();
        let all = [(1, "a@1"), (2, "a@2"), (3, "b@1"), (4, "a@3")];
        assert_eq!(found, all.map(|(at, of)| (at, of.to_owned())), "{}", backend.name);
        assert_eq!(upkeep.round().await.unwrap(), Done::default(), "{}", backend.name);
    }
}

#[tokio::test]
async fn a_crash_between_archive_and_removal_neither_loses_nor_repeats() {
    for backend in backends().await {
        let store = backend.open(&[]).await;
        filled(&store).await;
        let folder = tempfile::tempdir().unwrap();
        // The file was written, and its mark did not commit.
        Upkeep::new(
            store.clone(),
            Kept { archive: Some(folder.path().to_owned()), ..Kept::default() },
        )
        .with_clock(later)
        .round()
        .await
        .unwrap();
        let sql = "UPDATE durable_upkeep SET archived = 0, archive_time = 0, alive_until = 0";
        write(&store, sql, params![]).await;
        let before = archived(folder.path());
        let done = archiving(&store, folder.path()).round().await.unwrap();
        assert_eq!(done.events, 2, "{}", backend.name);
        assert_eq!(archived(folder.path()), before, "{}", backend.name);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "{}", backend.name);
    }
}

#[tokio::test]
async fn without_its_archive_nothing_leaves_the_log() {
    for backend in backends().await {
        let store = backend.open(&[]).await;
        filled(&store).await;
        saga(&store, "a", "completed", 1).await;
        // Of another log, by the look of it.
        let folder = tempfile::tempdir().unwrap();
        let other = backends().await.remove(0);
        let other = other.open(&[]).await;
        filled(&other).await;
        archiving(&other, folder.path()).round().await.unwrap();
        let refused = archiving(&store, folder.path()).round().await.unwrap_err();
        let differs = archive::Problem::Differs { path: archive_file(folder.path()), position: 1 };
        assert!(
            matches!(&refused, Error::Archive(problem)
            if problem.to_string() == differs.to_string()),
            "{refused:?}"
        );
        assert_eq!(positions(&store).await, [1, 2, 3, 4], "{}", backend.name);
        let sagas = texts(&store, "SELECT id AS text FROM durable_saga").await;
        assert!(sagas.is_empty(), "the rest is kept up all the same");

        // A folder that cannot be made.
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        free_the_turn(&store).await;
        let refused = archiving(&store, &file).round().await.unwrap_err();
        assert!(matches!(refused, Error::Archive(archive::Problem::File { .. })), "{refused:?}");
        assert_eq!(positions(&store).await, [1, 2, 3, 4], "{}", backend.name);
    }
}

fn archive_file(folder: &Path) -> std::path::PathBuf {
    folder.join("00000000000000000001-00000000000000000004.events")
}

#[test]
fn a_retention_of_less_than_a_day_is_refused() {
    for name in ["event_retention", "saga_retention", "letter_retention"] {
        for (text, right) in [("1d", true), ("23h", false), ("400d", true)] {
            let mut settings = ::mesh::Settings::from_pairs("orders", &[(name, text)]);
            let _ = Kept::read(&mut settings);
            assert_eq!(settings.finish().is_ok(), right, "{name} {text}");
        }
    }
    let pairs = [("event_archive", "/archive")];
    let mut settings = ::mesh::Settings::from_pairs("orders", &pairs);
    let kept = Kept::read(&mut settings);
    assert_eq!(kept.archive.as_deref(), Some(Path::new("/archive/orders")));
    assert_eq!(Kept { archive: None, ..kept }, Kept::default());
}
