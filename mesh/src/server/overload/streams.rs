//! Streamed calls at once. They last for as long as somebody listens, so that
//! their time tells nothing of the load and waiting for one to end is in vain:
//! a plain bound, whose last places are kept for the higher classes.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use crate::{Criticality, criticality::CLASSES};

/// How much of the bound each class may fill, in thousandths.
const SHARES: [u32; CLASSES] = [500, 750, 950, 1_000];

/// The streamed calls of a process.
#[derive(Debug)]
pub(super) struct Streams {
    open: AtomicU32,
    max: u32,
}

impl Streams {
    pub(super) fn new(max: u32) -> Self {
        Self { open: AtomicU32::new(0), max }
    }

    pub(super) fn open(&self) -> u32 {
        self.open.load(Relaxed)
    }

    /// Counts one more, if its class may.
    pub(super) fn enter(&self, class: Criticality) -> Option<Stream<'_>> {
        let most = u64::from(self.max) * u64::from(SHARES[class as usize]);
        // At least one place for everybody, however small the bound.
        let most = most.div_ceil(1_000);
        let more = |open: u32| (u64::from(open) < most).then_some(open + 1);
        self.open.fetch_update(Relaxed, Relaxed, more).ok()?;
        Some(Stream(self))
    }
}

/// A streamed call, counted until it is dropped.
#[derive(Debug)]
pub(crate) struct Stream<'a>(&'a Streams);

impl Drop for Stream<'_> {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_places_are_kept_for_the_higher_classes() {
        let streams = Streams::new(20);
        let mut held = Vec::new();
        for (class, expected) in [
            (Criticality::Sheddable, 10),
            (Criticality::SheddablePlus, 15),
            (Criticality::Critical, 19),
            (Criticality::CriticalPlus, 20),
        ] {
            held.extend(std::iter::from_fn(|| streams.enter(class)));
            assert_eq!(streams.open(), expected);
        }
        drop(held);
        assert_eq!(streams.open(), 0);
        assert!(Streams::new(1).enter(Criticality::Sheddable).is_some());
    }
}
