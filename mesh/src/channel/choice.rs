//! The choice among the instances that take calls, for any number of them: whom
//! a call tries first, and whom it tries when that one cannot take it. What is
//! chosen from is put in order once, when an instance comes or goes; a call only
//! draws.
//!
//! A caller with a zone prefers instances of its own, by two rules. *Health*: of
//! its calls the zone keeps 1.4 times the share of its instances that can be
//! called (Envoy's overprovisioning factor), so all of them down to 72 %, and
//! then fewer and fewer, or what is left of a failing zone would drown. *Load*: an
//! instance of another zone is called when one more call would cost four times as
//! much at home, so that a zone with many callers and few instances is helped.
//! Both look at the present only, so the calls come home as soon as they can.
//!
//! Whoever is drained (weight zero), and whoever the call has tried already,
//! comes last, and still comes: an instance that failed once is better than none.

mod group;

use self::group::Group;
use super::{
    balance::{self, Candidate},
    permit::Ask,
    tick::Tick,
    tried::Number,
};

/// Envoy's overprovisioning factor.
const OVERPROVISIONED: f32 = 1.4;
/// How much dearer a call at home is than one that crosses zones: four calls in
/// flight where there is none are no crowd, and traffic between zones is paid
/// for.
const CROSSING: f32 = 4.0;

/// What can be chosen.
pub(crate) trait Choosable {
    fn number(&self) -> Number;
    /// What the comparison of two looks at, for a stream or for a call.
    fn candidate(&self, stream: bool) -> Candidate<'_>;
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

/// One who takes calls.
#[derive(Clone, Debug)]
pub(crate) struct Offer<E> {
    pub(crate) instance: E,
    /// In the caller's zone, or the caller has none.
    pub(crate) home: bool,
    /// In hundredths of an ordinary share.
    pub(crate) weight: u32,
}

/// What calls choose from.
#[derive(Debug)]
pub(crate) struct Choice<E> {
    home: Group<E>,
    abroad: Group<E>,
    /// Share of the calls that stay at home.
    stay: f32,
    drained: Vec<E>,
}

impl<E> Default for Choice<E> {
    fn default() -> Self {
        let none = || Group::of(Vec::new());
        Self { home: none(), abroad: none(), stay: 1.0, drained: Vec::new() }
    }
}

impl<E: Choosable> Choice<E> {
    /// Of those who take calls, and of `at_home` instances in the caller's zone
    /// that ought to.
    pub(crate) fn of(offers: Vec<Offer<E>>, at_home: usize) -> Self {
        let (drained, offers): (Vec<_>, Vec<_>) =
            offers.into_iter().partition(|offer| offer.weight == 0);
        let (home, abroad): (Vec<_>, Vec<_>) = offers.into_iter().partition(|offer| offer.home);
        #[expect(clippy::cast_precision_loss, reason = "a count of instances")]
        let healthy = home.len() as f32 / at_home.max(home.len()).max(1) as f32;
        Self {
            home: Group::of(home),
            abroad: Group::of(abroad),
            stay: (healthy * OVERPROVISIONED).min(1.0),
            drained: drained.into_iter().map(|offer| offer.instance).collect(),
        }
    }

    /// Finds one who takes the call: `take` is asked about one after the other,
    /// and tells `None` for an instance that cannot be used now.
    pub(crate) fn pick<T>(
        &self,
        ask: &Ask,
        now: Tick,
        random: &mut impl Random,
        mut take: impl FnMut(&E) -> Option<T>,
    ) -> Option<T> {
        let stays = !self.home.is_empty() && (self.stay >= 1.0 || random.chance() < self.stay);
        let group = if stays || self.abroad.is_empty() { &self.home } else { &self.abroad };
        let drawn = group.two(ask, now, random);
        let taken = drawn.and_then(|(better, worse)| {
            let other = if stays { self.crossing(better, ask, now, random) } else { None };
            let group = group.all();
            let taken = other.and_then(&mut take).or_else(|| take(&group[better]));
            taken.or_else(|| take(&group[worse?]))
        });
        if taken.is_some() {
            return taken;
        }
        let fresh = |one: &&E| !ask.avoid.contains(one.number());
        self.all().filter(fresh).find_map(&mut take).or_else(|| self.all().find_map(take))
    }

    /// Somebody in another zone, if the one at home has much more to do.
    fn crossing(&self, home: usize, ask: &Ask, now: Tick, random: &mut impl Random) -> Option<&E> {
        if self.abroad.is_empty() {
            return None;
        }
        let there = self.abroad.one(ask, None, random)?;
        let near = self.home.candidate(home, ask);
        let far = self.abroad.candidate(there, ask);
        let worth = balance::is_worth(&near, &far, CROSSING, now, || random.chance());
        worth.then(|| &self.abroad.all()[there])
    }

    /// Share of the calls that stay at home.
    pub(crate) fn stay(&self) -> f32 {
        self.stay
    }

    /// Whether some are to get more calls than others.
    pub(crate) fn is_weighted(&self) -> bool {
        self.home.is_weighted() || self.abroad.is_weighted() || !self.drained.is_empty()
    }

    /// Everybody, in the order in which they are wanted.
    pub(crate) fn all(&self) -> impl Iterator<Item = &E> {
        self.home.all().iter().chain(self.abroad.all()).chain(&self.drained)
    }
}

#[cfg(test)]
mod tests;
