//! The ledger of all jars: a line for each change with the balance behind it, in
//! a projection, and folded by hand to compare.

use std::{collections::BTreeMap, future::Future, task::Poll};

use durable::{
    Error, Event, Store, Value,
    aggregate::{Aggregate as _, Repository},
    params,
    projection::{Projection, Table, Writer},
};
use futures_util::future::poll_fn;
use tokio::task::yield_now;

use crate::jar::{Happened, Jar};

pub(super) struct Ledger;

/// The same, applied where it is appended.
pub(super) struct ImmediateLedger;

const TABLES: &[Table] = &[
    Table {
        name: "entries",
        columns: "stream {text} NOT NULL, version {bigint} NOT NULL, amount {bigint} NOT NULL,
                  balance {bigint} NOT NULL, PRIMARY KEY (stream, version)",
        indexes: &["balance"],
    },
    Table {
        name: "balances",
        columns: "stream {text} PRIMARY KEY, balance {bigint} NOT NULL",
        indexes: &[],
    },
];

impl Projection for Ledger {
    const NAME: &'static str = "ledger";
    const VERSION: i64 = 1;
    const TABLES: &'static [Table] = TABLES;

    async fn apply(&self, into: &mut Writer<'_>, events: &[Event]) -> Result<(), Error> {
        apply(into, events).await
    }
}

impl Projection for ImmediateLedger {
    const NAME: &'static str = "ledger";
    const VERSION: i64 = 1;
    const TABLES: &'static [Table] = TABLES;
    const IMMEDIATE: bool = true;

    async fn apply(&self, into: &mut Writer<'_>, events: &[Event]) -> Result<(), Error> {
        apply(into, events).await
    }
}

fn amount(event: &Event) -> Result<i64, Error> {
    Ok(match Jar::decode(event)? {
        Some(Happened::Added(amount)) => amount,
        Some(Happened::Taken(amount)) => -amount,
        Some(Happened::Opened) | None => 0,
    })
}

pub(super) async fn apply(into: &mut Writer<'_>, events: &[Event]) -> Result<(), Error> {
    let mut balances = BTreeMap::new();
    let mut rows: Vec<Value> = Vec::new();
    for event in events {
        if !balances.contains_key(&event.stream) {
            let sql = "SELECT balance FROM {balances} WHERE stream = $1";
            let known = into.query(sql, params![&event.stream]).await?;
            let known = known.first().map_or(Ok(0), |row| row.get("balance"))?;
            balances.insert(event.stream.clone(), known);
        }
        let amount = amount(event)?;
        let balance = balances.get_mut(&event.stream).expect("it was just put there");
        *balance += amount;
        rows.extend(params![&event.stream, event.version, amount, *balance]);
    }
    // Of the same event twice the primary key would complain.
    into.insert("INSERT INTO {entries} (stream, version, amount, balance)", 4, rows, "").await?;
    let rows = balances.iter().flat_map(|(stream, balance)| params![stream, *balance]).collect();
    let newer = "ON CONFLICT (stream) DO UPDATE SET balance = excluded.balance";
    into.insert("INSERT INTO {balances} (stream, balance)", 2, rows, newer).await
}

/// Changes each of three jars some times, by amounts that depend on how often
/// that was done before, and on nothing else.
pub(super) async fn fill(store: &Store, changes: usize) {
    change(&Repository::new(store.clone()), changes).await;
}

/// Like [`fill`], through a repository of one's own.
pub(super) async fn change(jars: &Repository<Jar>, changes: usize) {
    for jar in 0..3 {
        let stream = format!("jars/{jar}");
        if jars.load(&stream).await.unwrap().is_none() {
            // Another test's writer may have been faster.
            let _ = jars.create(&stream, vec![Happened::Opened]).await;
        }
        for _ in 0..changes {
            let decide = |jar: &durable::aggregate::Recorded<Jar>| {
                let amount = 1 + jar.version % 7;
                if jar.version % 3 == 0 { jar.state.take(amount) } else { jar.state.add(amount) }
            };
            // A jar may refuse: then there is nothing to project.
            let _ = jars.update(&stream, decide).await;
        }
    }
}

/// What the live tables hold, to the last byte.
pub(super) async fn dump(store: &Store) -> String {
    let entries = "SELECT stream, version, amount, balance FROM entries ORDER BY stream, version";
    let balances = "SELECT stream, balance FROM balances ORDER BY stream";
    let mut text = String::new();
    for row in store.query(entries, vec![]).await.unwrap() {
        let stream: String = row.get("stream").unwrap();
        let numbers = ["version", "amount", "balance"].map(|it| row.get::<i64>(it).unwrap());
        text += &format!("{stream} {numbers:?}\n");
    }
    for row in store.query(balances, vec![]).await.unwrap() {
        let stream: String = row.get("stream").unwrap();
        text += &format!("{stream} {}\n", row.get::<i64>("balance").unwrap());
    }
    text
}

/// What they should hold.
pub(super) async fn folded(store: &Store) -> String {
    let sql = "SELECT stream, version, type, data FROM durable_event ORDER BY stream, version";
    let mut balances: BTreeMap<String, i64> = BTreeMap::new();
    let mut text = String::new();
    for row in store.query(sql, vec![]).await.unwrap() {
        let stream: String = row.get("stream").unwrap();
        let data: Vec<u8> = row.get("data").unwrap();
        let amount = match &*row.get::<String>("type").unwrap() {
            "jars.Added" => crate::support::decode(&data),
            "jars.Taken" => -crate::support::decode(&data),
            _ => 0,
        };
        let balance = balances.entry(stream.clone()).or_default();
        *balance += amount;
        let version: i64 = row.get("version").unwrap();
        text += &format!("{stream} {:?}\n", [version, amount, *balance]);
    }
    for (stream, balance) in balances {
        text += &format!("{stream} {balance}\n");
    }
    text
}

/// Drops a future after so many polls, as a kill would. Whether it was dropped.
pub(super) async fn interrupted(
    future: impl Future<Output = Result<(), Error>>,
    polls: usize,
) -> bool {
    let mut future = std::pin::pin!(future);
    for _ in 0..polls {
        let polled = poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await;
        if let Poll::Ready(outcome) = polled {
            outcome.unwrap();
            return false;
        }
        // What it waits for happens on the threads of SQLite and in the server, which
        // get a moment; how far they come is left to chance, and any point is right.
        yield_now().await;
        std::thread::sleep(std::time::Duration::from_micros(200));
    }
    true
}
