//! Many large calls: over one channel, or over a new channel each.

use std::time::Duration;

use tokio::{task::JoinSet, time::Instant};

use super::{Failure, Peer, check, equal, size, zeros};
use crate::proto::SimpleRequest;

/// How long to soak, and what to put up with.
#[derive(Clone, Debug, clap::Args)]
#[command(rename_all = "snake_case")]
pub struct Plan {
    /// Calls, over all threads
    #[arg(long, default_value_t = 10)]
    pub soak_iterations: u32,
    /// Calls that may fail
    #[arg(long, default_value_t = 0)]
    pub soak_max_failures: u32,
    /// A call that takes longer has failed
    #[arg(long, default_value_t = 1_000)]
    pub soak_per_iteration_max_acceptable_latency_ms: u64,
    /// Time for all calls; default: the acceptable latency of each
    #[arg(long)]
    pub soak_overall_timeout_seconds: Option<u64>,
    /// Least time from one call's begin to the next's, per thread
    #[arg(long, default_value_t = 0)]
    pub soak_min_time_ms_between_rpcs: u64,
    /// Bytes to send
    #[arg(long, default_value_t = 271_828)]
    pub soak_request_size: usize,
    /// Bytes to ask for
    #[arg(long, default_value_t = 314_159)]
    pub soak_response_size: i32,
    /// Calls at once
    #[arg(long, default_value_t = 1)]
    pub soak_num_threads: u32,
}

impl Plan {
    fn overall(&self) -> Duration {
        let each = Duration::from_millis(self.soak_per_iteration_max_acceptable_latency_ms);
        let all = each * self.soak_iterations;
        self.soak_overall_timeout_seconds.map_or(all, Duration::from_secs)
    }
}

/// What one thread saw.
#[derive(Default)]
struct Seen {
    calls: u32,
    failures: u32,
    last_failure: Option<Failure>,
}

/// Soaks as planned, with a new channel for each call if asked.
pub(super) async fn run(peer: &Peer, plan: &Plan, afresh: bool) -> Result<(), Failure> {
    let threads = plan.soak_num_threads.max(1);
    let deadline = Instant::now() + plan.overall();
    let mut soaking = JoinSet::new();
    for thread in 0..threads {
        let share =
            plan.soak_iterations / threads + u32::from(thread < plan.soak_iterations % threads);
        soaking.spawn(soak(peer.clone(), plan.clone(), afresh, share, deadline));
    }
    let mut all = Seen::default();
    while let Some(seen) = soaking.join_next().await {
        let seen = seen.map_err(|error| Failure::Mismatch(error.to_string()))?;
        all.calls += seen.calls;
        all.failures += seen.failures;
        all.last_failure = seen.last_failure.or(all.last_failure);
    }
    equal("calls in time", &all.calls, &plan.soak_iterations)?;
    let (failures, calls) = (all.failures, all.calls);
    let last = all.last_failure.map(|failure| failure.to_string()).unwrap_or_default();
    check(
        failures <= plan.soak_max_failures,
        format!("{failures} of {calls} calls failed; the last: {last}"),
    )
}

async fn soak(peer: Peer, plan: Plan, afresh: bool, share: u32, deadline: Instant) -> Seen {
    let mut seen = Seen::default();
    let between = Duration::from_millis(plan.soak_min_time_ms_between_rpcs);
    for _ in 0..share {
        let began = Instant::now();
        let peer = if afresh { peer.afresh() } else { peer.clone() };
        match tokio::time::timeout_at(deadline, call(&peer, &plan)).await {
            Ok(Ok(())) => {}
            Ok(Err(failure)) => {
                seen.failures += 1;
                seen.last_failure = Some(failure);
            }
            Err(_) => return seen,
        }
        seen.calls += 1;
        tokio::time::sleep_until(began + between).await;
    }
    seen
}

async fn call(peer: &Peer, plan: &Plan) -> Result<(), Failure> {
    let began = Instant::now();
    let request = SimpleRequest {
        response_size: plan.soak_response_size,
        payload: zeros(plan.soak_request_size),
        ..SimpleRequest::default()
    };
    let response = peer.client().unary_call(request).await?.into_inner();
    let expected = usize::try_from(plan.soak_response_size).unwrap_or_default();
    equal("the payload's size", &size(response.payload), &expected)?;
    let took = began.elapsed();
    let acceptable = Duration::from_millis(plan.soak_per_iteration_max_acceptable_latency_ms);
    check(took <= acceptable, format!("a call took {took:?}"))
}
