//! Time as it is stored: microseconds since 1970 in UTC, which both databases
//! keep in 64 bits, order alike and index cheaply.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prost_types::Timestamp;

const MICROS_PER_SECOND: i64 = 1_000_000;
const NANOS_PER_MICRO: i32 = 1_000;

/// The wall clock in microseconds since 1970, UTC. May step backwards with the
/// machine's clock: order events by position or version, never by time.
#[must_use]
pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// Stored time as a protobuf timestamp.
#[must_use]
pub fn to_proto(micros: i64) -> Timestamp {
    let fraction = micros.rem_euclid(MICROS_PER_SECOND);
    Timestamp {
        seconds: micros.div_euclid(MICROS_PER_SECOND),
        nanos: i32::try_from(fraction).unwrap_or(0) * NANOS_PER_MICRO,
    }
}

/// A protobuf timestamp as stored time; `None` outside of the years 1 to 9999,
/// which is the range that protobuf allows. Nanoseconds are cut off.
#[must_use]
pub fn from_proto(time: &Timestamp) -> Option<i64> {
    const FIRST: i64 = -62_135_596_800;
    const LAST: i64 = 253_402_300_799;
    let valid = (FIRST..=LAST).contains(&time.seconds) && (0..1_000_000_000).contains(&time.nanos);
    valid.then(|| time.seconds * MICROS_PER_SECOND + i64::from(time.nanos / NANOS_PER_MICRO))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn microseconds_survive_the_wire_before_and_after_1970() {
        for micros in [0, 1, -1, 1_700_000_000_123_456, -1_700_000_000_123_456] {
            assert_eq!(from_proto(&to_proto(micros)), Some(micros));
        }
    }

    #[test]
    fn times_that_protobuf_forbids_are_refused() {
        for (seconds, nanos) in [(i64::MAX, 0), (i64::MIN, 0), (0, -1), (0, 1_000_000_000)] {
            assert_eq!(from_proto(&Timestamp { seconds, nanos }), None);
        }
    }
}
