//! What an operator may set beside what every process knows.

use std::time::Duration;

use mesh::Settings;

/// Settings of the registry.
#[derive(Clone, Debug)]
pub struct Config {
    /// How long an instance is believed to live without a renewal. Three seconds
    /// let two of three renewals get lost, and a dead instance is gone before
    /// its callers' patience is.
    pub lease: Duration,
}

impl Config {
    /// Reads `lease` (default `3s`, from `100ms` to `10m`).
    pub fn read(settings: &mut Settings) -> Self {
        let lease = settings.get("lease", Duration::from_secs(3));
        let sensible = Duration::from_millis(100)..=Duration::from_mins(10);
        settings.require("lease", sensible.contains(&lease), "must be from 100ms to 10m");
        Self { lease }
    }
}
