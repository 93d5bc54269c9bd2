//! The newest events in memory, read from the database once for all who follow
//! the log in this process.
//!
//! It holds nothing but what a reader found committed, so it can never tell of more
//! than the log does, or of less in between.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use tokio::{
    sync::Mutex,
    time::{Instant, timeout},
};

use super::{Event, Limit, Matching, read};
use crate::{Error, Store};

/// Events in memory: what is appended while a follower commits, many times over.
const MAX_EVENTS: usize = 1_000;
/// Their bytes.
const MAX_BYTES: usize = 1024 * 1024;
/// How long a read is waited for that another has begun: while the database is away,
/// each finds out by itself.
const PATIENCE: Duration = Duration::from_millis(100);
/// Who is farther from the end reads the database, a batch at a time.
const MAX_BEHIND: i64 = 1_000;
const ALL: Limit = Limit { events: MAX_EVENTS, bytes: MAX_BYTES };

/// The end of a store's log.
pub(crate) struct Tail {
    piece: Mutex<Piece>,
    since: Instant,
}

/// A piece of the log for those who share it.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) events: Vec<Arc<Event>>,
    /// Everything up to here is in `events` or of another type.
    pub(crate) position: i64,
}

/// A piece of the log without a gap.
#[derive(Default)]
struct Piece {
    events: VecDeque<Arc<Event>>,
    bytes: usize,
    /// The position of the last event.
    until: i64,
}

impl Tail {
    pub(crate) fn new() -> Self {
        Self { piece: Mutex::default(), since: Instant::now() }
    }

    /// The next beat of those that come one such period after the other, the same
    /// for all: who reads on it reads what the others read, and commits with them.
    pub(crate) fn beat(&self, period: Duration) -> Instant {
        let now = Instant::now();
        let past = now.saturating_duration_since(self.since).as_nanos() % period.as_nanos();
        now + period - Duration::from_nanos(u64::try_from(past).unwrap_or(0))
    }

    /// Like [`read`], from memory for who is near the end.
    pub(crate) async fn read(
        &self,
        store: &Store,
        after: i64,
        head: i64,
        matching: &Matching,
        limit: Limit,
    ) -> Result<Shared, Error> {
        if head.saturating_sub(after) <= MAX_BEHIND {
            // Others who woke at the same time wait here and find what the first read.
            if let Ok(mut piece) = timeout(PATIENCE, self.piece.lock()).await {
                piece.reach(store, after, head).await?;
                if let Some(shared) = piece.part(after, head, matching, limit) {
                    return Ok(shared);
                }
            }
        }
        Shared::read(store, after, head, matching, limit).await
    }
}

impl Shared {
    /// From the database alone.
    pub(crate) async fn read(
        store: &Store,
        after: i64,
        head: i64,
        matching: &Matching,
        limit: Limit,
    ) -> Result<Self, Error> {
        let batch = read(store, after, head, matching, limit).await?;
        let events = batch.events.into_iter().map(Arc::new).collect();
        Ok(Self { events, position: batch.position })
    }
}

impl Piece {
    fn since(&self) -> i64 {
        self.events.front().map_or(self.until, |first| first.position - 1)
    }

    /// Reads on to `head`. Where nobody had read up to `after`, it begins anew there.
    async fn reach(&mut self, store: &Store, after: i64, head: i64) -> Result<(), Error> {
        if after > self.until || self.events.is_empty() {
            *self = Self { until: after, ..Self::default() };
        }
        while after >= self.since() && self.until < head {
            let batch = read(store, self.until, head, &Matching::default(), ALL).await?;
            if batch.events.is_empty() {
                // Nothing is remembered across a gap.
                *self = Self { until: batch.position, ..Self::default() };
            }
            batch.events.into_iter().for_each(|event| self.push(event));
        }
        Ok(())
    }

    fn push(&mut self, event: Event) {
        self.until = event.position;
        self.bytes += event.bytes();
        self.events.push_back(Arc::new(event));
        while self.events.len() > MAX_EVENTS || (self.bytes > MAX_BYTES && self.events.len() > 1) {
            let first = self.events.pop_front();
            self.bytes -= first.map_or(0, |event| event.bytes());
        }
    }

    /// `None` when it begins later.
    fn part(&self, after: i64, head: i64, matching: &Matching, limit: Limit) -> Option<Shared> {
        if after < self.since() {
            return None;
        }
        let skipped = self.events.partition_point(|event| event.position <= after);
        let until = head.min(self.until);
        let mut shared = Shared { events: Vec::new(), position: until };
        let mut bytes = 0;
        let rest = self.events.iter().skip(skipped).take_while(|event| event.position <= until);
        for event in rest.filter(|event| matching.takes(event)) {
            bytes += event.bytes();
            if let Some(last) = shared.events.last()
                && (shared.events.len() == limit.events || bytes > limit.bytes)
            {
                shared.position = last.position;
                break;
            }
            shared.events.push(event.clone());
        }
        Some(shared)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(position: i64, kind: &str, bytes: usize) -> Event {
        Event {
            position,
            stream: "a".into(),
            version: position,
            kind: kind.into(),
            data: vec![0; bytes].into(),
            time: 0,
            traceparent: String::new(),
            actor: String::new(),
            correlation: String::new(),
            causation: String::new(),
        }
    }

    fn piece(after: i64, events: i64) -> Piece {
        let mut piece = Piece { until: after, ..Piece::default() };
        for position in after + 1..=after + events {
            let kind = if position % 2 == 0 { "even" } else { "odd" };
            piece.push(event(position, kind, 10));
        }
        piece
    }

    fn positions(shared: &Shared) -> Vec<i64> {
        shared.events.iter().map(|event| event.position).collect()
    }

    #[test]
    fn it_gives_what_comes_after_up_to_what_was_asked_for() {
        let piece = piece(100, 10);
        let all = Matching::default();
        let part = |after, head| piece.part(after, head, &all, ALL).map(|it| positions(&it));
        assert_eq!(part(103, 106), Some(vec![104, 105, 106]));
        assert_eq!(part(100, 101), Some(vec![101]));
        assert_eq!(part(110, 110), Some(vec![]));
        assert_eq!(part(99, 110), None, "what it forgot it does not pretend to have");
    }

    #[test]
    fn a_filter_skips_events_and_the_position_goes_on() {
        let even = Matching { types: vec!["even".into()], ..Matching::default() };
        let piece = piece(0, 9);
        let all = piece.part(0, 9, &even, ALL).unwrap();
        assert_eq!((positions(&all), all.position), (vec![2, 4, 6, 8], 9));
        let two = piece.part(0, 9, &even, Limit { events: 2, bytes: 1_000 }).unwrap();
        assert_eq!((positions(&two), two.position), (vec![2, 4], 4));
        let small = piece.part(0, 9, &even, Limit { events: 9, bytes: 1 }).unwrap();
        assert_eq!((positions(&small), small.position), (vec![2], 2));
        let none = Matching { streams: vec!["b".into()], ..Matching::default() };
        let none = piece.part(0, 9, &none, ALL).unwrap();
        assert_eq!((positions(&none), none.position), (vec![], 9));
    }

    #[test]
    fn it_forgets_what_is_too_much() {
        let many = piece(0, 1_500);
        assert_eq!((many.events.len(), many.since()), (MAX_EVENTS, 500));
        let mut large = Piece::default();
        (1..=3).for_each(|position| large.push(event(position, "large", MAX_BYTES / 2 + 1)));
        assert_eq!((large.events.len(), large.since()), (1, 2));
    }
}
