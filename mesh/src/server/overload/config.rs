//! What may be set about overload, with its bounds.

use std::time::Duration;

use crate::settings::{Setting, Settings};

/// Settings `overload` and `overload_*`.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// `overload`: `on`, or `off` to take every call that comes.
    pub(crate) on: bool,
    /// `overload_start`: calls at once before anything is known of the load.
    pub(crate) start: u32,
    /// `overload_min`: the limit never falls below. A process that takes too few
    /// calls learns nothing from them.
    pub(crate) min: u32,
    /// `overload_max`: the limit never rises above.
    pub(crate) max: u32,
    /// `overload_target`: how long a call of the lowest class waits while its
    /// line stands.
    pub(crate) target: Duration,
    /// `overload_interval`: a line of the lowest class that has not been empty
    /// for so long stands; until then its calls wait as long at most.
    pub(crate) interval: Duration,
    /// `overload_queue`: calls that wait at once.
    pub(crate) queue: usize,
    /// `overload_streams`: streamed calls at once.
    pub(crate) streams: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            on: true,
            // Netflix's gradient limiter starts at 20. Its bounds are 20 and 200;
            // handlers that only wait for others need more, small ones less.
            start: 20,
            min: 8,
            max: 1_000,
            // CoDel's constants (RFC 8289 §4.2 and §4.3).
            target: Duration::from_millis(5),
            interval: Duration::from_millis(100),
            // What the largest limit serves in one interval of 100 ms calls.
            queue: 1_000,
            // A stream costs a task and up to 1 MiB of unsent answer.
            streams: 2_000,
        }
    }
}

/// Largest `overload_max`: far above any use, far below what counters hold.
const MOST: u32 = 1_000_000;

impl Config {
    pub(crate) fn read(settings: &mut Settings) -> Self {
        let default = Self::default();
        let config = Self {
            on: settings.get("overload", Switch(default.on)).0,
            start: settings.get("overload_start", default.start),
            min: settings.get("overload_min", default.min),
            max: settings.get("overload_max", default.max),
            target: settings.get("overload_target", default.target),
            interval: settings.get("overload_interval", default.interval),
            queue: settings.get("overload_queue", default.queue),
            streams: settings.get("overload_streams", default.streams),
        };
        let ordered = config.min >= 1 && config.min <= config.start && config.start <= config.max;
        let rule = "1 <= overload_min <= overload_start <= overload_max must hold";
        settings.require("overload_start", ordered, rule);
        settings.require("overload_max", config.max <= MOST, "must be at most 1000000");
        let waits = config.target <= config.interval && !config.interval.is_zero();
        let rule = "must be positive and at least overload_target";
        settings.require("overload_interval", waits, rule);
        settings.require("overload_streams", config.streams >= 1, "must be at least 1");
        config
    }
}

struct Switch(bool);

impl Setting for Switch {
    fn parse(text: &str) -> Result<Self, &'static str> {
        match text {
            "on" => Ok(Self(true)),
            "off" => Ok(Self(false)),
            _ => Err("on or off"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistakes(pairs: &[(&str, &str)]) -> usize {
        let mut settings = Settings::from_pairs("shop", pairs);
        Config::read(&mut settings);
        settings.finish().map_or_else(|error| error.mistakes().len(), |()| 0)
    }

    #[test]
    fn the_defaults_keep_their_own_rules() {
        assert_eq!(mistakes(&[]), 0);
    }

    #[test]
    fn bounds_that_contradict_each_other_are_told() {
        for pairs in [
            [("overload_min", "0")],
            [("overload_min", "21")],
            [("overload_start", "1001")],
            [("overload_target", "101ms")],
            [("overload_streams", "0")],
            [("overload", "maybe")],
        ] {
            assert_eq!(mistakes(&pairs), 1, "{pairs:?}");
        }
    }
}
