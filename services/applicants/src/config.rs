//! What an operator may set beside what every process knows.

use std::time::Duration;

use mesh::Settings;

/// Settings of applicants.
#[derive(Clone, Debug)]
pub struct Config {
    /// How long the feed is silent at most. To be shorter than what a proxy on
    /// the way takes for an idle connection.
    pub feed_heartbeat: Duration,
    /// Submissions that a project takes in, ended ones counted. A new title
    /// reaches all of them in one transaction, at about a millisecond each on
    /// PostgreSQL, and other writers wait for it.
    pub max_submissions_per_project: u32,
}

impl Config {
    /// Reads `feed_heartbeat` (default `5s`, from `100ms` to `10s`) and
    /// `max_submissions_per_project` (default 1000, from 1 to 5000).
    pub fn read(settings: &mut Settings) -> Self {
        let feed_heartbeat = settings.get("feed_heartbeat", Duration::from_secs(5));
        // Consumers take 15 s of silence for a dead connection.
        let sensible = Duration::from_millis(100)..=Duration::from_secs(10);
        let rule = "must be from 100ms to 10s";
        settings.require("feed_heartbeat", sensible.contains(&feed_heartbeat), rule);

        let most = settings.get("max_submissions_per_project", 1_000);
        // Each stream that is appended to is a lock, and PostgreSQL has room for
        // some 6,400 of them unless told otherwise.
        let (sensible, rule) = (1..=5_000, "must be from 1 to 5000");
        settings.require("max_submissions_per_project", sensible.contains(&most), rule);
        Config { feed_heartbeat, max_submissions_per_project: most }
    }
}

impl Default for Config {
    /// What holds when nothing is set.
    fn default() -> Self {
        Config::read(&mut Settings::from_pairs("applicants", &[]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_do_harm_is_refused() {
        for (key, text, right) in [
            ("feed_heartbeat", "100ms", true),
            ("feed_heartbeat", "10s", true),
            ("feed_heartbeat", "99ms", false),
            ("feed_heartbeat", "15s", false),
            ("max_submissions_per_project", "5000", true),
            ("max_submissions_per_project", "0", false),
            ("max_submissions_per_project", "5001", false),
        ] {
            let mut settings = Settings::from_pairs("applicants", &[(key, text)]);
            Config::read(&mut settings);
            assert_eq!(settings.finish().is_ok(), right, "{key} = {text}");
        }
    }
}
