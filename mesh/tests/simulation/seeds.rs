//! Which seeds a test runs: all up to a number, or the one that has failed.

use std::env;

/// `TITAN_TEST_SEED=7` runs that one, `TITAN_TEST_SEEDS=10000` so many; otherwise
/// as many as the test can afford at every push.
pub(crate) fn seeds(usually: u64) -> Vec<u64> {
    let number = |name| env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    match number("TITAN_TEST_SEED") {
        Some(seed) => vec![seed],
        None => (0..number("TITAN_TEST_SEEDS").unwrap_or(usually)).collect(),
    }
}
