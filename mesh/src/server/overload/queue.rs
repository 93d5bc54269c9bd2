//! Who waits for a place, and how long: one line for each class, the highest
//! class served first, each controlled as CoDel does (RFC 8289) in the form that
//! suits calls (Maurer, "Fail at Scale", ACM Queue 2015): a line that has not
//! been empty for an interval *stands*. Waiting in it helps nobody, so that its
//! calls wait for the target only and the newest is served first, whose caller
//! is most likely to be there still.
//!
//! The lower the class, the sooner it loses patience: lower lines are turned
//! away before higher ones notice.
//!
//! A pure state machine: time comes in as an argument.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

use crate::{Criticality, criticality::CLASSES};

/// Intervals and targets of the classes, in those of the lowest.
const PATIENCE: [u32; CLASSES] = [1, 2, 5, 10];

/// What the queue bounds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Calls that wait at once, all classes together.
    pub(super) length: usize,
    pub(super) target: Duration,
    pub(super) interval: Duration,
}

/// The lines.
#[derive(Debug)]
pub(super) struct Queue<T> {
    bounds: Bounds,
    lines: [Line<T>; CLASSES],
    length: usize,
    tickets: u64,
}

#[derive(Debug)]
struct Line<T> {
    /// In the order of their tickets.
    waiting: VecDeque<(u64, T)>,
    /// Since when it has not been empty.
    since: Option<Instant>,
}

/// A place in a line.
#[derive(Debug)]
pub(super) struct Queued<T> {
    pub(super) ticket: u64,
    /// How long to wait.
    pub(super) patience: Duration,
    /// Who had to leave for it.
    pub(super) displaced: Option<T>,
}

impl<T> Queue<T> {
    pub(super) fn new(bounds: Bounds) -> Self {
        let lines = std::array::from_fn(|_| Line { waiting: VecDeque::new(), since: None });
        Self { bounds, lines, length: 0, tickets: 0 }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.length == 0
    }

    pub(super) fn len(&self) -> usize {
        self.length
    }

    /// Takes a place. When all are taken, somebody of a lower class leaves, or
    /// there is no place.
    pub(super) fn push(&mut self, class: Criticality, item: T, now: Instant) -> Option<Queued<T>> {
        let displaced =
            if self.length < self.bounds.length { None } else { Some(self.displace(class)?) };
        let patience = self.patience(class, now);
        self.tickets += 1;
        let line = &mut self.lines[class as usize];
        line.since.get_or_insert(now);
        line.waiting.push_back((self.tickets, item));
        self.length += 1;
        Some(Queued { ticket: self.tickets, patience, displaced })
    }

    /// The next to be served.
    pub(super) fn pop(&mut self, now: Instant) -> Option<T> {
        let class = Criticality::ALL
            .into_iter()
            .rev()
            .find(|class| !self.lines[*class as usize].waiting.is_empty())?;
        let newest_first = self.stands(class, now);
        let waiting = &mut self.lines[class as usize].waiting;
        let next = if newest_first { waiting.pop_back() } else { waiting.pop_front() };
        self.left(class);
        next.map(|(_, item)| item)
    }

    /// Takes somebody out who no longer waits; `None` when they were served or
    /// displaced before.
    pub(super) fn remove(&mut self, class: Criticality, ticket: u64) -> Option<T> {
        let waiting = &mut self.lines[class as usize].waiting;
        let at = waiting.binary_search_by_key(&ticket, |(ticket, _)| *ticket).ok()?;
        let (_, item) = waiting.remove(at)?;
        self.left(class);
        Some(item)
    }

    /// The oldest of the lowest class below this one leaves: it has the least
    /// patience left.
    fn displace(&mut self, above: Criticality) -> Option<T> {
        let lowest = Criticality::ALL
            .into_iter()
            .find(|class| !self.lines[*class as usize].waiting.is_empty())?;
        if lowest >= above {
            return None;
        }
        let (_, item) = self.lines[lowest as usize].waiting.pop_front()?;
        self.left(lowest);
        Some(item)
    }

    fn left(&mut self, class: Criticality) {
        self.length -= 1;
        let line = &mut self.lines[class as usize];
        if line.waiting.is_empty() {
            line.since = None;
        }
    }

    fn stands(&self, class: Criticality, now: Instant) -> bool {
        let interval = self.bounds.interval * PATIENCE[class as usize];
        self.lines[class as usize].since.is_some_and(|since| now >= since + interval)
    }

    fn patience(&self, class: Criticality, now: Instant) -> Duration {
        let factor = PATIENCE[class as usize];
        if self.stands(class, now) {
            self.bounds.target * factor
        } else {
            self.bounds.interval * factor
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use Criticality::{Critical, CriticalPlus, Sheddable, SheddablePlus};

    const INTERVAL: Duration = Duration::from_millis(100);
    const TARGET: Duration = Duration::from_millis(5);

    fn queue<T>(length: usize) -> Queue<T> {
        Queue::new(Bounds { length, target: TARGET, interval: INTERVAL })
    }

    #[test]
    fn a_higher_class_is_served_first_and_equals_in_their_order() {
        let now = Instant::now();
        let mut queue = queue(10);
        for (item, class) in
            [Sheddable, Critical, CriticalPlus, SheddablePlus, Critical].into_iter().enumerate()
        {
            queue.push(class, item, now).unwrap();
        }
        let served: Vec<_> = std::iter::from_fn(|| queue.pop(now)).collect();
        assert_eq!(served, [2, 1, 4, 3, 0]);
    }

    #[test]
    fn a_standing_line_waits_for_the_target_and_serves_its_newest() {
        let start = Instant::now();
        let mut queue = queue(10);
        assert_eq!(queue.push(Sheddable, "old", start).unwrap().patience, INTERVAL);
        let later = start + INTERVAL;
        assert_eq!(queue.push(Sheddable, "new", later).unwrap().patience, TARGET);
        assert_eq!(queue.pop(later), Some("new"));
    }

    #[test]
    fn a_higher_class_is_patient_for_longer() {
        let start = Instant::now();
        let mut queue = queue(10);
        for class in Criticality::ALL {
            queue.push(class, (), start).unwrap();
        }
        let standing = |queue: &Queue<()>, after: u32| {
            Criticality::ALL.map(|class| queue.stands(class, start + INTERVAL * after))
        };
        assert_eq!(standing(&queue, 1), [true, false, false, false]);
        assert_eq!(standing(&queue, 2), [true, true, false, false]);
        assert_eq!(standing(&queue, 5), [true, true, true, false]);
        assert_eq!(standing(&queue, 10), [true, true, true, true]);
    }

    #[test]
    fn a_line_that_was_empty_once_no_longer_stands() {
        let start = Instant::now();
        let mut queue = queue(10);
        queue.push(Sheddable, 1, start).unwrap();
        queue.pop(start + INTERVAL);
        let patience = queue.push(Sheddable, 2, start + INTERVAL).unwrap().patience;
        assert_eq!(patience, INTERVAL);
    }

    #[test]
    fn a_full_queue_takes_nobody_unless_a_lower_class_can_leave() {
        let now = Instant::now();
        let mut queue = queue(2);
        queue.push(Sheddable, "first", now).unwrap();
        queue.push(Critical, "second", now).unwrap();
        assert!(queue.push(Sheddable, "no", now).is_none());
        let queued = queue.push(CriticalPlus, "third", now).unwrap();
        assert_eq!(queued.displaced, Some("first"));
        assert!(queue.push(Critical, "no", now).is_none());
        assert_eq!(queue.len(), 2);
    }

    #[test]
    fn who_was_served_cannot_leave_the_queue() {
        let now = Instant::now();
        let mut queue = queue(2);
        let ticket = queue.push(Critical, (), now).unwrap().ticket;
        queue.pop(now).unwrap();
        assert!(queue.remove(Critical, ticket).is_none());
        assert!(queue.is_empty());
    }

    #[derive(Clone, Debug)]
    enum Step {
        Push(Criticality),
        Pop,
        Remove(prop::sample::Index),
        Wait(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => prop::sample::select(Criticality::ALL.to_vec()).prop_map(Step::Push),
            3 => Just(Step::Pop),
            1 => any::<prop::sample::Index>().prop_map(Step::Remove),
            1 => (0_u64..200).prop_map(Step::Wait),
        ]
    }

    proptest! {
        /// Everyone who came is served, displaced, removed, or still there; and
        /// nobody is served before somebody of a higher class.
        #[test]
        fn nobody_is_lost_and_the_highest_class_goes_first(
            steps in prop::collection::vec(step(), 1..200),
        ) {
            let mut now = Instant::now();
            let mut queue = queue(8);
            let mut inside: Vec<(u64, Criticality)> = Vec::new();
            for step in steps {
                match step {
                    Step::Push(class) => {
                        let ticket = queue.tickets + 1;
                        match queue.push(class, (ticket, class), now) {
                            Some(queued) => {
                                if let Some(displaced) = queued.displaced {
                                    prop_assert!(displaced.1 < class);
                                    inside.retain(|item| *item != displaced);
                                }
                                inside.push((ticket, class));
                            }
                            None => {
                                prop_assert_eq!(inside.len(), 8);
                                prop_assert!(inside.iter().all(|(_, other)| *other >= class));
                            }
                        }
                    }
                    Step::Pop => {
                        let served = queue.pop(now);
                        let highest = inside.iter().map(|(_, class)| *class).max();
                        prop_assert_eq!(served.map(|(_, class)| class), highest);
                        inside.retain(|item| Some(*item) != served);
                    }
                    Step::Remove(index) => {
                        if let Some((ticket, class)) = inside.get(index.index(inside.len().max(1))) {
                            prop_assert!(queue.remove(*class, *ticket).is_some());
                            let ticket = *ticket;
                            inside.retain(|(other, _)| *other != ticket);
                        }
                    }
                    Step::Wait(millis) => now += Duration::from_millis(millis),
                }
                prop_assert_eq!(queue.len(), inside.len());
                for class in Criticality::ALL {
                    let waits = inside.iter().any(|(_, other)| *other == class);
                    prop_assert_eq!(queue.lines[class as usize].since.is_some(), waits);
                }
            }
        }
    }
}
