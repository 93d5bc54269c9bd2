//! What an operator may set beside what every process knows.

use std::time::Duration;

use mesh::Settings;

/// Settings of payments.
#[derive(Clone, Debug)]
pub struct Config {
    /// How long the feed is silent at most. To be shorter than what a proxy on
    /// the way takes for an idle connection.
    pub feed_heartbeat: Duration,
    /// How long the built-in provider takes to answer for `card-slow`.
    pub simulated_delay: Duration,
}

impl Config {
    /// Reads `feed_heartbeat` (default `5s`, from `100ms` to `10s`) and
    /// `simulated_delay` (default `2s`, up to `60s`).
    pub fn read(settings: &mut Settings) -> Self {
        let feed_heartbeat = settings.get("feed_heartbeat", Duration::from_secs(5));
        // Consumers take 15 s of silence for a dead connection.
        let sensible = Duration::from_millis(100)..=Duration::from_secs(10);
        let rule = "must be from 100ms to 10s";
        settings.require("feed_heartbeat", sensible.contains(&feed_heartbeat), rule);
        let simulated_delay = settings.get("simulated_delay", Duration::from_secs(2));
        // A minute is far beyond every deadline, and nobody waits for longer.
        let sensible = Duration::ZERO..=Duration::from_secs(60);
        let rule = "must be at most 60s";
        settings.require("simulated_delay", sensible.contains(&simulated_delay), rule);
        Config { feed_heartbeat, simulated_delay }
    }
}

impl Default for Config {
    /// What holds when nothing is set.
    fn default() -> Self {
        Config::read(&mut Settings::from_pairs("payments", &[]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heartbeat_that_consumers_would_miss_is_refused() {
        for (text, right) in [("100ms", true), ("10s", true), ("99ms", false), ("15s", false)] {
            let mut settings = Settings::from_pairs("payments", &[("feed_heartbeat", text)]);
            Config::read(&mut settings);
            assert_eq!(settings.finish().is_ok(), right, "{text}");
        }
        assert_eq!(Config::default().feed_heartbeat, Duration::from_secs(5));
    }
}
