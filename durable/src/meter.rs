//! Counters of this process for `/metrics`, one set for each name of bounded
//! number.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, Once, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use mesh::metrics::{Buckets, Part};

/// Names with an entry of their own. They are written in programs, but nothing
/// keeps one from making them up.
const MAX_NAMES: usize = 64;
/// The entry of all others.
const OTHER: &str = "other";

/// Values by name, and the part of the page that shows them.
pub(crate) struct Family<T: 'static> {
    values: Mutex<BTreeMap<String, Arc<T>>>,
    shown: Once,
    page: fn(&mut Part<'_>),
}

impl<T: Default> Family<T> {
    pub(crate) const fn new(page: fn(&mut Part<'_>)) -> Self {
        Self { values: Mutex::new(BTreeMap::new()), shown: Once::new(), page }
    }

    /// The values of a name.
    pub(crate) fn of(&self, name: &str) -> Arc<T> {
        self.shown.call_once(|| mesh::metrics::add(self.page));
        let mut values = self.lock();
        if let Some(known) = values.get(name) {
            return known.clone();
        }
        let name = if values.len() < MAX_NAMES { name } else { OTHER };
        values.entry(name.to_owned()).or_default().clone()
    }

    /// All of them, by name.
    pub(crate) fn all(&self) -> Vec<(String, Arc<T>)> {
        self.lock().iter().map(|(name, values)| (name.clone(), values.clone())).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Arc<T>>> {
        // Nothing that holds it can panic halfway through a change.
        self.values.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How often something took how long.
#[derive(Debug, Default)]
pub(crate) struct Durations {
    /// The last is of those above all bounds.
    counts: [AtomicU64; BOUNDS.len() + 1],
    micros: AtomicU64,
}

/// Seconds: Prometheus' own choice, from a call within a machine to its deadline.
pub(crate) const BOUNDS: [f64; 11] =
    [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

impl Durations {
    pub(crate) fn add(&self, took: Duration) {
        let place = BOUNDS.partition_point(|bound| *bound < took.as_secs_f64());
        self.counts[place].fetch_add(1, Relaxed);
        self.micros.fetch_add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), Relaxed);
    }

    pub(crate) fn buckets(&self) -> Buckets {
        let counts = self.counts.iter().map(|count| count.load(Relaxed)).collect();
        let sum = Duration::from_micros(self.micros.load(Relaxed)).as_secs_f64();
        Buckets { counts, sum }
    }
}

/// Seconds since a time in microseconds since 1970; zero for none.
pub(crate) fn age(since: i64, now: i64) -> f64 {
    let micros = if since == 0 { 0 } else { now.saturating_sub(since).max(0) };
    Duration::from_micros(micros.unsigned_abs()).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(_: &mut Part<'_>) {}

    #[test]
    fn made_up_names_share_an_entry() {
        static FAMILY: Family<AtomicU64> = Family::new(page);
        for number in 0..200 {
            FAMILY.of(&format!("k{number}")).fetch_add(1, Relaxed);
        }
        FAMILY.of("k0").fetch_add(1, Relaxed);
        let all = FAMILY.all();
        assert_eq!(all.len(), MAX_NAMES + 1);
        let counts: u64 = all.iter().map(|(_, count)| count.load(Relaxed)).sum();
        assert_eq!(counts, 201);
    }

    #[test]
    fn a_duration_counts_in_the_first_bucket_that_holds_it() {
        let durations = Durations::default();
        for millis in [1, 5, 6, 10_000, 10_001] {
            durations.add(Duration::from_millis(millis));
        }
        let Buckets { counts, sum } = durations.buckets();
        assert_eq!(counts, [2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1]);
        assert!((sum - 20.013).abs() < 1e-9, "{sum}");
    }
}
