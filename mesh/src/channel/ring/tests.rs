//! Who owns which keys, and where keys go when their owner cannot take them.

use proptest::prelude::*;

use super::*;
use crate::channel::{permit::Shape, standing::Standing, tick::Tick, tried::Number};

const KEYS: u64 = 20_000;

struct Fake {
    standing: Standing,
    usable: bool,
}

impl Choosable for &Fake {
    fn number(&self) -> Number {
        self.standing.number
    }

    fn candidate(&self, stream: bool) -> Candidate<'_> {
        self.standing.candidate(stream)
    }
}

fn address(at: usize) -> String {
    format!("10.0.0.{at}:50051")
}

fn listed(weights: &[u32]) -> Vec<Listed> {
    let one = |(at, weight): (usize, &u32)| Listed { weight: *weight, ..Listed::at(address(at)) };
    weights.iter().enumerate().map(one).collect()
}

fn key(of: u64) -> u64 {
    hash::bytes(&of.to_le_bytes(), 0)
}

fn fakes(count: usize) -> Vec<Fake> {
    let standing = || Standing::new(Tick::from_millis(1));
    (0..count).map(|_| Fake { standing: standing(), usable: true }).collect()
}

fn seats<'a>(ring: &Ring, fakes: &'a [Fake]) -> Seats<&'a Fake> {
    Seats::on(ring, |target| {
        (0..fakes.len()).find(|at| address(*at) == target.address).map(|at| &fakes[at])
    })
}

fn ask() -> Ask {
    Ask::new(None, Shape::Unary)
}

/// Where calls with this key go; nobody is loaded by it.
fn pick(ring: &Ring, seats: &Seats<&Fake>, key: u64, ask: &Ask) -> Option<Number> {
    seats.pick(ring, key, ask, |fake| fake.usable.then(|| fake.number()))
}

fn owner(ring: &Ring, key: u64) -> String {
    ring.owners[ring.from(key).next().unwrap()].target.address.clone()
}

#[test]
fn keys_are_shared_in_proportion_to_the_weights() {
    for weights in
        [vec![100], vec![100; 2], vec![50, 100, 150], vec![100; 10], vec![10, 100, 1_000]]
    {
        let ring = Ring::of(&listed(&weights));
        let all: u32 = weights.iter().sum();
        for (at, weight) in weights.iter().enumerate() {
            let mine = (0..KEYS).filter(|of| owner(&ring, key(*of)) == address(at)).count();
            let fair = KEYS as f64 * f64::from(*weight) / f64::from(all);
            let ratio = mine as f64 / fair;
            assert!((0.75..1.25).contains(&ratio), "{ratio} for {weight} of {weights:?}");
        }
    }
}

#[test]
fn whoever_joins_or_leaves_moves_its_own_share_of_the_keys_and_no_other() {
    for count in [1, 2, 3, 8, 50] {
        let less = Ring::of(&listed(&vec![100; count]));
        let more = Ring::of(&listed(&vec![100; count + 1]));
        let mut moved = 0;
        for of in 0..KEYS {
            let (before, after) = (owner(&less, key(of)), owner(&more, key(of)));
            if before != after {
                moved += 1;
                assert_eq!(after, address(count), "to the one that joined");
            }
        }
        let share = moved as f64 / KEYS as f64 * (count + 1) as f64;
        assert!((0.7..1.3).contains(&share), "{share} of a fair share, {count} instances");
    }
}

#[test]
fn every_process_builds_the_same_ring_in_whatever_order_it_is_told() {
    let mut instances = listed(&[100, 50, 100, 1_000, 0]);
    let ring = Ring::of(&instances);
    instances.reverse();
    let other = Ring::of(&instances);
    assert!((0..KEYS).all(|of| owner(&ring, key(of)) == owner(&other, key(of))));
}

#[test]
fn a_drained_instance_owns_nothing_and_no_instances_own_nothing() {
    let ring = Ring::of(&listed(&[0, 100]));
    assert!((0..KEYS).all(|of| owner(&ring, key(of)) == address(1)));
    let (ring, nobody) = (Ring::of(&[]), fakes(0));
    assert_eq!(pick(&ring, &seats(&ring, &nobody), 7, &ask()), None);
}

#[test]
fn keys_of_a_lost_instance_are_spread_over_the_others_and_come_back() {
    let ring = Ring::of(&listed(&[100; 5]));
    let mut fakes = fakes(5);
    let homes: Vec<_> = {
        let seats = seats(&ring, &fakes);
        (0..KEYS).map(|of| pick(&ring, &seats, key(of), &ask()).unwrap()).collect()
    };
    fakes[0].usable = false;
    let seats = seats(&ring, &fakes);
    let mut spread = std::collections::HashMap::new();
    for (of, home) in (0..KEYS).zip(&homes) {
        let now = pick(&ring, &seats, key(of), &ask()).unwrap();
        if *home == fakes[0].standing.number {
            *spread.entry(format!("{now:?}")).or_insert(0) += 1;
        } else {
            assert_eq!(now, *home, "a key whose owner is well stays");
        }
    }
    assert_eq!(spread.len(), 4);
    assert!(spread.values().all(|keys| (600..1_500).contains(keys)), "{spread:?} of about 1000");
}

#[test]
fn a_repetition_goes_to_the_next_on_the_ring() {
    let ring = Ring::of(&listed(&[100; 3]));
    let fakes = fakes(3);
    let seats = seats(&ring, &fakes);
    let mut ask = ask();
    for _ in 0..3 {
        let picked = pick(&ring, &seats, key(1), &ask).unwrap();
        assert!(!ask.avoid.contains(picked));
        ask.avoid.add(picked);
    }
    assert_eq!(pick(&ring, &seats, key(1), &ask), None, "the others are asked elsewhere");
}

#[test]
fn one_hot_key_does_not_drown_an_instance() {
    let ring = Ring::of(&listed(&[100; 5]));
    let fakes = fakes(5);
    let seats = seats(&ring, &fakes);
    for _ in 0..500 {
        seats.pick(&ring, key(1), &ask(), |fake| {
            fake.standing.calls.begin();
            Some(())
        });
    }
    let most = fakes.iter().map(|fake| fake.standing.calls.now()).max().unwrap();
    assert!((100..=126).contains(&most), "{most} of 500, where a fair share is 100");
    // And without a crowd, it stays where it belongs.
    fakes.iter().for_each(|fake| {
        while fake.standing.calls.now() > 0 {
            fake.standing.calls.end()
        }
    });
    let home = owner(&ring, key(1));
    for _ in 0..8 {
        seats.pick(&ring, key(1), &ask(), |fake| {
            fake.standing.calls.begin();
            Some(())
        });
    }
    let at = (0..5).find(|at| address(*at) == home).unwrap();
    assert_eq!(fakes[at].standing.calls.now(), 8);
}

proptest! {
    #[test]
    fn whoever_is_usable_and_was_not_tried_is_found(
        instances in prop::collection::vec((any::<bool>(), any::<bool>(), 0_u32..100), 1..12),
        of: u64,
    ) {
        let ring = Ring::of(&listed(&vec![100; instances.len()]));
        let mut fakes = fakes(instances.len());
        let mut ask = ask();
        for (fake, (usable, tried, load)) in fakes.iter_mut().zip(&instances) {
            fake.usable = *usable;
            (0..*load).for_each(|_| fake.standing.calls.begin());
            if *tried {
                ask.avoid.add(fake.standing.number);
            }
        }
        let seats = seats(&ring, &fakes);
        let picked = pick(&ring, &seats, of, &ask);
        let able = |fake: &&Fake| fake.usable && !ask.avoid.contains(fake.standing.number);
        if let Some(picked) = picked {
            prop_assert!(fakes.iter().filter(able).any(|fake| fake.standing.number == picked));
        } else {
            // Everyone who could have is over the bound; the ordinary choice asks
            // them then.
            prop_assert!(fakes.iter().filter(able).all(|fake| fake.standing.calls.now() >= 8));
        }
    }
}
