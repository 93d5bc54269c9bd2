//! The ring: which instance the calls with a key go to, and who comes after it.
//!
//! It has 4,096 places, and a key's upper bits name its place. A place belongs to
//! the instance with the best hash for it (rendezvous hashing), and a weight
//! gives as many more places. Why not points on a circle, as gRFC A42 has them?
//! How many points an instance gets depends there on how many instances there
//! are, so that one that joins moves keys of all the others among them; and a
//! lookup here is an index, not a search. Every process builds the same ring from
//! the same instances.
//!
//! An instance that is not connected, ejected or tried already, or that has a
//! quarter more to do than its share (consistent hashing with bounded loads), is
//! passed over, and the key goes to the next place's owner: so one hot key cannot
//! drown an instance, and each key of a lost one goes to another.

use std::cell::OnceCell;

use super::{balance::Candidate, choice::Choosable, hash, permit::Ask};
use crate::resolver::{Listed, Target};

/// 8 KB a ring. At a hundred instances each has
/// 41 places, so that shares differ by a sixth. gRFC A42 bounds its ring alike.
const PLACES: usize = 4_096;
/// The upper bits of a key that name its place.
const PLACE_BITS: u32 = PLACES.trailing_zeros();
/// More than this times its share of the load is too much (the paper and `HAProxy`
/// take the same).
const BOUND: f32 = 1.25;
/// Fewer calls at once are never too much: shares of few are all fractions.
const FEW: f32 = 8.0;

/// Who owns which place.
#[derive(Debug)]
pub(crate) struct Ring {
    places: Vec<u16>,
    owners: Vec<Owner>,
}

#[derive(Debug)]
struct Owner {
    target: Target,
    weight: u32,
}

impl Ring {
    /// Of the instances that take calls; those that are drained own nothing.
    pub(crate) fn of(instances: &[Listed]) -> Self {
        let serving = instances.iter().filter(|one| one.weight > 0).take(usize::from(u16::MAX));
        let owners: Vec<Owner> =
            serving.map(|one| Owner { target: one.target.clone(), weight: one.weight }).collect();
        // By address alone: a process that was started again finds its keys.
        let seeds: Vec<u64> =
            owners.iter().map(|owner| hash::bytes(owner.target.address.as_bytes(), 0)).collect();
        let even = owners.windows(2).all(|pair| pair[0].weight == pair[1].weight);
        let places = 0..if owners.is_empty() { 0 } else { PLACES as u64 };
        let best = |place: u64| {
            let drawn = seeds.iter().map(|seed| hash::mix(seed ^ hash::mix(place)));
            if even {
                position_of_least(drawn.map(|hash| !hash), |a, b| a < b)
            } else {
                let weights = owners.iter().map(|owner| f64::from(owner.weight));
                position_of_least(drawn.zip(weights).map(waits), |a, b| a < b)
            }
        };
        Self { places: places.map(best).collect(), owners }
    }

    /// The owners from a key's place on, round the ring.
    fn from(&self, key: u64) -> impl Iterator<Item = usize> {
        let first = usize::try_from(key >> (u64::BITS - PLACE_BITS)).unwrap_or(0);
        let (before, after) = self.places.split_at(first.min(self.places.len()));
        after.iter().chain(before).map(|owner| usize::from(*owner))
    }
}

/// How long an instance of this weight takes to claim a place: the share of the
/// races that it wins is its share of the weights. Where all weigh the same, the
/// largest hash wins.
#[expect(clippy::cast_precision_loss, reason = "53 bits are enough to tell hashes apart")]
fn waits((hash, weight): (u64, f64)) -> f64 {
    -((hash as f64 + 1.0) / u64::MAX as f64).ln() / weight
}

#[expect(clippy::cast_possible_truncation, reason = "there are at most 65,535 owners")]
fn position_of_least<T: Copy>(all: impl Iterator<Item = T>, less: impl Fn(&T, &T) -> bool) -> u16 {
    let mut least: Option<(usize, T)> = None;
    for (at, one) in all.enumerate() {
        if least.is_none_or(|(_, least)| less(&one, &least)) {
            least = Some((at, one));
        }
    }
    least.map_or(0, |(at, _)| at as u16)
}

/// The instances of a snapshot on their places.
#[derive(Debug)]
pub(crate) struct Seats<E> {
    /// By owner; absent while it takes no calls.
    seated: Vec<Option<Seat<E>>>,
}

#[derive(Debug)]
struct Seat<E> {
    instance: E,
    /// Of all the weights of those who are seated.
    share: f32,
}

impl<E: Choosable> Seats<E> {
    /// Seats whoever `find` finds.
    pub(crate) fn on(ring: &Ring, find: impl Fn(&Target) -> Option<E>) -> Self {
        let found: Vec<Option<E>> = ring.owners.iter().map(|owner| find(&owner.target)).collect();
        let present = ring.owners.iter().zip(&found).filter(|(_, found)| found.is_some());
        let all: u32 = present.map(|(owner, _)| owner.weight).sum();
        #[expect(clippy::cast_precision_loss, reason = "a share need not be exact")]
        let share = |owner: &Owner| owner.weight as f32 / all.max(1) as f32;
        let seat = |(found, owner): (Option<E>, _)| {
            found.map(|instance| Seat { instance, share: share(owner) })
        };
        Self { seated: found.into_iter().zip(&ring.owners).map(seat).collect() }
    }

    /// Finds one who takes a call with this key; `take` is asked as it is for
    /// [`super::choice::Choice::pick`].
    pub(crate) fn pick<T>(
        &self,
        ring: &Ring,
        key: u64,
        ask: &Ask,
        mut take: impl FnMut(&E) -> Option<T>,
    ) -> Option<T> {
        let all = OnceCell::new();
        let seats = ring.from(key).filter_map(|owner| self.seated.get(owner)?.as_ref());
        let mut fresh = seats.filter(|seat| !ask.avoid.contains(seat.instance.number()));
        fresh.find_map(|seat| {
            let load = candidate(&seat.instance, ask).load;
            // All are asked only when this one has something to do.
            let bound = || BOUND * seat.share * (all.get_or_init(|| self.load(ask)) + 1.0);
            if load >= FEW && load > bound() { None } else { take(&seat.instance) }
        })
    }

    fn load(&self, ask: &Ask) -> f32 {
        self.seated.iter().flatten().map(|seat| candidate(&seat.instance, ask).load).sum()
    }
}

fn candidate<'a>(instance: &'a impl Choosable, ask: &Ask) -> Candidate<'a> {
    instance.candidate(ask.shape.is_stream())
}

#[cfg(test)]
mod tests;
