//! New tables beside live ones: another version, or the same made anew.

use std::time::Duration;

use durable::{
    Error, Event, Store,
    projection::{Progress, Projection, Projector, Table, Writer},
    testing::backends,
};

use super::ledger::{self, Ledger, dump, fill, folded, interrupted};
use crate::support::within;

/// The ledger of a later program: it also has notes.
struct NextLedger;

impl Projection for NextLedger {
    const NAME: &'static str = "ledger";
    const VERSION: i64 = 2;
    const TABLES: &'static [Table] = &[
        Table {
            name: "entries",
            columns: "note {text} NOT NULL DEFAULT 'new', stream {text} NOT NULL,
                      version {bigint} NOT NULL, amount {bigint} NOT NULL,
                      balance {bigint} NOT NULL, PRIMARY KEY (stream, version)",
            indexes: &[],
        },
        Ledger::TABLES[1],
    ];

    async fn apply(&self, into: &mut Writer<'_>, events: &[Event]) -> Result<(), Error> {
        ledger::apply(into, events).await
    }
}

async fn has_table(store: &Store, table: &str) -> bool {
    store.query(format!("SELECT 1 FROM {table}"), vec![]).await.is_ok()
}

#[tokio::test]
async fn a_new_version_is_made_beside_the_live_one_and_takes_its_place() {
    for backend in backends().await {
        let store = backend.open(&[]).await;
        let before = Projector::open(&store, Ledger).await.unwrap();
        fill(&store, 10).await;
        before.catch_up().await.unwrap();
        let answer = dump(&store).await;

        let next = Projector::open(&store, NextLedger).await.unwrap();
        // What is live still answers, and its own program keeps it up to date.
        assert_eq!(dump(&store).await, answer, "{}", backend.name);
        assert_eq!(next.progress().await.unwrap().building, Some(0));
        fill(&store, 3).await;
        before.catch_up().await.unwrap();
        assert_eq!(dump(&store).await, folded(&store).await, "{}", backend.name);

        within(next.catch_up()).await.unwrap();
        assert_eq!(dump(&store).await, folded(&store).await, "{}", backend.name);
        let notes = store.query("SELECT note FROM entries", vec![]).await.unwrap();
        assert!(notes.iter().all(|row| row.get::<String>("note").unwrap() == "new"));
        assert!(!has_table(&store, "entries_1").await && has_table(&store, "entries_2").await);

        // A replica that was not replaced yet stands aside, also when it restarts.
        before.catch_up().await.unwrap();
        let restarted = Projector::open(&store, Ledger).await.unwrap();
        restarted.catch_up().await.unwrap();
        assert_eq!(restarted.progress().await.unwrap().building, None);
        assert_eq!(dump(&store).await, folded(&store).await, "{}", backend.name);
    }
}

#[tokio::test]
async fn a_rebuild_that_is_killed_anywhere_ends_in_the_same_tables() {
    for backend in backends().await {
        let store = backend.open(&[]).await;
        let ledger = Projector::open(&store, Ledger).await.unwrap();
        fill(&store, 20).await;
        ledger.catch_up().await.unwrap();
        let mut kills = 0;
        for polls in 0..80 {
            let again = Projector::open(&store, Ledger).await.unwrap();
            again.rebuild().await.unwrap();
            kills += u32::from(interrupted(again.catch_up(), polls).await);
            assert_eq!(dump(&store).await, folded(&store).await, "{}", backend.name);
        }
        assert!(kills >= 5, "{}: only {kills} were killed", backend.name);
        ledger.catch_up().await.unwrap();
        assert_eq!(ledger.progress().await.unwrap().building, None);
        assert_eq!(dump(&store).await, folded(&store).await, "{}", backend.name);
    }
}

#[tokio::test]
async fn queries_are_answered_through_every_swap_while_others_write() {
    const REBUILDS: usize = 8;
    for backend in backends().await {
        let store = backend.open(&[]).await;
        let ledger = Projector::open(&store, Ledger).await.unwrap();
        let running = tokio::spawn(ledger.clone().run());
        let asked = tokio::spawn({
            let store = store.clone();
            async move {
                let (mut answers, mut most) = (0, 0);
                loop {
                    let sql = "SELECT count(*) AS n FROM entries";
                    let row = store.query_one(sql, vec![]).await.unwrap().unwrap();
                    let n: i64 = row.get("n").unwrap();
                    assert!(n >= most, "a query went back from {most} to {n}");
                    (answers, most) = (answers + 1, n);
                    // The test asks for the count by the end of the log.
                    if store
                        .query("SELECT 1 FROM durable_event WHERE stream = 'end'", vec![])
                        .await
                        .unwrap()
                        .len()
                        == 1
                    {
                        return answers;
                    }
                }
            }
        });
        for _ in 0..REBUILDS {
            ledger.rebuild().await.unwrap();
            fill(&store, 3).await;
            within(async {
                while ledger.progress().await.unwrap().building.is_some() {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            })
            .await;
        }
        let end = [crate::support::other()];
        crate::support::append(&store, "end", durable::Expected::Any, &end).await.unwrap();
        let answers = within(asked).await.unwrap();
        assert!(answers >= REBUILDS, "{}: only {answers} answers", backend.name);
        ledger.wait("end", 1, Duration::from_secs(30)).await.unwrap();
        running.abort();
        assert_eq!(dump(&store).await, folded(&store).await, "{}", backend.name);
        let Progress { live, end, .. } = ledger.progress().await.unwrap();
        assert_eq!(live, end);
        // Eight rebuilds later there is one set of tables.
        assert!(has_table(&store, &format!("entries_{}", REBUILDS + 1)).await);
        for old in 1..=REBUILDS {
            assert!(!has_table(&store, &format!("entries_{old}")).await, "{}", backend.name);
        }
    }
}
