//! Who is chosen of one, two, three and fifty; by weight, by zone, for a stream.

use proptest::prelude::*;

use super::*;
use crate::channel::{
    breaker::Trial,
    outlier::{self, Routing},
    permit::Shape,
    standing::{Finished, Standing},
    verdict::Verdict,
};

struct Fake {
    standing: Standing,
    usable: bool,
    picks: std::cell::Cell<u32>,
}

impl Choosable for &Fake {
    fn number(&self) -> Number {
        self.standing.number
    }

    fn candidate(&self, stream: bool) -> Candidate<'_> {
        self.standing.candidate(stream)
    }
}

struct Seeded(fastrand::Rng);

impl Random for Seeded {
    fn below(&mut self, count: usize) -> usize {
        self.0.usize(..count)
    }

    fn chance(&mut self) -> f32 {
        self.0.f32()
    }
}

fn seeded(seed: u64) -> Seeded {
    Seeded(fastrand::Rng::with_seed(seed))
}

fn fake(usable: bool) -> Fake {
    Fake { standing: Standing::new(Tick::from_millis(1)), usable, picks: 0.into() }
}

fn fakes(count: usize) -> Vec<Fake> {
    (0..count).map(|_| fake(true)).collect()
}

/// Everything at home, all of the same weight.
fn even(fakes: &[Fake]) -> Choice<&Fake> {
    let offers = fakes.iter().map(|instance| Offer { instance, home: true, weight: 100 });
    Choice::of(offers.collect(), fakes.len())
}

fn weighted<'a>(fakes: &'a [Fake], weights: &[u32]) -> Choice<&'a Fake> {
    let offer =
        |(instance, weight): (&'a Fake, &u32)| Offer { instance, home: true, weight: *weight };
    Choice::of(fakes.iter().zip(weights).map(offer).collect(), fakes.len())
}

/// The first `near` at home, of `known` that ought to be there.
fn zoned(fakes: &[Fake], near: usize, known: usize) -> Choice<&Fake> {
    let offer = |(at, instance)| Offer { instance, home: at < near, weight: 100 };
    Choice::of(fakes.iter().enumerate().map(offer).collect(), known)
}

const NOW: Tick = Tick::NEVER;

fn now() -> Tick {
    NOW.after(std::time::Duration::from_secs(60))
}

fn unary() -> Ask {
    Ask::new(None, Shape::Unary)
}

fn pick(choice: &Choice<&Fake>, ask: &Ask, random: &mut Seeded) -> Option<Number> {
    choice.pick(ask, now(), random, |fake| {
        if !fake.usable {
            return None;
        }
        fake.picks.set(fake.picks.get() + 1);
        fake.standing.score.picked(now());
        Some(fake.number())
    })
}

/// Lets all have answered in so many milliseconds a moment ago.
fn answered(fakes: &[Fake], millis: u64) {
    let took = Some(std::time::Duration::from_millis(millis));
    for fake in fakes {
        fake.standing.score.picked(now());
        fake.standing.score.served(took, now());
    }
}

fn picks(fakes: &[Fake]) -> Vec<u32> {
    fakes.iter().map(|fake| fake.picks.replace(0)).collect()
}

#[test]
fn a_repetition_goes_to_every_other_instance_before_it_comes_back() {
    for count in [1, 2, 3, 5] {
        let (fakes, mut random) = (fakes(count), seeded(1));
        for choice in [even(&fakes), weighted(&fakes, &[7, 100, 13, 1_000, 1]), zoned(&fakes, 2, 2)]
        {
            let mut ask = unary();
            for attempt in 0..count {
                let picked = pick(&choice, &ask, &mut random).unwrap();
                assert!(!ask.avoid.contains(picked), "attempt {attempt} of {count}");
                ask.avoid.add(picked);
            }
            let again = pick(&choice, &ask, &mut random).unwrap();
            assert!(ask.avoid.contains(again), "there is nobody else");
        }
    }
}

#[test]
fn a_repetition_does_not_prefer_one_of_the_others() {
    let (fakes, mut random) = (fakes(50), seeded(2));
    answered(&fakes, 10);
    let mut ask = unary();
    ask.avoid.add(fakes[7].standing.number);
    (0..5_000).for_each(|_| _ = pick(&even(&fakes), &ask, &mut random));
    let mut picks = picks(&fakes);
    assert_eq!(picks.remove(7), 0);
    assert!(picks.iter().all(|count| (60..=150).contains(count)), "{picks:?} of about 102");
}

/// Calls at random times that last at random; the share of each.
fn shares(fakes: &[Fake], choice: &Choice<&Fake>, at_once: u32, calls: u32) -> Vec<f64> {
    let (mut random, mut running) = (seeded(3), Vec::new());
    for _ in 0..calls {
        // So that `at_once` calls run on average.
        while !running.is_empty() && random.below(1 + running.len()) > at_once as usize / 2 {
            let ended: &Fake = running.swap_remove(random.below(running.len()));
            ended.standing.calls.end();
        }
        let picked = pick(choice, &unary(), &mut random).unwrap();
        let fake = fakes.iter().find(|fake| fake.standing.number == picked).unwrap();
        fake.standing.calls.begin();
        running.push(fake);
    }
    running.iter().for_each(|fake| fake.standing.calls.end());
    picks(fakes).into_iter().map(|picks| f64::from(picks) / f64::from(calls)).collect()
}

#[test]
fn calls_are_shared_in_proportion_to_the_weights() {
    let cases: [&[u32]; 6] = [
        &[100, 100],
        &[50, 150],
        &[100, 300],
        &[10, 100, 100, 100],
        &[50, 100, 150],
        &[1_000, 200],
    ];
    for weights in cases {
        for at_once in [1, 10, 100] {
            let fakes = fakes(weights.len());
            answered(&fakes, 10);
            let shares = shares(&fakes, &weighted(&fakes, weights), at_once, 20_000);
            let all: u32 = weights.iter().sum();
            for (share, weight) in shares.into_iter().zip(weights) {
                let ratio = share * f64::from(all) / f64::from(*weight);
                let told = format!("{ratio} for {weight} of {weights:?}, {at_once} at once");
                assert!((0.7..1.5).contains(&ratio), "{told}");
            }
        }
    }
}

#[test]
fn one_that_is_drained_is_called_only_when_nobody_else_can_be() {
    let (mut fakes, mut random) = (fakes(3), seeded(4));
    let weights = [0, 100, 100];
    (0..1_000).for_each(|_| _ = pick(&weighted(&fakes, &weights), &unary(), &mut random));
    assert_eq!(picks(&fakes)[0], 0);
    fakes[1].usable = false;
    fakes[2].usable = false;
    pick(&weighted(&fakes, &weights), &unary(), &mut random).unwrap();
    assert_eq!(picks(&fakes), [1, 0, 0]);
}

#[test]
fn calls_stay_in_the_zone_while_it_is_well() {
    let (fakes, mut random) = (fakes(9), seeded(5));
    answered(&fakes, 10);
    let choice = zoned(&fakes, 3, 3);
    (0..1_000).for_each(|_| _ = pick(&choice, &unary(), &mut random));
    assert_eq!(picks(&fakes)[3..].iter().sum::<u32>(), 0);
}

#[test]
fn a_zone_keeps_1_4_times_the_share_of_its_instances_that_can_be_called() {
    // Of ten at home so many can be called, and that many calls of a hundred stay.
    for (well, least, most) in
        [(10, 100, 100), (8, 100, 100), (7, 96, 99), (5, 67, 73), (1, 11, 17), (0, 0, 0)]
    {
        let (fakes, mut random) = (fakes(well + 10), seeded(6));
        answered(&fakes, 10);
        let choice = zoned(&fakes, well, 10);
        (0..10_000).for_each(|_| _ = pick(&choice, &unary(), &mut random));
        let stayed = picks(&fakes)[..well].iter().sum::<u32>() / 100;
        assert!((least..=most).contains(&stayed), "{stayed} % with {well} of ten");
    }
}

#[test]
fn what_is_too_much_for_the_zone_goes_to_others_and_comes_back() {
    let (fakes, mut random) = (fakes(4), seeded(7));
    answered(&fakes, 10);
    let choice = zoned(&fakes, 2, 2);
    let mut abroad = |load: u32| {
        let home = &fakes[..2];
        home.iter().for_each(|fake| (0..load).for_each(|_| fake.standing.calls.begin()));
        (0..100).for_each(|_| _ = pick(&choice, &unary(), &mut random));
        home.iter().for_each(|fake| (0..load).for_each(|_| fake.standing.calls.end()));
        picks(&fakes)[2..].iter().sum::<u32>()
    };
    assert_eq!(abroad(3), 0, "four times as much is just bearable");
    assert_eq!(abroad(4), 100);
    assert_eq!(abroad(0), 0, "and home again");
}

#[test]
fn a_zone_that_has_become_slow_or_fails_is_left() {
    let (fakes, mut random) = (fakes(4), seeded(8));
    let choice = zoned(&fakes, 2, 2);
    answered(&fakes[2..], 10);
    answered(&fakes[..2], 41);
    (0..100).for_each(|_| _ = pick(&choice, &unary(), &mut random));
    assert_eq!(picks(&fakes)[..2], [0, 0], "four times slower");
    for fake in &fakes[..2] {
        let trial = Trial { began: now(), probe: false };
        fake.standing.score.served(Some(std::time::Duration::from_millis(10)), now());
        (0..4).for_each(|_| {
            let failed = Finished { verdict: Verdict::Failed, took: None, stream: false, trial };
            fake.standing.learn(failed, now(), || 0.0);
        });
    }
    (0..100).for_each(|_| _ = pick(&choice, &unary(), &mut random));
    assert_eq!(picks(&fakes)[..2], [0, 0], "failing more and more");
}

#[test]
fn streams_go_where_the_fewest_are_and_calls_do_not_mind_them() {
    for count in [1, 2, 3, 50] {
        let (fakes, mut random) = (fakes(count), seeded(9));
        // The first is slow, which is nothing to a stream.
        fakes[0].standing.score.served(Some(std::time::Duration::from_secs(5)), now());
        answered(&fakes, 10);
        let (choice, ask) = (even(&fakes), Ask::new(None, Shape::ServerStream));
        for _ in 0..20 * count {
            let picked = pick(&choice, &ask, &mut random).unwrap();
            let fake = fakes.iter().find(|fake| fake.standing.number == picked).unwrap();
            fake.standing.streams.begin();
        }
        let streams: Vec<u32> = picks(&fakes);
        assert!(streams.iter().all(|streams| (17..=22).contains(streams)), "{streams:?}");
        fakes[0].standing.streams.end();
        assert!(fakes.iter().all(|fake| fake.standing.calls.now() == 0));
    }
}

proptest! {
    #[test]
    fn whoever_is_usable_is_found_and_whoever_was_tried_comes_last(
        instances in prop::collection::vec(
            (any::<bool>(), prop::bool::weighted(0.1), any::<bool>(), 0_u32..3),
            0..50,
        ),
        missing in 0_usize..10,
        stream: bool,
        seed: u64,
    ) {
        let fakes: Vec<Fake> = instances.iter().map(|(usable, ..)| fake(*usable)).collect();
        let mut ask = Ask::new(None, if stream { Shape::ServerStream } else { Shape::Unary });
        let mut offers = Vec::new();
        for (instance, (_, tried, home, weight)) in fakes.iter().zip(&instances) {
            if *tried {
                ask.avoid.add(instance.standing.number);
            }
            offers.push(Offer { instance, home: *home, weight: *weight });
        }
        let choice = Choice::of(offers, instances.iter().filter(|one| one.2).count() + missing);
        let picked = pick(&choice, &ask, &mut seeded(seed));
        prop_assert_eq!(picked.is_some(), fakes.iter().any(|fake| fake.usable));
        if let Some(picked) = picked {
            let fresh = |fake: &Fake| fake.usable && !ask.avoid.contains(fake.standing.number);
            let others = fakes.iter().any(fresh);
            prop_assert!(!ask.avoid.contains(picked) || !others);
        }
    }

    #[test]
    fn whatever_happens_half_of_them_take_calls_and_somebody_is_chosen(
        count in 1_usize..12,
        steps in prop::collection::vec((0_usize..12, 0_usize..4, 0_u64..3_000), 0..200),
        seed: u64,
    ) {
        let (fakes, mut random, mut millis) = (fakes(count), seeded(seed), 1);
        for (at, ends, wait) in steps {
            millis += wait;
            let now = Tick::from_millis(millis);
            let open = fakes.iter().filter(|fake| fake.standing.breaker.is_open()).count();
            let panic = outlier::routing(count, count, open) == Routing::Panic;
            let called = |fake: &&Fake| panic || !fake.standing.breaker.is_open();
            let offers = fakes.iter().filter(called);
            let offers: Vec<_> =
                offers.map(|instance| Offer { instance, home: true, weight: 100 }).collect();
            prop_assert!(offers.len() >= count.div_ceil(2), "{} of {count}", offers.len());
            let chosen = Choice::of(offers, count).pick(&unary(), now, &mut random, |_| Some(()));
            prop_assert!(chosen.is_some());

            // A call to one that is called, or a probe, ends in some way.
            let fake = &&fakes[at % count];
            let probe = fake.standing.breaker.reserve(now);
            if probe || called(fake) {
                let verdicts =
                    [Verdict::Served, Verdict::Failed, Verdict::Failed, Verdict::Silent];
                let trial = Trial { began: now, probe };
                let took = Some(std::time::Duration::from_millis(1));
                let ended = Finished { verdict: verdicts[ends], took, stream: false, trial };
                fake.standing.learn(ended, now, || 0.5);
            }
        }
    }
}
