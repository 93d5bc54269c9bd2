//! How long the answers of one method take: a histogram of the latest calls, and
//! their 95th percentile, without a lock.

use std::{
    sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// Buckets of each doubling: a bound is at most an eighth above what it stands
/// for. The mesh's metrics have one for more than a doubling, which is too coarse
/// to find a twentieth of the calls.
const PER_DOUBLING: usize = 8;
/// 2^26 µs are 67 s, longer than any unary call should take.
const DOUBLINGS: usize = 26;
const BUCKETS: usize = PER_DOUBLING * (DOUBLINGS - 2);
/// Calls of a window. Two of them count: the one that is filled, and the one
/// before, so that a percentile stands on fifty late calls once there are so many.
const WINDOW: u64 = 1_000;
/// Calls that are seen before anything is said: five of them are late.
const LEAST: u64 = 100;
/// The percentile is found anew after so many calls: it moves no faster, and is
/// read by every call.
const REFRESH: u64 = 20;

/// Latencies of the latest calls. Updates that race may lose a sample.
#[derive(Debug)]
pub(crate) struct Latency {
    windows: [[AtomicU32; BUCKETS]; 2],
    seen: AtomicU64,
    /// The 95th percentile in microseconds; zero while too little is known.
    delay_micros: AtomicU64,
}

impl Default for Latency {
    fn default() -> Self {
        Self {
            windows: [const { [const { AtomicU32::new(0) }; BUCKETS] }; 2],
            seen: AtomicU64::new(0),
            delay_micros: AtomicU64::new(0),
        }
    }
}

impl Latency {
    /// What nineteen of twenty calls take at most; `None` while less than a hundred
    /// were seen.
    pub(crate) fn delay(&self) -> Option<Duration> {
        let micros = self.delay_micros.load(Relaxed);
        (micros > 0).then(|| Duration::from_micros(micros))
    }

    pub(crate) fn add(&self, took: Duration) {
        let before = self.seen.fetch_add(1, Relaxed);
        let filled = usize::from((before / WINDOW) % 2 == 1);
        if before.is_multiple_of(WINDOW) {
            // What stands in it is of the window before the last.
            self.windows[filled].iter().for_each(|bucket| bucket.store(0, Relaxed));
        }
        self.windows[filled][bucket(took)].fetch_add(1, Relaxed);
        let seen = before + 1;
        if seen >= LEAST && seen.is_multiple_of(REFRESH) {
            self.delay_micros.store(self.percentile(), Relaxed);
        }
    }

    /// The bound below which nineteen of twenty calls are, in microseconds.
    fn percentile(&self) -> u64 {
        let [one, other] = &self.windows;
        let counts =
            || one.iter().zip(other).map(|(a, b)| u64::from(a.load(Relaxed) + b.load(Relaxed)));
        let late = counts().sum::<u64>() / 20;
        let mut above = 0;
        let highest = counts().enumerate().rev().find(|(_, count)| {
            above += count;
            above > late
        });
        highest.map_or(0, |(bucket, _)| bound_micros(bucket))
    }
}

/// Where a call is counted; those that last too long in the last one.
fn bucket(took: Duration) -> usize {
    let micros = usize::try_from(took.as_micros()).unwrap_or(usize::MAX);
    if micros < PER_DOUBLING {
        return micros;
    }
    let doubling = micros.ilog2() as usize;
    let eighth = (micros >> (doubling - 3)) % PER_DOUBLING;
    ((doubling - 2) * PER_DOUBLING + eighth).min(BUCKETS - 1)
}

/// What every call of a bucket is below.
fn bound_micros(bucket: usize) -> u64 {
    let next = bucket + 1;
    if next < PER_DOUBLING {
        return next as u64;
    }
    let (doubling, eighth) = (next / PER_DOUBLING + 2, next % PER_DOUBLING);
    ((PER_DOUBLING + eighth) as u64) << (doubling - 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLI: Duration = Duration::from_millis(1);

    fn after(calls: impl IntoIterator<Item = Duration>) -> Latency {
        let latency = Latency::default();
        calls.into_iter().for_each(|took| latency.add(took));
        latency
    }

    /// As exact as a bucket.
    #[track_caller]
    fn assert_about(found: Option<Duration>, expected: Duration) {
        let found = found.unwrap();
        assert!(found >= expected && found <= expected * 9 / 8 + MILLI / 1_000, "{found:?}");
    }

    #[test]
    fn every_time_is_below_its_buckets_bound_and_not_far_below() {
        let times = (0..26).flat_map(|doubling| {
            (0..64_u64).map(move |part| (1_u64 << doubling) + (part << doubling) / 64)
        });
        for micros in times.chain([0]) {
            let bound = bound_micros(bucket(Duration::from_micros(micros)));
            assert!(micros < bound && bound <= micros + micros / 8 + 1, "{micros}: {bound}");
        }
        assert_eq!(bucket(Duration::MAX), BUCKETS - 1);
    }

    #[test]
    fn less_than_a_hundred_calls_tell_nothing() {
        assert_eq!(after([MILLI; 99]).delay(), None);
        assert_about(after([MILLI; 100]).delay(), MILLI);
    }

    #[test]
    fn one_call_in_twenty_is_late() {
        let calls = |late: u32| {
            (0..1_000).map(move |call| if call % 100 < late { 100 * MILLI } else { MILLI })
        };
        assert_about(after(calls(5)).delay(), MILLI);
        assert_about(after(calls(6)).delay(), 100 * MILLI);
    }

    #[test]
    fn what_was_long_ago_is_forgotten() {
        let latency = after([100 * MILLI; 5_000]);
        (0..WINDOW).for_each(|_| latency.add(MILLI));
        assert_about(latency.delay(), 100 * MILLI);
        (0..WINDOW).for_each(|_| latency.add(MILLI));
        assert_about(latency.delay(), MILLI);
    }

    #[test]
    fn threads_that_count_together_lose_no_more_than_a_few() {
        let latency = Latency::default();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..10_000).for_each(|_| latency.add(MILLI)));
            }
        });
        assert_about(latency.delay(), MILLI);
    }
}
