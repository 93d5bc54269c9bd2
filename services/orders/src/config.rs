//! What an operator may set beside what every process knows.

use std::time::Duration;

use durable::saga::Retry;
use mesh::Settings;

/// Settings of orders.
#[derive(Clone, Debug)]
pub struct Config {
    /// How long the feed is silent at most. To be shorter than what a proxy on
    /// the way takes for an idle connection.
    pub feed_heartbeat: Duration,
    /// How often it is tried to undo a step before somebody is asked. Waits grow
    /// in between, to half a minute.
    pub undo_attempts: u32,
}

impl Config {
    /// Reads `feed_heartbeat` (default `5s`, from `100ms` to `10s`) and
    /// `undo_attempts` (default 48, which takes about ten minutes; 1 to 1000).
    pub fn read(settings: &mut Settings) -> Self {
        let feed_heartbeat = settings.get("feed_heartbeat", Duration::from_secs(5));
        // Consumers take 15 s of silence for a dead connection.
        let sensible = Duration::from_millis(100)..=Duration::from_secs(10);
        let rule = "must be from 100ms to 10s";
        settings.require("feed_heartbeat", sensible.contains(&feed_heartbeat), rule);
        let undo_attempts = settings.get("undo_attempts", Retry::UNDO.attempts);
        let rule = "must be from 1 to 1000";
        settings.require("undo_attempts", (1..=1_000).contains(&undo_attempts), rule);
        Config { feed_heartbeat, undo_attempts }
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

    #[test]
    fn an_undoing_is_tried_at_least_once_and_not_for_ever() {
        for (text, right) in [("1", true), ("1000", true), ("0", false), ("1001", false)] {
            let mut settings = Settings::from_pairs("orders", &[("undo_attempts", text)]);
            Config::read(&mut settings);
            assert_eq!(settings.finish().is_ok(), right, "{text}");
        }
        assert_eq!(Config::default().undo_attempts, 48);
    }
}
