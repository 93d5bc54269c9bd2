//! Time as the channel's atomics keep it: milliseconds since a pool began. A
//! millisecond is fine enough for what is compared here, and small enough to
//! share a word with what it dates.

use std::time::Duration;

use tokio::time::Instant;

/// A moment, in milliseconds; none is zero, which stands for "never".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Tick(u64);

impl Tick {
    /// Before every moment.
    pub(crate) const NEVER: Self = Self(0);

    pub(crate) fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    pub(crate) fn millis(self) -> u64 {
        self.0
    }

    /// How long `earlier` is past; zero when it is not.
    pub(crate) fn millis_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    pub(crate) fn after(self, wait: Duration) -> Self {
        Self(self.0 + u64::try_from(wait.as_millis()).unwrap_or(u64::MAX / 2))
    }
}

/// Where ticks are counted from. Each pool has its own, so that a test's paused
/// clock cannot run against another's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Epoch(Instant);

impl Epoch {
    pub(crate) fn begin() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn tick(self, at: Instant) -> Tick {
        let millis = at.saturating_duration_since(self.0).as_millis();
        Tick(u64::try_from(millis).unwrap_or(u64::MAX / 2) + 1)
    }
}
