//! The channel's bounds, for those who explain a call.

use super::{
    attempts::{MAX_REFUSED, SLACK},
    budget::{COST, EARNED_PER_CALL, EARNED_PER_HEDGED_CALL, LEAST_PER_SECOND, MOST},
    bulkhead::{CALLS, STREAMS, WAITING},
    pool::PICK_TIMEOUT,
};
use crate::contract::{Amount, Limit};

/// What bounds every call of a channel.
pub(crate) fn limits() -> [Limit; 10] {
    let limit = |name, amount, bounds| Limit { name, amount, bounds, is_setting: false };
    let percent = |earned: i64| Amount::Percent((earned * 100 / COST).unsigned_abs());
    let count = |places: usize| Amount::Count(places as u64);
    let burst = (MOST / COST).unsigned_abs();
    [
        limit(
            "pick_timeout",
            Amount::Time(PICK_TIMEOUT),
            "waiting for an instance, at most 3/4 of the deadline",
        ),
        limit(
            "retry_budget",
            percent(EARNED_PER_CALL),
            "repetitions, of the calls to one application",
        ),
        limit("retry_burst", Amount::Count(burst), "repetitions that quiet times save up"),
        limit(
            "retry_least",
            Amount::Count(LEAST_PER_SECOND),
            "repetitions a second, however few the calls are",
        ),
        limit(
            "hedge_budget",
            percent(EARNED_PER_HEDGED_CALL),
            "hedges, of the calls to one application that may be hedged",
        ),
        limit(
            "max_refused",
            Amount::Count(MAX_REFUSED.into()),
            "more repetitions of what was proved not to be processed",
        ),
        limit("calls_in_flight", count(CALLS), "unary calls of one application at once"),
        limit("streams_in_flight", count(STREAMS), "streams of one application at once"),
        limit("waiting_calls", count(WAITING), "calls that wait for an instance at once"),
        limit(
            "deadline_slack",
            Amount::Time(SLACK),
            "kept back from the deadline that nested calls inherit",
        ),
    ]
}
