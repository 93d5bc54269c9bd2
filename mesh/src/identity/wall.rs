//! The second of the wall clock, looked up once in each second of the monotonic
//! one: every call needs it on both sides, for proofs that last minutes, and has
//! read the monotonic clock anyway. Reading a clock is not free: on a virtual
//! machine whose time stamp counter is intercepted it takes as long as a thousand
//! instructions.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use tokio::time::Instant;

use super::unix_now;

/// What was seen of the wall clock.
#[derive(Debug)]
pub(super) struct Wall {
    born: Instant,
    /// In which second since then it was read, plus one, and what it showed: half a
    /// word each, which lasts until 2106.
    seen: AtomicU64,
}

impl Wall {
    pub(super) fn new() -> Self {
        Self { born: Instant::now(), seen: AtomicU64::new(0) }
    }

    /// Seconds since 1970 at `now`, at most a second late.
    pub(super) fn second(&self, now: Instant) -> u64 {
        self.second_by(now, unix_now)
    }

    fn second_by(&self, now: Instant, read: impl FnOnce() -> u64) -> u64 {
        const HALF: u64 = u32::MAX as u64;
        let age = (now.saturating_duration_since(self.born).as_secs() + 1) & HALF;
        let seen = self.seen.load(Relaxed);
        if seen >> 32 == age {
            return seen & HALF;
        }
        let second = read() & HALF;
        self.seen.store(age << 32 | second, Relaxed);
        second
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_wall_clock_is_read_once_a_second() {
        let wall = Wall::new();
        let at = |millis| wall.born + Duration::from_millis(millis);
        assert_eq!(wall.second_by(at(0), || 1_000), 1_000);
        assert_eq!(wall.second_by(at(999), || unreachable!("it is known")), 1_000);
        assert_eq!(wall.second_by(at(1_000), || 1_001), 1_001);
    }

    #[test]
    fn a_wall_clock_that_is_set_back_is_believed() {
        let wall = Wall::new();
        wall.second_by(wall.born, || 1_000);
        assert_eq!(wall.second_by(wall.born + Duration::from_secs(1), || 10), 10);
    }
}
