//! The loading side: a closed loop of workers. Warms up, waits for the word,
//! measures, and prints what it measured.

mod grpc;
mod http;
mod pace;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;

use self::pace::Pace;
use crate::{
    args::{Load, Subject},
    child, serve,
    usage::Usage,
};

pub(crate) fn load(options: &Load) -> anyhow::Result<()> {
    serve::subscribe(options.subject);
    serve::runtime(options.subject)?.block_on(async {
        match options.subject {
            Subject::Mesh => grpc::mesh(options).await,
            Subject::TonicMultiThread | Subject::TonicCurrentThread => grpc::tonic(options).await,
            Subject::H2 => grpc::h2(options).await,
            Subject::Http => http::load(options).await,
            other => anyhow::bail!("{} only serves", other.name()),
        }
    })
}

/// Runs `worker` with its number, its share of the calls and its pace,
/// `concurrency` times at once: first to warm up, then, after the word, to measure.
pub(crate) async fn measure<F, Fut>(options: &Load, worker: F) -> anyhow::Result<()>
where
    F: Fn(usize, usize, Pace) -> Fut,
    Fut: Future<Output = anyhow::Result<Vec<Duration>>> + Send + 'static,
{
    let share = options.calls.div_ceil(options.concurrency);
    let warm = together(options, &worker, warm_up(share)).await?.len();
    tell("ready");
    let mut word = String::new();
    std::io::stdin().read_line(&mut word)?;

    let (before, started) = (Usage::of_this_process(), Instant::now());
    let mut latencies = together(options, &worker, share).await?;
    let (wall, used) = (started.elapsed(), Usage::of_this_process().since(before));
    latencies.sort();
    let load = child::Load {
        calls: count(latencies.len()),
        calls_ever: count(latencies.len() + warm),
        wall_ns: wall.as_secs_f64() * 1e9,
        used,
        p50_us: percentile(&latencies, 50)?,
        p99_us: percentile(&latencies, 99)?,
    };
    tell(&serde_json::to_string(&load)?);
    Ok(())
}

/// Calls of each worker before it is measured: a tenth, but enough to open
/// connections and fill caches, and no more than a moment.
fn warm_up(share: usize) -> usize {
    (share / 10).clamp(10, 1_000)
}

#[expect(clippy::cast_precision_loss, reason = "a count of calls")]
fn count(calls: usize) -> f64 {
    calls as f64
}

/// In microseconds, of sorted values.
fn percentile(sorted: &[Duration], share: usize) -> anyhow::Result<f64> {
    let index = (sorted.len() * share / 100).min(sorted.len().saturating_sub(1));
    Ok(sorted.get(index).context("nothing was called")?.as_secs_f64() * 1e6)
}

async fn together<F, Fut>(options: &Load, worker: &F, calls: usize) -> anyhow::Result<Vec<Duration>>
where
    F: Fn(usize, usize, Pace) -> Fut,
    Fut: Future<Output = anyhow::Result<Vec<Duration>>> + Send + 'static,
{
    let workers = options.concurrency;
    let tasks: Vec<_> = (0..workers)
        .map(|number| tokio::spawn(worker(number, calls, Pace::of(options, number))))
        .collect();
    let mut all = Vec::new();
    for task in tasks {
        all.extend(task.await??);
    }
    Ok(all)
}

/// Deals the workers out over the connections.
fn of_worker<C: Clone>(connections: &Arc<[C]>, worker: usize) -> C {
    connections[worker % connections.len()].clone()
}

#[expect(clippy::print_stdout, reason = "the measuring process reads it")]
fn tell(line: &str) {
    println!("{line}");
}
