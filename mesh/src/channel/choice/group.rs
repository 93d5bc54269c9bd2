//! Instances among which the draw is in proportion to their weights.

use super::{Choosable, Offer, Random};
use crate::channel::{
    balance::{self, Candidate},
    permit::Ask,
    tick::Tick,
};

#[derive(Debug)]
pub(super) struct Group<E> {
    members: Vec<E>,
    /// Absent where all weigh the same, which is the usual case.
    weights: Option<Weights>,
}

/// Weights that are not all the same.
#[derive(Debug)]
struct Weights {
    /// Sums of the weights up to each member, it included.
    sums: Vec<u32>,
    /// The heaviest member's.
    most: u32,
}

impl Weights {
    fn of<E>(offers: &[Offer<E>]) -> Option<Self> {
        if offers.windows(2).all(|pair| pair[0].weight == pair[1].weight) {
            return None;
        }
        let summed = offers.iter().scan(0, |sum: &mut u32, offer| {
            *sum = sum.saturating_add(offer.weight);
            Some(*sum)
        });
        let most = offers.iter().map(|offer| offer.weight).max()?;
        Some(Self { sums: summed.collect(), most })
    }

    fn at(&self, place: usize) -> u32 {
        self.sums[place] - place.checked_sub(1).map_or(0, |before| self.sums[before])
    }
}

impl<E> Group<E> {
    pub(super) fn of(offers: Vec<Offer<E>>) -> Self {
        let weights = Weights::of(&offers);
        Self { members: offers.into_iter().map(|offer| offer.instance).collect(), weights }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    pub(super) fn is_weighted(&self) -> bool {
        self.weights.is_some()
    }

    pub(super) fn all(&self) -> &[E] {
        &self.members
    }
}

impl<E: Choosable> Group<E> {
    /// What the comparison of two looks at.
    pub(super) fn candidate(&self, place: usize, ask: &Ask) -> Candidate<'_> {
        let mut candidate = self.members[place].candidate(ask.shape.is_stream());
        if let Some(weights) = &self.weights {
            // Beside the heaviest, or the calls of all would count for more where
            // the operator has made all the numbers small.
            #[expect(clippy::cast_precision_loss, reason = "at most a thousand")]
            let share = weights.at(place) as f32 / weights.most as f32;
            candidate.load /= share;
        }
        candidate
    }

    /// Of two that are drawn the better one, and the other. Whom the call has
    /// tried is not drawn.
    pub(super) fn two(
        &self,
        ask: &Ask,
        now: Tick,
        random: &mut impl Random,
    ) -> Option<(usize, Option<usize>)> {
        let (first, second) = self.drawn(ask, random)?;
        let Some(second) = second else { return Some((first, None)) };
        let (a, b) = (self.candidate(first, ask), self.candidate(second, ask));
        let swap = balance::second_is_better(&a, &b, now, || random.chance());
        Some(if swap { (second, Some(first)) } else { (first, Some(second)) })
    }

    fn drawn(&self, ask: &Ask, random: &mut impl Random) -> Option<(usize, Option<usize>)> {
        let count = self.members.len();
        if count > 1 && self.weights.is_none() && ask.avoid.is_empty() {
            let (first, second) = balance::draw(count, |count| random.below(count));
            return Some((first, Some(second)));
        }
        let first = self.one(ask, None, random)?;
        // Where weights differ, the same may be drawn twice: a heavy one has to be
        // able to stand against itself, or its share would have a bound.
        let second = match self.weights {
            Some(_) => self.one(ask, None, random).filter(|second| *second != first),
            None => self.one(ask, Some(first), random),
        };
        Some((first, second))
    }

    /// One whom the call has not tried, and not the exception.
    pub(super) fn one(
        &self,
        ask: &Ask,
        except: Option<usize>,
        random: &mut impl Random,
    ) -> Option<usize> {
        if !ask.avoid.is_empty() || except.is_some() {
            return self.one_of_some(ask, except, random);
        }
        match &self.weights {
            _ if self.members.is_empty() => None,
            None => Some(random.below(self.members.len())),
            Some(Weights { sums, .. }) => {
                let drawn = random.below(usize::try_from(*sums.last()?).ok()?);
                Some(sums.partition_point(|sum| *sum as usize <= drawn))
            }
        }
    }

    /// Looks at all of them, which only repetitions and pairs have to.
    fn one_of_some(
        &self,
        ask: &Ask,
        except: Option<usize>,
        random: &mut impl Random,
    ) -> Option<usize> {
        let weight = |place: usize| match &self.weights {
            _ if Some(place) == except || ask.avoid.contains(self.members[place].number()) => 0,
            None => 1,
            Some(weights) => weights.at(place) as usize,
        };
        let all: usize = (0..self.members.len()).map(weight).sum();
        if all == 0 {
            return None;
        }
        let mut left = random.below(all);
        (0..self.members.len()).find(|place| {
            let weight = weight(*place);
            let found = left < weight;
            left = left.saturating_sub(weight);
            found
        })
    }
}
