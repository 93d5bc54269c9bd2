//! When a worker makes its next call: at once, or when it is due at a fixed rate.

use std::time::{Duration, Instant};

use crate::args::Load;

/// The pace of one worker.
#[derive(Debug)]
pub(crate) struct Pace {
    /// When the next call is due; `None` in a closed loop.
    due: Option<Instant>,
    every: Duration,
}

impl Pace {
    pub(super) fn of(options: &Load, worker: usize) -> Self {
        let Some(rate) = options.rate else {
            return Self { due: None, every: Duration::ZERO };
        };
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let between = Duration::from_secs(1) / rate;
        Self {
            due: Some(Instant::now() + between * count(worker)),
            every: between * count(options.concurrency),
        }
    }

    /// Waits for the next turn, and tells since when its call counts. A call that
    /// is due while the one before it still lasts counts from when it was due:
    /// who is kept from calling waits, too. Otherwise it counts from now, since
    /// that a timer wakes a millisecond late is not the fault of what is called.
    pub(crate) async fn turn(&mut self) -> Instant {
        let now = Instant::now();
        let Some(due) = self.due else {
            return now;
        };
        self.due = Some(due + self.every);
        if due <= now {
            return due;
        }
        tokio::time::sleep_until(due.into()).await;
        Instant::now()
    }
}
