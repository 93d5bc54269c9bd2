//! The store behaves alike on both databases: transactions, errors, migrations.

use std::time::{Duration, Instant};

use durable::{Conflict, Error, Migration, Sql, Store, params, testing::backends};
use tonic::Code;

const NOTES: &[Migration] = &[Migration::new(
    1,
    "notes",
    "CREATE TABLE note (
        id {bigint} PRIMARY KEY, text {text} NOT NULL UNIQUE, data {blob}, done {bool} NOT NULL,
        weight {real}
    );
    CREATE INDEX note_done ON note (done);",
)];

async fn add(store: &Store, id: i64, text: &str) -> Result<(), Error> {
    let mut tx = store.begin().await?;
    let sql = "INSERT INTO note (id, text, done) VALUES ($1, $2, $3)";
    tx.execute(sql, params![id, text, false]).await?;
    tx.commit().await
}

async fn count(store: &Store) -> i64 {
    let row = store.query_one("SELECT count(*) AS n FROM note", params![]).await.unwrap().unwrap();
    row.get("n").unwrap()
}

#[tokio::test]
async fn every_type_survives_the_database() {
    for backend in backends().await {
        let store = backend.open(NOTES).await;
        let mut tx = store.begin().await.unwrap();
        let insert = "INSERT INTO note (id, text, data, done, weight) VALUES ($1, $2, $3, $4, $5)";
        let full = params![1_i64, "ü\u{1F600}", vec![0_u8, 255], true, 0.5];
        let bare = params![2_i64, "", None::<Vec<u8>>, false, None::<f64>];
        assert_eq!(tx.execute(insert, full).await.unwrap(), 1);
        assert_eq!(tx.execute(insert, bare).await.unwrap(), 1);
        tx.commit().await.unwrap();

        let rows = store.query("SELECT * FROM note ORDER BY id", params![]).await.unwrap();
        assert_eq!(rows[0].get::<String>("text").unwrap(), "ü\u{1F600}", "{}", backend.name);
        assert_eq!(rows[0].get::<Option<Vec<u8>>>("data").unwrap(), Some(vec![0, 255]));
        assert!(rows[0].get::<bool>("done").unwrap());
        assert_eq!(rows[0].get::<f64>("weight").unwrap(), 0.5);
        assert_eq!(rows[1].get::<Option<Vec<u8>>>("data").unwrap(), None);
        assert_eq!(rows[1].get::<Option<f64>>("weight").unwrap(), None);
        assert!(matches!(rows[0].get::<i64>("nothing"), Err(Error::Database(_))));
    }
}

#[tokio::test]
async fn a_dropped_transaction_changes_nothing() {
    for backend in backends().await {
        let store = backend.open(NOTES).await;
        let mut tx = store.begin().await.unwrap();
        let sql = "INSERT INTO note (id, text, done) VALUES (1, 'x', FALSE)";
        tx.execute(sql, params![]).await.unwrap();
        drop(tx);
        add(&store, 2, "y").await.unwrap();
        assert_eq!(count(&store).await, 1, "{}", backend.name);
    }
}

#[tokio::test]
async fn a_duplicate_is_a_typed_conflict() {
    for backend in backends().await {
        let store = backend.open(NOTES).await;
        add(&store, 1, "x").await.unwrap();
        let error = add(&store, 2, "x").await.unwrap_err();
        assert!(error.is_duplicate("note", "text"), "{}: {error:?}", backend.name);
        assert!(!error.is_duplicate("note", "id"));
        assert!(matches!(error, Error::Conflict(Conflict::Unique { .. })));
        assert_eq!(tonic::Status::from(error).code(), Code::Aborted);
    }
}

#[tokio::test]
async fn a_transaction_with_a_failed_statement_does_not_commit() {
    for backend in backends().await {
        let store = backend.open(NOTES).await;
        let mut tx = store.begin().await.unwrap();
        let sql = "INSERT INTO note (id, text, done) VALUES (1, 'x', FALSE)";
        tx.execute(sql, params![]).await.unwrap();
        tx.execute(sql, params![]).await.unwrap_err();
        assert!(matches!(tx.commit().await, Err(Error::Broken)), "{}", backend.name);
        assert_eq!(count(&store).await, 0, "{}", backend.name);
    }
}

#[tokio::test]
async fn reading_statements_cannot_write() {
    for backend in backends().await {
        let store = backend.open(NOTES).await;
        let written = store.query("DELETE FROM note", params![]).await;
        assert!(matches!(written, Err(Error::Database(_))), "{}", backend.name);
    }
}

#[tokio::test]
async fn a_failed_closure_leaves_nothing_behind() {
    for backend in backends().await {
        let store = backend.open(NOTES).await;
        let outcome: Result<(), Error> = store
            .transaction(|tx| {
                Box::pin(async move {
                    let sql = "INSERT INTO note (id, text, done) VALUES (1, 'x', FALSE)";
                    tx.execute(sql, params![]).await?;
                    Err(Error::IdempotencyKeyReused)
                })
            })
            .await;
        assert!(matches!(outcome, Err(Error::IdempotencyKeyReused)), "{}", backend.name);
        assert_eq!(count(&store).await, 0, "{}", backend.name);
    }
}

#[tokio::test]
async fn concurrent_increments_are_all_counted() {
    for backend in backends().await {
        let store = backend.open(NOTES).await;
        let other = backend.open(NOTES).await;
        add(&store, 0, "counter").await.unwrap();
        let increments = (0..40).map(|number| {
            let store = if number % 2 == 0 { store.clone() } else { other.clone() };
            tokio::spawn(async move {
                store
                    .transaction(|tx| {
                        Box::pin(async move {
                            let sql = "UPDATE note SET weight = coalesce(weight, 0) + 1";
                            tx.execute(sql, params![]).await
                        })
                    })
                    .await
            })
        });
        for increment in increments.collect::<Vec<_>>() {
            increment.await.unwrap().unwrap();
        }
        let row = store.query_one("SELECT weight FROM note", params![]).await.unwrap().unwrap();
        assert_eq!(row.get::<f64>("weight").unwrap(), 40.0, "{}", backend.name);
    }
}

#[tokio::test]
async fn a_deadlock_is_run_again() {
    for backend in backends().await {
        let store = backend.open(NOTES).await;
        add(&store, 0, "a").await.unwrap();
        add(&store, 1, "b").await.unwrap();
        let meet = std::sync::Arc::new(tokio::sync::Barrier::new(2));
        let sqlite = backend.name == "sqlite";
        let run = |first: i64| {
            let (store, meet) = (store.clone(), meet.clone());
            tokio::spawn(async move {
                let mut met = sqlite;
                store
                    .transaction(|tx| {
                        let meet = (!std::mem::replace(&mut met, true)).then(|| meet.clone());
                        Box::pin(async move {
                            let sql = "UPDATE note SET done = TRUE WHERE id = $1";
                            tx.execute(sql, params![first]).await?;
                            if let Some(meet) = meet {
                                meet.wait().await;
                            }
                            tx.execute(sql, params![1 - first]).await
                        })
                    })
                    .await
            })
        };
        let (one, two) = (run(0), run(1));
        one.await.unwrap().unwrap();
        two.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn migrations_run_once_and_in_order() {
    const MORE: &[Migration] = &[
        NOTES[0],
        Migration {
            version: 2,
            name: "colour",
            sql: Sql::Each {
                sqlite: "ALTER TABLE note ADD COLUMN colour TEXT",
                postgres: "ALTER TABLE note ADD COLUMN colour TEXT",
            },
        },
    ];
    for backend in backends().await {
        backend.open(NOTES).await;
        let (one, two) = tokio::join!(backend.open(MORE), backend.open(MORE));
        one.query("SELECT colour FROM note", params![]).await.unwrap();
        two.query("SELECT colour FROM note", params![]).await.unwrap();
        // The program before still starts, as a rolling upgrade needs.
        backend.open(NOTES).await;
    }
}

#[tokio::test]
async fn changed_and_disordered_migrations_are_refused() {
    let changed = [Migration::new(1, "notes", "CREATE TABLE other (id {bigint})")];
    let twice = [NOTES[0], Migration::new(1, "again", "SELECT 1")];
    for backend in backends().await {
        backend.open(NOTES).await;
        for migrations in [&changed[..], &twice[..]] {
            let refused = Store::open(&backend.url, migrations).await;
            assert!(matches!(refused, Err(Error::Migration { .. })), "{}", backend.name);
        }
        backend
            .open(&[NOTES[0], Migration::new(7, "seven", "CREATE TABLE seven (id {bigint})")])
            .await;
        let late = [NOTES[0], Migration::new(5, "five", "CREATE TABLE five (id {bigint})")];
        let refused = Store::open(&backend.url, &late).await;
        assert!(matches!(refused, Err(Error::Migration { .. })), "{}", backend.name);
        assert!(backend.open(NOTES).await.query("SELECT * FROM five", params![]).await.is_err());
    }
}

#[tokio::test]
async fn a_failing_migration_leaves_no_trace() {
    let broken = [Migration::new(1, "broken", "CREATE TABLE good (id {bigint}); CREATE TABL bad;")];
    for backend in backends().await {
        Store::open(&backend.url, &broken).await.unwrap_err();
        let store = backend.open(NOTES).await;
        assert!(store.query("SELECT * FROM good", params![]).await.is_err(), "{}", backend.name);
    }
}

/// Connections of the store that are within a transaction.
async fn open_transactions(store: &Store) -> i64 {
    let sql = "SELECT count(*) AS n FROM pg_stat_activity
        WHERE datname = current_database() AND state LIKE 'idle in transaction%'";
    store.query_one(sql, params![]).await.unwrap().unwrap().get("n").unwrap()
}

#[tokio::test]
async fn a_transaction_that_nobody_waits_for_any_more_is_never_left_open() {
    for backend in backends().await.iter().filter(|backend| backend.name == "postgres") {
        let store = backend.open(NOTES).await;
        let mut given_up = 0;
        for patience in 0..40 {
            // Given up sooner and later: before, while and after it begins.
            let mut begin = Box::pin(store.begin());
            for _ in 0..=patience % 4 {
                let begun = futures_util::poll!(&mut begin).is_ready();
                given_up += usize::from(!begun);
                if begun {
                    break;
                }
                tokio::time::sleep(Duration::from_micros(50 * (patience / 4))).await;
            }
            drop(begin);
            let long = Instant::now() + Duration::from_secs(5);
            while open_transactions(&store).await > 0 {
                assert!(Instant::now() < long, "nobody ends it");
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        assert!(given_up > 0, "no beginning was interrupted");
        add(&store, 1, "x").await.unwrap();
    }
}

#[tokio::test]
async fn unsafe_and_unknown_databases_are_refused() {
    let memory = Store::open("sqlite::memory:", &[]).await;
    assert!(matches!(memory, Err(Error::Unsafe { setting: "journal_mode", .. })), "{memory:?}");
    let unknown = Store::open("mysql://root:secret@localhost", &[]).await.unwrap_err();
    assert!(!unknown.to_string().contains("secret"));
    for backend in backends().await.iter().filter(|backend| backend.name == "postgres") {
        // The server of these tests flushes nothing; its URL says that this is meant.
        let (bare, _) = backend.url.split_once("&allow_unsafe=").unwrap();
        for (accepted, refused) in [("", "fsync"), ("&allow_unsafe=fsync", "full_page_writes")] {
            let error = Store::open(&format!("{bare}{accepted}"), &[]).await.unwrap_err();
            let Error::Unsafe { setting, found, wanted: "on" } = error else { panic!("{error}") };
            assert_eq!((setting, &*found), (refused, "off"));
        }
        let url = format!("{}&options=-c%20synchronous_commit%3Doff", backend.url);
        let refused = Store::open(&url, &[]).await;
        assert!(matches!(refused, Err(Error::Unsafe { setting: "synchronous_commit", .. })));
    }
}

/// On SQLite transactions share a commit, so one may read what is not committed yet.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_read_is_durable_when_the_rollback_returns() {
    async fn reads(store: &Store, id: i64) -> (bool, bool) {
        let sql = "SELECT 1 AS one FROM note WHERE id = $1";
        let mut tx = store.begin().await.unwrap();
        let read = tx.query_one(sql, params![id]).await.unwrap().is_some();
        tx.rollback().await.unwrap();
        (read, store.query_one(sql, params![id]).await.unwrap().is_some())
    }
    for backend in backends().await {
        let store = backend.open(NOTES).await;
        let mut met = 0;
        for id in 0..300 {
            let adding = async { add(&store, id, &format!("{id}")).await.unwrap() };
            // Behind the first in the writer's queue, so in its group if that is quick.
            let reading = async { (reads(&store, id).await, reads(&store, id).await) };
            let ((), (first, second)) = tokio::join!(adding, reading);
            for (read, there) in [first, second] {
                assert!(!read || there, "{}: {id} was read and is not there", backend.name);
                met += usize::from(read);
            }
        }
        assert!(met > 0, "{}: nothing was read", backend.name);
    }
}
