//! The part of a large application that one caller connects to. Without it a
//! hundred callers of a thousand instances hold a hundred thousand connections,
//! most of them idle, and each score is learned from a call in a while.
//!
//! Each caller ranks the instances by a hash of its own number and theirs and
//! takes the first (rendezvous hashing, gRFC A68). Nobody has to count the
//! callers, as the SRE book's deterministic subsetting must; when one instance
//! comes or goes, a caller changes at most one place; and the instances' shares
//! of callers differ as chance has it, which the choice among the subsets evens
//! out.

use crate::{resolver::Listed, settings::Settings};

/// Applications of up to this many instances are taken whole: the SRE book finds
/// 20 to 100 enough, and a connection that rests costs little.
const SUBSET: usize = 100;
/// Fewer are no choice.
const MIN_SUBSET: usize = 2;
/// A zone's name is as long as the registry takes it.
const MAX_ZONE: usize = 64;
/// One place in four is kept for instances in other zones, so that a caller has
/// somebody to go to when its own zone fails.
const ABROAD: usize = 4;

/// Where a process stands among the instances that it calls.
#[derive(Clone, Debug, Default)]
pub(crate) struct Standpoint {
    /// Its zone; empty when it has none.
    pub(crate) zone: String,
    /// The most instances of one application to connect to; zero for all. Default
    /// 100.
    pub(crate) subset: usize,
    /// Tells this process from others that call the same application.
    pub(crate) seed: u64,
}

impl Standpoint {
    pub(crate) fn read(settings: &mut Settings) -> Self {
        let zone: String = settings.get("zone", String::new());
        settings.require("zone", zone.len() <= MAX_ZONE, "must have at most 64 bytes");
        let subset = settings.get("subset", SUBSET);
        let ok = subset == 0 || subset >= MIN_SUBSET;
        settings.require("subset", ok, "must be 0, which is all, or at least 2");
        // Another start of the process is another caller.
        Self { zone, subset, seed: fastrand::u64(..) }
    }

    /// Whether an instance is in this process's zone.
    pub(crate) fn is_home(&self, instance: &Listed) -> bool {
        !self.zone.is_empty() && self.zone == instance.zone
    }

    /// The instances to connect to, and the others.
    pub(crate) fn divide(&self, mut all: Vec<Listed>) -> (Vec<Listed>, Vec<Listed>) {
        if self.subset == 0 || all.len() <= self.subset {
            return (all, Vec::new());
        }
        // Who is drained is taken last: it would be a place without use.
        all.sort_by_cached_key(|one| (one.weight == 0, self.rank(one)));
        if !self.zone.is_empty() {
            let abroad = self.subset / ABROAD;
            let (home, others): (Vec<_>, Vec<_>) =
                all.into_iter().partition(|one| self.is_home(one));
            let at_home = home.len().min(self.subset - abroad.min(others.len()));
            let mut home = home.into_iter();
            all = home.by_ref().take(at_home).chain(others).collect();
            all.extend(home);
        }
        let outside = all.split_off(self.subset);
        (all, outside)
    }

    fn rank(&self, instance: &Listed) -> u64 {
        let target = &instance.target;
        let hash = super::hash::bytes(target.address.as_bytes(), self.seed);
        super::hash::bytes(target.instance.as_bytes(), hash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resolver::Target;

    fn instance(at: usize, zone: &str) -> Listed {
        let target = Target { address: format!("10.0.0.{at}:1"), instance: format!("shop-{at}") };
        Listed { target, zone: zone.to_owned(), weight: 100 }
    }

    fn instances(count: usize) -> Vec<Listed> {
        (0..count).map(|at| instance(at, "")).collect()
    }

    fn caller(seed: u64, subset: usize) -> Standpoint {
        Standpoint { zone: String::new(), subset, seed }
    }

    #[test]
    fn small_applications_are_taken_whole() {
        for count in [0, 1, 2, 3, 20] {
            let (inside, outside) = caller(1, 20).divide(instances(count));
            assert_eq!((inside.len(), outside.len()), (count, 0));
        }
        assert_eq!(caller(1, 0).divide(instances(1_000)).0.len(), 1_000, "no subset is set");
    }

    #[test]
    fn a_caller_always_takes_the_same_ones_whatever_their_order() {
        let mut all = instances(100);
        let (first, _) = caller(7, 20).divide(all.clone());
        all.reverse();
        assert_eq!(caller(7, 20).divide(all).0, first);
        assert_ne!(caller(8, 20).divide(instances(100)).0, first, "another caller, others");
    }

    #[test]
    fn the_callers_are_spread_evenly_over_the_instances() {
        let mut callers = vec![0_u32; 100];
        for seed in 0..500 {
            for one in caller(seed, 20).divide(instances(100)).0 {
                let at = one.target.instance.trim_start_matches("shop-").parse::<usize>().unwrap();
                callers[at] += 1;
            }
        }
        // A hundred each; the deviation of 500 draws of one in five is nine.
        assert!(callers.iter().all(|count| (64..=136).contains(count)), "{callers:?}");
    }

    #[test]
    fn an_instance_that_comes_or_goes_changes_one_place_at_most() {
        for seed in 0..50 {
            let (before, _) = caller(seed, 20).divide(instances(100));
            let gone: Vec<Listed> = instances(100).split_off(1);
            let (after, _) = caller(seed, 20).divide(gone);
            let kept = before.iter().filter(|one| after.contains(one)).count();
            assert!(kept >= 19, "{kept} of 20 kept");
        }
    }

    #[test]
    fn a_quarter_of_the_places_is_for_other_zones_while_there_are_any() {
        let zones = |count: usize, other: usize| {
            let mut all: Vec<_> = (0..count).map(|at| instance(at, "a")).collect();
            all.extend((0..other).map(|at| instance(100 + at, "b")));
            let caller = Standpoint { zone: "a".to_owned(), ..caller(3, 20) };
            let (inside, outside) = caller.divide(all);
            assert_eq!(inside.len() + outside.len(), count + other);
            (inside.len(), inside.iter().filter(|one| one.zone == "a").count())
        };
        assert_eq!(zones(50, 50), (20, 15));
        assert_eq!(zones(50, 2), (20, 18));
        assert_eq!(zones(3, 50), (20, 3));
        assert_eq!(zones(0, 50), (20, 0));
        assert_eq!(zones(50, 0), (20, 20));
    }

    #[test]
    fn who_is_drained_takes_nobodys_place() {
        let mut all = instances(30);
        all.iter_mut().take(15).for_each(|one| one.weight = 0);
        let (inside, _) = caller(5, 20).divide(all);
        assert_eq!(inside.iter().filter(|one| one.weight > 0).count(), 15);
    }
}
