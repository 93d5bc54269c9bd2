//! Which instances are out of rotation, and how many may be: open breakers count
//! only as long as at least half of the instances remain. When more than half
//! would be gone, the fault is hardly theirs, or what is left could not bear the
//! load: then all are called again ("panic"), and the scores steer.
//!
//! The bound is checked with the instance in question already out (Envoy checked
//! before, and so went past it), against all instances that the resolver knows,
//! so that a small rest of a large application is not made smaller.

use super::breaker::Counts;

/// Fewer instances, or calls of each within a window, are no statistics
/// (gRFC A50).
const MIN_INSTANCES: usize = 5;
const MIN_CALLS: u32 = 100;
/// So many standard deviations below the mean (gRFC A50) ...
const DEVIATIONS: f64 = 1.9;
/// ... and at least so much of the calls: where nothing fails, the deviation is
/// next to nothing, too.
const MIN_GAP: f64 = 0.1;

/// What becomes of the instances with open breakers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Routing {
    /// They get no calls but probes.
    Without,
    /// Too many: all connected instances are called.
    Panic,
}

/// Decides for `known` instances, of which `connected` can be called and `open`
/// of those have open breakers.
pub(crate) fn routing(known: usize, connected: usize, open: usize) -> Routing {
    let left = connected.saturating_sub(open);
    if open == 0 || left >= known.max(connected).div_ceil(2) {
        Routing::Without
    } else {
        Routing::Panic
    }
}

/// Instances whose success rate is far below that of the others.
pub(crate) fn outliers(windows: &[Counts]) -> Vec<usize> {
    let rates: Vec<(usize, f64)> = windows
        .iter()
        .enumerate()
        .filter(|(_, counts)| counts.calls >= MIN_CALLS)
        .map(|(at, counts)| (at, 1.0 - f64::from(counts.failures) / f64::from(counts.calls)))
        .collect();
    if rates.len() < MIN_INSTANCES {
        return Vec::new();
    }
    #[expect(clippy::cast_precision_loss, reason = "a count of instances")]
    let count = rates.len() as f64;
    let mean = rates.iter().map(|(_, rate)| rate).sum::<f64>() / count;
    let variance = rates.iter().map(|(_, rate)| (rate - mean).powi(2)).sum::<f64>() / count;
    let bound = mean - (DEVIATIONS * variance.sqrt()).max(MIN_GAP);
    rates.iter().filter(|(_, rate)| *rate < bound).map(|(at, _)| *at).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn counts(calls: u32, failures: u32) -> Counts {
        Counts { calls, failures }
    }

    proptest! {
        #[test]
        fn at_least_half_of_what_is_known_stays_in_rotation(
            known in 0_usize..60,
            connected in 0_usize..60,
            open in 0_usize..60,
        ) {
            let connected = connected.min(known);
            let open = open.min(connected);
            let called = match routing(known, connected, open) {
                Routing::Without => connected - open,
                Routing::Panic => connected,
            };
            // Either half of the known ones, or all that can be called at all.
            prop_assert!(called >= known.div_ceil(2) || called == connected);
            prop_assert!(called > 0 || connected == 0, "never are all of them out");
        }

        #[test]
        fn ejecting_one_more_is_checked_with_it_already_out(known in 1_usize..60) {
            let most = known / 2;
            prop_assert_eq!(routing(known, known, most), Routing::Without);
            prop_assert_eq!(routing(known, known, most + 1), Routing::Panic);
        }

        #[test]
        fn the_better_half_is_no_outlier(
            windows in prop::collection::vec((100_u32..1_000, 0_u32..=100), 0..60),
        ) {
            let windows: Vec<Counts> =
                windows.into_iter().map(|(calls, failures)| counts(calls, failures)).collect();
            prop_assert!(outliers(&windows).len() * 2 <= windows.len());
        }
    }

    #[test]
    fn the_only_instance_is_never_out() {
        assert_eq!(routing(1, 1, 1), Routing::Panic);
    }

    #[test]
    fn one_of_two_and_one_of_three_may_be_out() {
        for (known, open, expected) in [
            (2, 1, Routing::Without),
            (2, 2, Routing::Panic),
            (3, 1, Routing::Without),
            (3, 2, Routing::Panic),
        ] {
            assert_eq!(routing(known, known, open), expected, "{open} of {known}");
        }
    }

    #[test]
    fn instances_that_are_not_connected_count_as_out() {
        assert_eq!(routing(4, 2, 0), Routing::Without, "there is nobody to bring back");
        assert_eq!(routing(4, 2, 1), Routing::Panic);
    }

    #[test]
    fn an_instance_that_fails_more_than_the_others_is_an_outlier() {
        let mut windows = vec![counts(200, 2); 4];
        windows.push(counts(200, 60));
        assert_eq!(outliers(&windows), [4]);
    }

    #[test]
    fn small_differences_few_calls_and_few_instances_make_no_outlier() {
        let mut close = vec![counts(1_000, 0); 4];
        close.push(counts(1_000, 50));
        assert!(outliers(&close).is_empty());
        let mut quiet = vec![counts(99, 0); 4];
        quiet.push(counts(99, 99));
        assert!(outliers(&quiet).is_empty());
        assert!(outliers(&[counts(200, 0), counts(200, 0), counts(200, 200)]).is_empty());
    }
}
