//! An open loop: calls are sent when they are due, whatever became of those
//! before, as independent callers would send them.

use std::time::Duration;

use tokio::{task::JoinSet, time::Instant};

/// A stretch of time with a rate of calls.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Phase {
    /// Calls a second, on average; they arrive at random.
    pub(crate) rate: f64,
    pub(crate) lasts: Duration,
}

/// A call that was made.
#[derive(Clone, Debug)]
pub(crate) struct Shot<T> {
    /// Of which phase, counted from zero.
    pub(crate) phase: usize,
    /// When it was due, since the first phase began.
    pub(crate) due: Duration,
    /// From when it was due to its end.
    pub(crate) took: Duration,
    pub(crate) outcome: T,
}

/// Makes the calls of the phases, one phase after the other without a pause, and
/// returns when the last one has ended. The same seed makes the same arrivals.
pub(crate) async fn fire<T, Fut>(
    phases: &[Phase],
    seed: u64,
    mut call: impl FnMut(usize) -> Fut,
) -> anyhow::Result<Vec<Shot<T>>>
where
    T: Send + 'static,
    Fut: Future<Output = T> + Send + 'static,
{
    let mut random = fastrand::Rng::with_seed(seed);
    let mut calls = JoinSet::new();
    let start = Instant::now();
    let (mut due, mut end) = (Duration::ZERO, Duration::ZERO);
    for (number, phase) in phases.iter().enumerate() {
        end += phase.lasts;
        while due < end {
            if start + due > Instant::now() {
                tokio::time::sleep_until(start + due).await;
            }
            let (made, since) = (call(number), due);
            calls.spawn(async move {
                let outcome = made.await;
                Shot {
                    phase: number,
                    due: since,
                    took: start.elapsed().saturating_sub(since),
                    outcome,
                }
            });
            let wait = -(1.0 - random.f64()).ln() / phase.rate;
            due += Duration::from_secs_f64(wait);
        }
    }
    let mut shots = Vec::with_capacity(calls.len());
    while let Some(shot) = calls.join_next().await {
        shots.push(shot?);
    }
    Ok(shots)
}

/// The value below which this share of them is, in milliseconds.
pub(crate) fn percentile_ms(mut times: Vec<Duration>, share: f64) -> f64 {
    times.sort();
    #[expect(clippy::cast_precision_loss, reason = "a count of calls")]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index")]
    let index = (times.len() as f64 * share) as usize;
    let last = times.len().saturating_sub(1);
    times.get(index.min(last)).map_or(f64::NAN, |time| time.as_secs_f64() * 1e3)
}
