//! What an operator may set beside what every process knows.

use std::time::Duration;

use mesh::Settings;

/// Settings of orders.
#[derive(Clone, Debug)]
pub struct Config {
    /// How long the feed is silent at most. To be shorter than what a proxy on
    /// the way takes for an idle connection.
    pub feed_heartbeat: Duration,
}

impl Config {
    /// Reads `feed_heartbeat` (default `5s`, from `100ms` to `10s`).
    pub fn read(settings: &mut Settings) -> Self {
        let feed_heartbeat = settings.get("feed_heartbeat", Duration::from_secs(5));
        // Consumers take 15 s of silence for a dead connection.
        let sensible = Duration::from_millis(100)..=Duration::from_secs(10);
        let rule = "must be from 100ms to 10s";
        settings.require("feed_heartbeat", sensible.contains(&feed_heartbeat), rule);
        Config { feed_heartbeat }
    }
}

impl Default for Config {
    /// What holds when nothing is set.
    fn default() -> Self {
        Config::read(&mut Settings::from_pairs("orders", &[]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heartbeat_that_consumers_would_miss_is_refused() {
        for (text, right) in [("100ms", true), ("10s", true), ("99ms", false), ("15s", false)] {
            let mut settings = Settings::from_pairs("orders", &[("feed_heartbeat", text)]);
            Config::read(&mut settings);
            assert_eq!(settings.finish().is_ok(), right, "{text}");
        }
        assert_eq!(Config::default().feed_heartbeat, Duration::from_secs(5));
    }
}
