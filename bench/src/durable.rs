//! `durable/…`: what the store costs beside the raw database on the same disk:
//! events, consumers, projections, sagas.

mod append;
mod disk;
mod follow;
mod postgres;
mod raw;
mod replay;
mod saga;

use std::{
    path::Path,
    time::{Duration, Instant},
};

use durable::{Expected, NewEvent, Store};
use prost::{Message, Name};
use tokio::runtime::{Builder, Runtime};

use crate::{
    report::{Report, Table},
    run::Bench,
};

/// Bytes that an event carries, beside its metadata.
const PAYLOAD: usize = 256;
/// Streams that the events are spread over.
const STREAMS: usize = 1_000;

/// An event of no meaning.
#[derive(Clone, PartialEq, Message)]
struct Ticked {
    #[prost(bytes = "vec", tag = "1")]
    padding: Vec<u8>,
}

impl Name for Ticked {
    const NAME: &'static str = "Ticked";
    const PACKAGE: &'static str = "titan.bench.v1";
}

/// Measures in a folder that is its own.
type Scenario = fn(&Bench<'_>, &Path, &mut Report) -> anyhow::Result<()>;

/// The durable benches.
pub(crate) fn bench(bench: &Bench<'_>, report: &mut Report) -> anyhow::Result<()> {
    let scenarios: [(&str, Scenario); 5] = [
        ("durable/append", append::bench),
        ("durable/follow", follow::bench),
        ("durable/replay", replay::bench),
        ("durable/saga", saga::bench),
        ("durable/postgres", postgres::bench),
    ];
    publish_disk(bench, report)?;
    for (name, measure) in scenarios {
        if bench.wants(name) {
            let folder = tempfile::tempdir_in(bench.folder)?;
            measure(bench, folder.path(), report)?;
        }
    }
    Ok(())
}

fn publish_disk(bench: &Bench<'_>, report: &mut Report) -> anyhow::Result<()> {
    let mut table = Table::new(
        "durable: the disk, 256 bytes appended and then synchronised",
        &["", "per second", "p50 µs"],
    );
    let (rate, p50) = disk::synchronise(bench.folder, lasts(bench))?;
    table.row(["write + fdatasync".to_owned(), format!("{rate:.0}"), format!("{p50:.0}")]);
    report.section(&table.finish());
    Ok(())
}

/// How long one side of a round is measured.
fn lasts(bench: &Bench<'_>) -> Duration {
    Duration::from_millis(if bench.quick { 400 } else { 1_500 })
}

/// What a worker of a service is.
fn runtime() -> anyhow::Result<Runtime> {
    Ok(Builder::new_current_thread().enable_all().build()?)
}

async fn open(folder: &Path, name: &str) -> anyhow::Result<Store> {
    let url = format!("sqlite:{}", folder.join(name).display());
    Ok(Store::open(&url, &[]).await?)
}

fn event() -> NewEvent {
    NewEvent::of(&Ticked { padding: vec![7; PAYLOAD] })
}

fn stream(number: usize) -> String {
    format!("streams/{:04}", number % STREAMS)
}

/// Appends one event in a transaction of its own.
async fn append(store: &Store, number: usize) -> anyhow::Result<durable::Appended> {
    Ok(store.append(&stream(number), Expected::Any, vec![event()]).await?)
}

/// How often `work` ran in a second, when it is repeated for so long.
fn rate(lasts: Duration, mut work: impl FnMut() -> anyhow::Result<usize>) -> anyhow::Result<f64> {
    let since = Instant::now();
    let mut done = 0;
    while since.elapsed() < lasts {
        done += work()?;
    }
    Ok(done as f64 / since.elapsed().as_secs_f64())
}

fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}
