//! `durable/replay`: a projection made from a log that is there.

use std::{path::Path, time::Instant};

use durable::{
    Error, Event, Expected, Store, params,
    projection::{Projection, Projector, Table as Rows, Writer},
};

use super::{event, open, runtime, stream};
use crate::{
    report::{Report, Table, median},
    run::Bench,
};

const BAR: f64 = 200_000.0;

/// A row for each event: the dearest kind of read model.
struct Entries;

impl Projection for Entries {
    const NAME: &'static str = "entries";
    const VERSION: i64 = 1;
    const TABLES: &'static [Rows] = &[Rows {
        name: "entries",
        columns: "position {bigint} PRIMARY KEY, stream {text} NOT NULL, bytes {bigint} NOT NULL",
        indexes: &[],
    }];

    async fn apply(&self, into: &mut Writer<'_>, events: &[Event]) -> Result<(), Error> {
        let mut rows = Vec::with_capacity(events.len() * 3);
        for event in events {
            rows.extend(params![event.position, &event.stream, event.data.len() as i64]);
        }
        into.insert("INSERT INTO {entries} (position, stream, bytes)", 3, rows, "").await
    }
}

/// How many events each stream has, counted in memory for each batch.
struct Counts;

impl Projection for Counts {
    const NAME: &'static str = "counts";
    const VERSION: i64 = 1;
    const TABLES: &'static [Rows] = &[Rows {
        name: "counts",
        columns: "stream {text} PRIMARY KEY, version {bigint} NOT NULL",
        indexes: &[],
    }];

    async fn apply(&self, into: &mut Writer<'_>, events: &[Event]) -> Result<(), Error> {
        let latest: std::collections::BTreeMap<_, _> =
            events.iter().map(|event| (&event.stream, event.version)).collect();
        let rows = latest.into_iter().flat_map(|(stream, version)| params![stream, version]);
        let newer = "ON CONFLICT (stream) DO UPDATE SET version = excluded.version";
        into.insert("INSERT INTO {counts} (stream, version)", 2, rows.collect(), newer).await
    }
}

pub(super) fn bench(bench: &Bench<'_>, folder: &Path, report: &mut Report) -> anyhow::Result<()> {
    let events: usize = if bench.quick { 100_000 } else { 400_000 };
    let runtime = runtime()?;
    let mut table = Table::new(
        &format!("durable/replay: events per second of a log of {events}, SQLite"),
        &["", "events per second"],
    );
    let (mut entries, mut counts) = (Vec::new(), Vec::new());
    runtime.block_on(async {
        let store = open(folder, "replay.db").await?;
        fill(&store, events).await?;
        for _ in 0..bench.effort.rounds {
            entries.push(replayed(&store, Entries, "entries", events).await?);
            counts.push(replayed(&store, Counts, "counts", events).await?);
        }
        anyhow::Ok(())
    })?;
    let (entries, counts) = (median(entries), median(counts));
    table.row(["a row for each event".to_owned(), format!("{entries:.0}")]);
    table.row(["a row for each stream".to_owned(), format!("{counts:.0}")]);
    report.section(&table.finish());
    for (name, rate) in [("a row for each event", entries), ("a row for each stream", counts)] {
        let name = format!("replay into a projection, {name}");
        report.bar(&name, format!(">= {BAR} events/s"), format!("{rate:.0}"), rate >= BAR);
    }
    Ok(())
}

async fn fill(store: &Store, events: usize) -> anyhow::Result<()> {
    const BATCH: usize = 100;
    for number in 0..events / BATCH {
        let batch = (0..BATCH).map(|_| event()).collect();
        store.append(&stream(number), Expected::Any, batch).await?;
    }
    Ok(())
}

/// Into tables that are empty, events per second.
async fn replayed<P: Projection>(
    store: &Store,
    projection: P,
    name: &str,
    events: usize,
) -> anyhow::Result<f64> {
    let projector = Projector::open(store, projection).await?;
    if projector.progress().await?.live > 0 {
        projector.rebuild().await?;
    }
    let since = Instant::now();
    projector.catch_up().await?;
    let rate = events as f64 / since.elapsed().as_secs_f64();
    let sql = format!("SELECT count(*) AS found FROM {name}");
    let found =
        store.query_one(sql, params![]).await?.map_or(Ok(0), |row| row.get::<i64>("found"))?;
    anyhow::ensure!(found > 0, "{name} has rows");
    Ok(rate)
}
