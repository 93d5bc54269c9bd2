//! `durable/saga`: what a step costs beside its commit, and how many steps are
//! done with many sagas at once. The actions do nothing.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use durable::{
    Store,
    saga::{Definition, Failure, Sagas, Step, StepContext},
    task::Worker,
};
use prost::Message;
use tokio::sync::mpsc;

use super::{lasts, micros, open, raw::Raw, runtime};
use crate::{
    report::{Report, Row, Table, median},
    run::Bench,
};

const STEPS: usize = 4;
const AT_ONCE: usize = 64;
const BAR_BESIDE_US: f64 = 300.0;
const BAR_STEPS: f64 = 2_000.0;

#[derive(Clone, PartialEq, Message)]
struct Walk {
    #[prost(int64, tag = "1")]
    number: i64,
}

/// Where the end of a saga is told.
type Ends = mpsc::UnboundedSender<Instant>;

async fn nothing(_: Arc<Ends>, _: StepContext, walk: Walk) -> Result<Walk, Failure> {
    Ok(walk)
}

fn definition(ends: Ends) -> Definition<Walk, Arc<Ends>> {
    let done = ends.clone();
    let mut definition = Definition::new("walk", 1, Arc::new(ends));
    for name in ["one", "two", "three", "four"] {
        definition = definition.step(name, Step::run(nothing).undo(nothing));
    }
    definition.completed(move |tx, _| {
        let done = done.clone();
        tx.after_commit(move || {
            // Nobody hears of those that end after the measurement.
            let _ = done.send(Instant::now());
        });
        Box::pin(async { Ok(()) })
    })
}

pub(super) fn bench(bench: &Bench<'_>, folder: &Path, report: &mut Report) -> anyhow::Result<()> {
    let runtime = runtime()?;
    let store = runtime.block_on(async {
        open(folder, "raw.db").await?;
        open(folder, "sagas.db").await
    })?;
    let mut raw = Raw::open(&folder.join("raw.db"))?;
    let (ends, mut ended) = mpsc::unbounded_channel();
    let (sagas, worker) = {
        let worker = Worker::new(store.clone());
        (Sagas::new(store.clone(), &worker).define(definition(ends)), worker)
    };
    let working = runtime.spawn(worker.run());
    let (mut alone, mut commits, mut steps) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..bench.effort.rounds {
        commits.push(median(raw.commits(lasts(bench) / 2)?));
        let many = runtime.block_on(async {
            alone.push(median(one_by_one(&store, &sagas, &mut ended, round, lasts(bench)).await?));
            at_once(&store, &sagas, &mut ended, round, lasts(bench)).await
        })?;
        steps.push(many);
    }
    working.abort();
    publish(alone, commits, median(steps), report);
    Ok(())
}

fn publish(alone: Vec<f64>, commits: Vec<f64>, steps: f64, report: &mut Report) {
    let row = Row::of("durable/saga/alone", "us_per_saga", alone, "rusqlite, one commit", commits);
    let beside = (row.subject - (STEPS + 1) as f64 * row.base) / STEPS as f64;
    let mut table = Table::new(
        &format!("durable/saga: sagas of {STEPS} steps that do nothing, SQLite"),
        &["", "measured", "a raw commit"],
    );
    let (took, base) = (format!("{:.0} µs", row.subject), format!("{:.0} µs", row.base));
    table.row(["one alone, p50 from its start to its end".to_owned(), took, base]);
    let cost = format!("{beside:.0} µs");
    table.row(["of it, for each step beside the commits".to_owned(), cost.clone(), String::new()]);
    let rate = format!("{steps:.0} per second");
    table.row([format!("steps of {AT_ONCE} at once"), rate.clone(), String::new()]);
    report.section(&table.finish());
    let bar = format!("<= {BAR_BESIDE_US} µs");
    report.bar("a step of a saga beside its commit", bar, cost, beside <= BAR_BESIDE_US);
    let name = format!("steps per second with {AT_ONCE} sagas at once");
    report.bar(&name, format!(">= {BAR_STEPS}"), rate, steps >= BAR_STEPS);
    report.rows([row]);
}

async fn start(store: &Store, sagas: &Sagas, id: &str) -> anyhow::Result<()> {
    let mut tx = store.begin().await?;
    sagas.start(&mut tx, id, &Walk { number: 1 }).await?;
    Ok(tx.commit().await?)
}

/// How long each took, from before its start to its end.
async fn one_by_one(
    store: &Store,
    sagas: &Sagas,
    ended: &mut mpsc::UnboundedReceiver<Instant>,
    round: usize,
    lasts: Duration,
) -> anyhow::Result<Vec<f64>> {
    let since = Instant::now();
    let mut took = Vec::new();
    while since.elapsed() < lasts {
        let one = Instant::now();
        start(store, sagas, &format!("alone-{round}-{}", took.len())).await?;
        let end = ended.recv().await.ok_or_else(|| anyhow::anyhow!("the worker ended"))?;
        took.push(micros(end - one));
    }
    Ok(took)
}

/// Steps per second, with as many sagas unfinished as there is room for.
async fn at_once(
    store: &Store,
    sagas: &Sagas,
    ended: &mut mpsc::UnboundedReceiver<Instant>,
    round: usize,
    lasts: Duration,
) -> anyhow::Result<f64> {
    let since = Instant::now();
    let (mut started, mut done) = (0, 0);
    while since.elapsed() < lasts || done < started {
        let room = if since.elapsed() < lasts { AT_ONCE - (started - done) } else { 0 };
        let starts = (0..room).map(|place| {
            let id = format!("crowd-{round}-{}", started + place);
            async move { start(store, sagas, &id).await }
        });
        for outcome in futures_util::future::join_all(starts).await {
            outcome?;
        }
        started += room;
        ended.recv().await.ok_or_else(|| anyhow::anyhow!("the worker ended"))?;
        done += 1;
        while ended.try_recv().is_ok() {
            done += 1;
        }
    }
    Ok((done * STEPS) as f64 / since.elapsed().as_secs_f64())
}
