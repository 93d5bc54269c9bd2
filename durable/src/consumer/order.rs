//! The order that a feed promises, checked by who depends on it.

use std::collections::HashMap;

use crate::Event;

/// Streams whose last version is remembered. A check that sees most of the
/// traffic is worth its memory; one that grows with the log is not.
const MAX_STREAMS: usize = 10_000;

/// What a subscription has seen.
pub(super) struct Order {
    position: i64,
    /// All types are subscribed, so nothing may be missing.
    complete: bool,
    versions: HashMap<String, i64>,
}

/// A feed that broke its promise. Nothing of the batch is applied.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Disorder {
    #[error("position {found} came after {after}")]
    Position { after: i64, found: i64 },
    #[error("version {found} of {stream} came after {after}")]
    Version { stream: String, after: i64, found: i64 },
}

impl Order {
    pub(super) fn new(position: i64, complete: bool) -> Self {
        Self { position, complete, versions: HashMap::new() }
    }

    pub(super) fn check(&mut self, events: &[Event], position: i64) -> Result<(), Disorder> {
        for event in events {
            self.check_position(event.position)?;
            self.check_version(event)?;
        }
        let after = self.position;
        if position < after || (self.complete && position != after) {
            return Err(Disorder::Position { after, found: position });
        }
        self.position = position;
        Ok(())
    }

    fn check_position(&mut self, found: i64) -> Result<(), Disorder> {
        let after = self.position;
        let right = if self.complete { found == after + 1 } else { found > after };
        if !right {
            return Err(Disorder::Position { after, found });
        }
        self.position = found;
        Ok(())
    }

    fn check_version(&mut self, event: &Event) -> Result<(), Disorder> {
        let Some(known) = self.versions.get_mut(&event.stream) else {
            if self.versions.len() >= MAX_STREAMS {
                self.versions.clear();
            }
            self.versions.insert(event.stream.clone(), event.version);
            return Ok(());
        };
        let after = std::mem::replace(known, event.version);
        let found = event.version;
        let right = if self.complete { found == after + 1 } else { found > after };
        if right {
            return Ok(());
        }
        Err(Disorder::Version { stream: event.stream.clone(), after, found })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(position: i64, stream: &str, version: i64) -> Event {
        Event {
            position,
            stream: stream.into(),
            version,
            kind: String::new(),
            data: Default::default(),
            time: 0,
            traceparent: String::new(),
            actor: String::new(),
            correlation: String::new(),
            causation: String::new(),
        }
    }

    #[test]
    fn a_complete_feed_has_no_gap() {
        let good = [event(8, "a", 3), event(9, "b", 1), event(10, "a", 4)];
        assert_eq!(Order::new(7, true).check(&good, 10), Ok(()));
        let bad: [(&[Event], i64); 5] = [
            (&[event(9, "a", 3)], 9),
            (&[event(7, "a", 3)], 7),
            (&[event(8, "a", 3), event(9, "a", 5)], 9),
            (&[event(8, "a", 3), event(9, "a", 3)], 9),
            (&[event(8, "a", 3)], 9),
        ];
        for (events, position) in bad {
            assert!(Order::new(7, true).check(events, position).is_err(), "{events:?}");
        }
    }

    #[test]
    fn a_filtered_feed_only_rises() {
        let good = [event(9, "a", 3), event(30, "a", 7)];
        assert_eq!(Order::new(7, false).check(&good, 100), Ok(()));
        let bad: [(&[Event], i64); 4] = [
            (&[event(7, "a", 3)], 8),
            (&[event(9, "a", 3), event(9, "b", 1)], 9),
            (&[event(9, "a", 3), event(10, "a", 2)], 10),
            (&[event(9, "a", 3)], 8),
        ];
        for (events, position) in bad {
            assert!(Order::new(7, false).check(events, position).is_err(), "{events:?}");
        }
    }
}
