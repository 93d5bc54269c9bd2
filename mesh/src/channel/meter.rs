//! How many calls an instance has, and how many it has had, in one word: one
//! addition when a call begins, one when it ends.

use crate::atomic::{AtomicU64, Ordering::Relaxed};

/// Calls now are the lower bits: sixteen million. Calls ever are the others:
/// a hundred thousand a second for four months, and then they begin again.
const NOW_BITS: u32 = 24;

#[derive(Debug, Default)]
pub(crate) struct Meter(AtomicU64);

impl Meter {
    pub(crate) fn begin(&self) {
        self.0.fetch_add(1 << NOW_BITS | 1, Relaxed);
    }

    /// Ends what was begun.
    pub(crate) fn end(&self) {
        self.0.fetch_sub(1, Relaxed);
    }

    pub(crate) fn now(&self) -> u32 {
        let now = self.0.load(Relaxed) & ((1 << NOW_BITS) - 1);
        u32::try_from(now).expect("24 bits")
    }

    pub(crate) fn ever(&self) -> u64 {
        self.0.load(Relaxed) >> NOW_BITS
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn whatever_the_order_of_ends_all_is_zero_in_the_end(order in prop::collection::vec(any::<bool>(), 0..300)) {
            let meter = Meter::default();
            let (mut now, mut ever) = (0, 0);
            for begins in order {
                if begins {
                    meter.begin();
                    (now, ever) = (now + 1, ever + 1);
                } else if now > 0 {
                    meter.end();
                    now -= 1;
                }
                prop_assert_eq!((meter.now(), meter.ever()), (now, ever));
            }
            (0..now).for_each(|_| meter.end());
            prop_assert_eq!((meter.now(), meter.ever()), (0, ever));
        }
    }
}
