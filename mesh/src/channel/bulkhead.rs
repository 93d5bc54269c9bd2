//! The bulkhead of a destination: how many calls this process has there at once.
//! An application that has become slow must not fill the memory of everybody who
//! calls it. Streams have a number of their own, since they last; so have calls
//! that wait for an instance, since all of them set off at once when one comes.
//!
//! Places are given back on drop, by whatever way a call ends.

use std::{sync::Arc, time::Duration};

use tonic::Status;

use crate::{
    atomic::{AtomicUsize, Ordering::Relaxed},
    status,
};

/// Calls at once: at 10 ms each these are 100,000 a second, so that who has more
/// in flight is waiting and not working. Envoy's default is 1,024.
pub(super) const CALLS: usize = 1_000;
/// Streams at once: what a handful of instances takes at the server's own
/// default of 1,000 a connection.
pub(super) const STREAMS: usize = 10_000;
/// Calls that wait for an instance.
pub(super) const WAITING: usize = 256;
/// When to come back: about the time that a slow call takes.
const RETRY_AFTER: Duration = Duration::from_millis(100);

/// The places at one destination.
#[derive(Debug)]
pub(crate) struct Bulkhead {
    calls: Arc<Room>,
    streams: Arc<Room>,
    waiting: Arc<Room>,
}

/// A number of places.
#[derive(Debug)]
pub(super) struct Room {
    taken: AtomicUsize,
    most: usize,
}

/// One place, given back on drop.
#[derive(Debug)]
pub(crate) struct Place(Arc<Room>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, Relaxed);
    }
}

impl Default for Bulkhead {
    fn default() -> Self {
        Self { calls: Room::of(CALLS), streams: Room::of(STREAMS), waiting: Room::of(WAITING) }
    }
}

impl Bulkhead {
    /// A place for a call, or for a stream; `None` when all are taken.
    pub(crate) fn enter(&self, stream: bool) -> Option<Place> {
        Room::enter(if stream { &self.streams } else { &self.calls })
    }

    /// A place to wait for an instance in; `None` when all are taken.
    pub(crate) fn wait(&self) -> Option<Place> {
        Room::enter(&self.waiting)
    }
}

impl Room {
    pub(super) fn of(most: usize) -> Arc<Self> {
        Arc::new(Self { taken: AtomicUsize::new(0), most })
    }

    pub(super) fn enter(room: &Arc<Self>) -> Option<Place> {
        // Adding first and looking afterwards is one instruction where a
        // compare-and-swap is a loop; who is too many takes it back.
        let before = room.taken.fetch_add(1, Relaxed);
        let place = Place(room.clone());
        (before < room.most).then_some(place)
    }
}

/// The refusal of a call that finds no place. It is not UNAVAILABLE, which asks
/// to be repeated at once.
pub(crate) fn full(app: &str) -> Status {
    let message = format!("too many calls of {app} are in flight");
    status::exhausted("BULKHEAD_FULL", message, RETRY_AFTER)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tonic::Code;

    use super::*;

    proptest! {
        #[test]
        fn places_are_never_more_than_the_limit_and_all_come_back(
            steps in prop::collection::vec(prop::option::of(0_usize..20), 0..200),
        ) {
            let room = Room::of(7);
            let mut held = Vec::new();
            for step in steps {
                match step {
                    None => held.extend(Room::enter(&room)),
                    Some(at) if at < held.len() => drop(held.swap_remove(at)),
                    Some(_) => {}
                }
                prop_assert!(held.len() <= 7);
                prop_assert_eq!(room.taken.load(Relaxed), held.len());
            }
            drop(held);
            prop_assert_eq!(room.taken.load(Relaxed), 0);
        }
    }

    #[test]
    fn streams_do_not_take_the_places_of_calls() {
        let bulkhead = Bulkhead::default();
        let streams: Vec<Place> = std::iter::from_fn(|| bulkhead.enter(true)).collect();
        assert_eq!(streams.len(), STREAMS);
        assert!(bulkhead.enter(false).is_some());
    }

    #[test]
    fn threads_that_race_for_the_last_places_get_no_more_of_them() {
        let room = Room::of(100);
        let got: usize = std::thread::scope(|scope| {
            let racers: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| {
                        (0..100).filter_map(|_| Room::enter(&room)).collect::<Vec<Place>>()
                    })
                })
                .collect();
            let held: Vec<_> = racers.into_iter().map(|racer| racer.join().unwrap()).collect();
            held.iter().map(Vec::len).sum()
        });
        assert!(got <= 100);
        assert_eq!(room.taken.load(Relaxed), 0);
    }

    #[test]
    fn a_full_bulkhead_is_exhaustion_with_a_reason() {
        let status = full("shop");
        assert_eq!(status.code(), Code::ResourceExhausted);
        assert_eq!(status::reason(&status).as_deref(), Some("BULKHEAD_FULL"));
    }
}
