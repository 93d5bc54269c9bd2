//! The choice among the instances that take calls, for any number of them: whom
//! a call tries first, and whom it tries when that one cannot take it.
//!
//! Whoever the call has tried already comes last, and still comes: an instance
//! that failed once is better than none.

use super::{
    balance::{self, Candidate},
    tick::Tick,
    tried::{Number, Tried},
};

/// What can be chosen.
pub(crate) trait Choosable {
    fn number(&self) -> Number;
    /// What the comparison of two looks at.
    fn candidate(&self) -> Candidate<'_>;
}

/// Where a choice takes its randomness from.
pub(crate) trait Random {
    /// A number below `count`, which is not zero.
    fn below(&mut self, count: usize) -> usize;
    /// A number from 0 to 1.
    fn chance(&mut self) -> f32;
}

/// The thread's own generator.
pub(crate) struct OfThread;

impl Random for OfThread {
    fn below(&mut self, count: usize) -> usize {
        fastrand::usize(..count)
    }

    fn chance(&mut self) -> f32 {
        fastrand::f32()
    }
}

/// Finds one who takes the call: `take` is asked about one after the other,
/// and tells `None` for an instance that cannot be used now.
pub(crate) fn choose<E: Choosable, T>(
    all: &[E],
    avoid: &Tried,
    now: Tick,
    random: &mut impl Random,
    mut take: impl FnMut(&E) -> Option<T>,
) -> Option<T> {
    let taken = match all {
        [] => return None,
        [only] => return take(only),
        several if avoid.is_empty() => of_two(several, several.len(), now, random, &mut take),
        several => {
            let fresh = || several.iter().filter(|one| !avoid.contains(one.number()));
            of_fresh(fresh, now, random, &mut take).or_else(|| fresh().find_map(&mut take))
        }
    };
    // Somebody is better than nobody.
    taken.or_else(|| all.iter().find_map(take))
}

fn of_two<E: Choosable, T>(
    several: &[E],
    count: usize,
    now: Tick,
    random: &mut impl Random,
    take: &mut impl FnMut(&E) -> Option<T>,
) -> Option<T> {
    let (first, second) = balance::draw(count, |count| random.below(count));
    better_of(&several[first], &several[second], now, random, take)
}

/// Like [`of_two`], of those whom a call has not tried. Only a repetition comes
/// here, so it may count them.
fn of_fresh<'a, E: Choosable + 'a, T, I: Iterator<Item = &'a E>>(
    fresh: impl Fn() -> I,
    now: Tick,
    random: &mut impl Random,
    take: &mut impl FnMut(&E) -> Option<T>,
) -> Option<T> {
    match fresh().count() {
        0 => None,
        1 => fresh().find_map(take),
        count => {
            let (first, second) = balance::draw(count, |count| random.below(count));
            better_of(fresh().nth(first)?, fresh().nth(second)?, now, random, take)
        }
    }
}

fn better_of<E: Choosable, T>(
    first: &E,
    second: &E,
    now: Tick,
    random: &mut impl Random,
    take: &mut impl FnMut(&E) -> Option<T>,
) -> Option<T> {
    let (a, b) = (first.candidate(), second.candidate());
    let swap = balance::second_is_better(&a, &b, now, || random.chance());
    let (better, worse) = if swap { (second, first) } else { (first, second) };
    take(better).or_else(|| take(worse))
}

#[cfg(test)]
mod tests;
