//! Who is chosen of one, two, three and fifty.

use proptest::prelude::*;

use super::*;
use crate::channel::{standing::Standing, tick::Tick};

struct Fake {
    standing: Standing,
    usable: bool,
}

impl Choosable for Fake {
    fn number(&self) -> Number {
        self.standing.number
    }

    fn candidate(&self) -> Candidate<'_> {
        self.standing.candidate()
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

fn fakes(usable: &[bool]) -> Vec<Fake> {
    let standing = || Standing::new(Tick::from_millis(1));
    usable.iter().map(|usable| Fake { standing: standing(), usable: *usable }).collect()
}

fn pick(fakes: &[Fake], avoid: &Tried, random: &mut Seeded) -> Option<Number> {
    let now = Tick::from_millis(60_000);
    choose(fakes, avoid, now, random, |fake| fake.usable.then(|| fake.number()))
}

#[test]
fn a_repetition_goes_to_every_other_instance_before_it_comes_back() {
    for count in [1, 2, 3, 5] {
        let (fakes, mut random) = (fakes(&vec![true; count]), seeded(1));
        for _ in 0..100 {
            let mut tried = Tried::default();
            for attempt in 0..count {
                let picked = pick(&fakes, &tried, &mut random).unwrap();
                assert!(!tried.contains(picked), "attempt {attempt} of {count}");
                tried.add(picked);
            }
            let again = pick(&fakes, &tried, &mut random).unwrap();
            assert!(tried.contains(again), "there is nobody else");
        }
    }
}

#[test]
fn a_repetition_does_not_prefer_one_of_the_others() {
    let (fakes, mut random) = (fakes(&[true; 50]), seeded(2));
    let mut tried = Tried::default();
    tried.add(fakes[7].number());
    let mut picks = vec![0_u32; 50];
    for _ in 0..5_000 {
        let picked = pick(&fakes, &tried, &mut random).unwrap();
        picks[fakes.iter().position(|fake| fake.number() == picked).unwrap()] += 1;
    }
    assert_eq!(picks.remove(7), 0);
    assert!(picks.iter().all(|count| (50..=160).contains(count)), "{picks:?} of about 102");
}

proptest! {
    #[test]
    fn whoever_is_usable_is_found_and_whoever_was_tried_comes_last(
        instances in prop::collection::vec((any::<bool>(), any::<bool>()), 0..50),
        seed: u64,
    ) {
        let usable: Vec<bool> = instances.iter().map(|(usable, _)| *usable).collect();
        let fakes = fakes(&usable);
        let mut tried = Tried::default();
        let were_tried = fakes.iter().zip(&instances).filter(|(_, (_, tried))| *tried);
        for (fake, _) in were_tried {
            tried.add(fake.number());
        }
        let picked = pick(&fakes, &tried, &mut seeded(seed));
        prop_assert_eq!(picked.is_some(), usable.contains(&true));
        if let Some(picked) = picked {
            let fresh = |fake: &Fake| fake.usable && !tried.contains(fake.number());
            let others = fakes.iter().any(fresh);
            prop_assert!(!tried.contains(picked) || !others);
        }
    }
}
