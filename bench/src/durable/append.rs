//! `durable/append`: events appended per second by many at once, which share
//! commits, beside the best that the raw database does; and one append alone
//! beside one raw commit.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use durable::{Expected, Store};

use super::{append, event, lasts, micros, open, rate, raw::Raw, runtime, stream};
use crate::{
    report::{Report, Row, Table, median},
    run::Bench,
};

/// Rows of a raw transaction.
pub(super) const GROUP: usize = 64;
pub(super) const BAR_RATE: f64 = 0.5;
pub(super) const BAR_LATENCY: f64 = 1.3;

/// Ways to append: how many at once, and how many events each.
const CROWDS: [(usize, usize); 3] = [(64, 1), (256, 1), (64, 16)];

pub(super) fn bench(bench: &Bench<'_>, folder: &Path, report: &mut Report) -> anyhow::Result<()> {
    let runtime = runtime()?;
    let store = runtime.block_on(open(folder, "store.db"))?;
    // Its tables, for the raw database.
    runtime.block_on(async { open(folder, "raw.db").await.map(drop) })?;
    let mut raw = Raw::open(&folder.join("raw.db"))?;

    let mut table = Table::new(
        "durable/append: events of 256 B per second, SQLite",
        &["", "store", "raw, groups of 64", "store / raw"],
    );
    for (writers, events) in CROWDS {
        let (mut ours, mut base) = (Vec::new(), Vec::new());
        for _ in 0..bench.effort.rounds {
            ours.push(runtime.block_on(crowd(&store, writers, events, lasts(bench)))?);
            base.push(rate(lasts(bench), || raw.commit(GROUP))?);
        }
        let name = format!("durable/append/{writers}-at-once/{events}-events");
        let row = Row::of(&name, "events_per_s", ours, "rusqlite, groups of 64", base);
        table.row([
            format!("{writers} at once, {events} each"),
            format!("{:.0}", row.subject),
            format!("{:.0}", row.base),
            format!("**{:.2}** ({:.2} to {:.2})", row.ratio, row.spread.0, row.spread.1),
        ]);
        if (writers, events) == CROWDS[1] {
            let measured = format!("{:.2}", row.ratio);
            let held = row.ratio >= BAR_RATE;
            let name = "events appended per second, one by one by 256 writers / raw in groups";
            report.bar(name, format!(">= {BAR_RATE}"), measured, held);
        }
        report.rows([row]);
    }
    report.section(&table.finish());
    alone(bench, &runtime, &store, &mut raw, report)
}

/// Events per second of this many writers, each with one append in flight.
pub(super) async fn crowd(
    store: &Store,
    writers: usize,
    events: usize,
    lasts: Duration,
) -> anyhow::Result<f64> {
    let next = Arc::new(AtomicUsize::new(0));
    let since = Instant::now();
    let tasks: Vec<_> = (0..writers)
        .map(|_| {
            let (store, next) = (store.clone(), next.clone());
            tokio::spawn(async move {
                while since.elapsed() < lasts {
                    let stream = stream(next.fetch_add(1, Ordering::Relaxed));
                    let batch = (0..events).map(|_| event()).collect();
                    store.append(&stream, Expected::Any, batch).await?;
                }
                Ok::<_, durable::Error>(())
            })
        })
        .collect();
    for task in tasks {
        task.await??;
    }
    Ok((next.load(Ordering::Relaxed) * events) as f64 / since.elapsed().as_secs_f64())
}

fn alone(
    bench: &Bench<'_>,
    runtime: &tokio::runtime::Runtime,
    store: &Store,
    raw: &mut Raw,
    report: &mut Report,
) -> anyhow::Result<()> {
    let (mut ours, mut interactive, mut base) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..bench.effort.rounds {
        ours.push(median(runtime.block_on(appends(store, lasts(bench)))?));
        interactive.push(median(runtime.block_on(transactions(store, lasts(bench)))?));
        base.push(median(raw.commits(lasts(bench))?));
    }
    let mut table = Table::new(
        "durable/append: one after the other, p50 in µs, SQLite",
        &["", "store", "raw commit of a row", "store / raw"],
    );
    for (name, took) in [("append", ours), ("begin, append, commit", interactive)] {
        let bench = format!("durable/append/alone/{}", name.replace([',', ' '], "-"));
        let row = Row::of(&bench, "p50_us", took, "rusqlite, one commit", base.clone());
        table.row([
            name.to_owned(),
            format!("{:.0}", row.subject),
            format!("{:.0}", row.base),
            format!("**{:.2}** ({:.2} to {:.2})", row.ratio, row.spread.0, row.spread.1),
        ]);
        if name == "append" {
            let measured = format!("{:.2}", row.ratio);
            let held = row.ratio <= BAR_LATENCY;
            report.bar("one append / one raw commit", format!("<= {BAR_LATENCY}"), measured, held);
        }
        report.rows([row]);
    }
    report.section(&table.finish());
    Ok(())
}

pub(super) async fn appends(store: &Store, lasts: Duration) -> anyhow::Result<Vec<f64>> {
    let since = Instant::now();
    let mut took = Vec::new();
    while since.elapsed() < lasts {
        let one = Instant::now();
        append(store, took.len()).await?;
        took.push(micros(one.elapsed()));
    }
    Ok(took)
}

async fn transactions(store: &Store, lasts: Duration) -> anyhow::Result<Vec<f64>> {
    let since = Instant::now();
    let mut took = Vec::new();
    while since.elapsed() < lasts {
        let one = Instant::now();
        let mut tx = store.begin().await?;
        tx.append(&stream(took.len()), Expected::Any, vec![event()]).await?;
        tx.commit().await?;
        took.push(micros(one.elapsed()));
    }
    Ok(took)
}
