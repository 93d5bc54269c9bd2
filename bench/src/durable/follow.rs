//! `durable/follow`: how long after a commit the consumer has committed its
//! effect, and what ten consumers cost who appends.
//!
//! Feed and consumers are in the process of the writer, so that a channel's cost
//! is left out: `mesh/unary` knows it.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use durable::{Consumer, Store, feed};
use tokio::{sync::mpsc, task::JoinHandle, time::timeout};

use super::{append, lasts, micros, open, raw::Raw, runtime};
use crate::{
    report::{Report, Row, Table, median},
    run::Bench,
};

const CONSUMERS: usize = 10;
const BAR_RATE: f64 = 0.8;
/// Beyond two commits.
const BAR_DELAY_US: f64 = 1_000.0;
/// Commits that a follower sees one by one, in a round.
const FOLLOWED: usize = 100;
/// Between two of them: so that none waits for another's effect.
const PAUSE: Duration = Duration::from_millis(2);

pub(super) fn bench(bench: &Bench<'_>, folder: &Path, report: &mut Report) -> anyhow::Result<()> {
    let runtime = runtime()?;
    delay(bench, &runtime, folder, report)?;
    rates(bench, &runtime, folder, report)
}

/// Ends with what it belongs to.
struct Following(JoinHandle<()>);

impl Drop for Following {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Tells of each commit of its effects.
fn follow(
    name: String,
    producer: &Store,
    consumer: &Store,
    committed: impl Fn(i64) + Send + Sync + 'static,
) -> Following {
    let consumer = Consumer::new(name, feed::server(producer.clone()), consumer.clone());
    let committed = Arc::new(committed);
    Following(tokio::spawn(consumer.run(move |tx, event| {
        let (committed, position) = (committed.clone(), event.position);
        Box::pin(async move {
            tx.after_commit(move || committed(position));
            Ok(())
        })
    })))
}

fn delay(
    bench: &Bench<'_>,
    runtime: &tokio::runtime::Runtime,
    folder: &Path,
    report: &mut Report,
) -> anyhow::Result<()> {
    let (producer, consumer) = runtime.block_on(async {
        open(folder, "raw.db").await?;
        anyhow::Ok((open(folder, "producer.db").await?, open(folder, "consumer.db").await?))
    })?;
    let mut raw = Raw::open(&folder.join("raw.db"))?;
    let (mut delays, mut commits) = (Vec::new(), Vec::new());
    for _ in 0..bench.effort.rounds {
        commits.push(median(raw.commits(lasts(bench) / 2)?));
        delays.push(median(runtime.block_on(followed(&producer, &consumer))?));
    }
    let row = Row::of("durable/follow/delay", "p50_us", delays, "rusqlite, one commit", commits);
    let mut table = Table::new(
        "durable/follow: from a commit to the commit of its consumer, p50 in µs, SQLite",
        &["", "measured", "a raw commit", "beyond two of them"],
    );
    let beyond = row.subject - 2.0 * row.base;
    table.row([
        "one consumer".to_owned(),
        format!("{:.0}", row.subject),
        format!("{:.0}", row.base),
        format!("{beyond:.0}"),
    ]);
    report.section(&table.finish());
    let bar = format!("<= {BAR_DELAY_US} µs");
    let held = beyond <= BAR_DELAY_US;
    let name = "from a commit to its consumer's, beyond two raw commits, p50";
    report.bar(name, bar, format!("{beyond:.0} µs"), held);
    report.rows([row]);
    Ok(())
}

async fn followed(producer: &Store, consumer: &Store) -> anyhow::Result<Vec<f64>> {
    let (tell, mut told) = mpsc::unbounded_channel();
    let _following = follow("one".to_owned(), producer, consumer, move |position| {
        // Nobody hears of those that are told after the end.
        let _ = tell.send((position, Instant::now()));
    });
    let mut took = Vec::new();
    for number in 0..FOLLOWED {
        let appended = append(producer, number).await?;
        let committed = Instant::now();
        loop {
            let told = timeout(Duration::from_secs(10), told.recv()).await?;
            let Some((position, at)) = told else { anyhow::bail!("the consumer ended") };
            if Some(position) == appended.position {
                took.push(micros(at.saturating_duration_since(committed)));
                break;
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(took)
}

fn rates(
    bench: &Bench<'_>,
    runtime: &tokio::runtime::Runtime,
    folder: &Path,
    report: &mut Report,
) -> anyhow::Result<()> {
    let (mut followed, mut alone) = (Vec::new(), Vec::new());
    let mut behind = 0;
    for round in 0..bench.effort.rounds {
        let producer = runtime.block_on(open(folder, &format!("rates-{round}.db")))?;
        let consumer = runtime.block_on(open(folder, &format!("effects-{round}.db")))?;
        alone.push(runtime.block_on(appended(&producer, lasts(bench)))?);
        runtime.block_on(async {
            let reached: Arc<Vec<AtomicI64>> =
                Arc::new((0..CONSUMERS).map(|_| AtomicI64::new(0)).collect());
            let following: Vec<_> = (0..CONSUMERS)
                .map(|number| {
                    let reached = reached.clone();
                    follow(format!("consumer-{number}"), &producer, &consumer, move |position| {
                        reached[number].fetch_max(position, Ordering::Relaxed);
                    })
                })
                .collect();
            caught_up(&producer, &reached).await?;
            followed.push(appended(&producer, lasts(bench)).await?);
            let end = append(&producer, 0).await?.position.unwrap_or_default();
            let last = reached.iter().map(|one| one.load(Ordering::Relaxed)).min().unwrap_or(0);
            behind = behind.max(end - last);
            drop(following);
            anyhow::Ok(())
        })?;
    }
    let row = Row::of("durable/follow/rate", "events_per_s", followed, "nobody follows", alone);
    let mut table = Table::new(
        "durable/follow: appends per second of one writer, SQLite",
        &["", "ten consumers follow", "nobody follows", "ratio", "behind at the end, at most"],
    );
    table.row([
        "one after the other".to_owned(),
        format!("{:.0}", row.subject),
        format!("{:.0}", row.base),
        format!("**{:.2}** ({:.2} to {:.2})", row.ratio, row.spread.0, row.spread.1),
        format!("{behind} events"),
    ]);
    report.section(&table.finish());
    let held = row.ratio >= BAR_RATE;
    let measured = format!("{:.2}", row.ratio);
    report.bar("append rate with ten consumers / alone", format!(">= {BAR_RATE}"), measured, held);
    report.rows([row]);
    Ok(())
}

/// Appends per second, one after the other.
async fn appended(store: &Store, lasts: Duration) -> anyhow::Result<f64> {
    let since = Instant::now();
    let mut done = 0;
    while since.elapsed() < lasts {
        append(store, done).await?;
        done += 1;
    }
    Ok(done as f64 / since.elapsed().as_secs_f64())
}

/// Until each consumer has what was appended before it was there.
async fn caught_up(producer: &Store, reached: &[AtomicI64]) -> anyhow::Result<()> {
    let end = append(producer, 0).await?.position.unwrap_or_default();
    let there = async {
        while reached.iter().any(|one| one.load(Ordering::Relaxed) < end) {
            tokio::time::sleep(PAUSE).await;
        }
    };
    Ok(timeout(Duration::from_secs(60), there).await?)
}
