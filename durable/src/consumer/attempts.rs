//! How often an event is tried before its stream waits for a person.

use std::time::Duration;

use crate::time;

/// Attempts unless set otherwise. With the waits between them they last half a
/// minute: longer than a neighbour's restart or an event that another feed is
/// late with, shorter than it takes a person to ask what is wrong.
pub(super) const DEFAULT: u32 = 10;
/// Bounds of the waits: from what a lost race needs to what is still looked at.
const WAITS: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(30));

/// When an event that failed so often is tried again, in microseconds since 1970:
/// a bound that doubles, drawn with full jitter so that streams that failed
/// together do not come back together. `None` when it is not tried again.
pub(super) fn due(attempts: i64, limit: u32, permanent: bool) -> Option<i64> {
    if permanent || attempts >= i64::from(limit) {
        return None;
    }
    let doublings = u32::try_from(attempts - 1).unwrap_or(0).min(16);
    let bound = (WAITS.0 * 2_u32.pow(doublings)).min(WAITS.1);
    let wait = bound.mul_f64(fastrand::f64());
    Some(time::now() + i64::try_from(wait.as_micros()).unwrap_or(i64::MAX / 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_tried_until_the_limit_and_one_that_never_works_once() {
        assert!((1..3).all(|attempts| due(attempts, 3, false).is_some()));
        assert_eq!(due(3, 3, false), None);
        assert_eq!(due(1, 3, true), None);
    }

    #[test]
    fn waits_stay_below_their_bounds() {
        for attempts in 1..100 {
            let wait = due(attempts, 1_000, false).unwrap() - time::now();
            assert!(wait <= 30_000_000, "{wait}");
        }
    }
}
