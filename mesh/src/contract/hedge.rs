//! When a call that is late is made once more, before anything has failed: only
//! where a second execution does no harm, and where there is one answer to wait
//! for.

use std::time::Duration;

use prost_reflect::MethodDescriptor;

use super::{duration, idempotency};
use crate::proto;

/// Most attempts that a contract may ask for: a third instance that is late as
/// well tells that lateness is not an instance's.
const MAX_ATTEMPTS: u32 = 3;

/// Hedging of calls that are late, `titan.mesh.v1.Hedge` with its defaults
/// (gRFC A6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hedge {
    /// All attempts, the first included: 2, the default, or 3.
    pub max_attempts: u32,
    /// How long an attempt is waited for before the next one; `None` for the
    /// 95th percentile of the method's latest calls.
    pub delay: Option<Duration>,
}

impl Hedge {
    /// As a method's policy states it; `None` when it forbids hedging.
    pub(super) fn compile(
        hedge: &proto::Hedge,
        method: &MethodDescriptor,
    ) -> Result<Option<Self>, String> {
        let max_attempts = match hedge.max_attempts {
            0 => 2,
            1 => return Ok(None),
            attempts => attempts,
        };
        if let Some(why) = unfit(method) {
            return Err(format!("hedge is not for a method that {why}"));
        }
        if max_attempts > MAX_ATTEMPTS {
            return Err(format!("hedge.max_attempts is over {MAX_ATTEMPTS}"));
        }
        let delay = duration(hedge.delay, "hedge.delay")?;
        if delay.is_some_and(|delay| delay.is_zero()) {
            return Err("hedge.delay is zero, which would double every call".to_owned());
        }
        Ok(Some(Self { max_attempts, delay }))
    }
}

/// Why a method cannot be hedged, if it cannot.
pub(super) fn unfit(method: &MethodDescriptor) -> Option<&'static str> {
    if !idempotency(method).repeatable() {
        return Some("is neither NO_SIDE_EFFECTS nor IDEMPOTENT");
    }
    let streams = method.is_client_streaming() || method.is_server_streaming();
    streams.then_some("streams")
}
