//! Every order in which threads can meet in the lock-free parts of a call, tried
//! by loom (`make loom`).
//!
//! Not here: the scores of the balance, whose updates drop one of two that meet
//! (nothing hangs on it); the rotation, whose snapshot is arc-swap's and whose
//! changes are under a mutex; connections, which wake by tokio's `Notify`. Loom
//! sees into none of these three.

use std::{sync::Arc, time::Duration};

use loom::thread;

use super::{
    breaker::{Breaker, Cause, Change, Trial},
    budget::Budget,
    bulkhead::Room,
    meter::Meter,
    tick::Tick,
};

fn at(millis: u64) -> Tick {
    Tick::from_millis(millis)
}

fn call(began: u64) -> Trial {
    Trial { began: at(began), probe: false }
}

/// What a function yields in two threads at once.
fn twice<T: 'static, R: Send + 'static>(
    shared: &Arc<T>,
    run: impl Fn(&T) -> R + Copy + Send + 'static,
) -> [R; 2]
where
    T: Send + Sync,
{
    let other = shared.clone();
    let other = thread::spawn(move || run(&other));
    let own = run(shared);
    [own, other.join().unwrap()]
}

#[test]
fn the_last_token_is_spent_once() {
    loom::model(|| {
        let budget = Arc::new(Budget::default());
        // A new channel has ten.
        (0..9).for_each(|_| assert!(budget.spend()));
        let spent = twice(&budget, Budget::spend);
        assert_eq!(spent.iter().filter(|spent| **spent).count(), 1);
        assert!(!budget.spend());
    });
}

#[test]
fn what_is_earned_while_another_spends_is_not_lost() {
    loom::model(|| {
        let budget = Arc::new(Budget::default());
        (0..10).for_each(|_| assert!(budget.spend()));
        (0..3).for_each(|_| budget.earn());
        let spent = twice(&budget, |budget| {
            budget.earn();
            budget.spend()
        });
        // Five calls earn one repetition.
        assert_eq!(spent.iter().filter(|spent| **spent).count(), 1);
        assert!(!budget.spend());
    });
}

#[test]
fn a_place_is_held_by_one_at_a_time_and_comes_back() {
    loom::model(|| {
        let room = Room::of(1);
        let places = twice(&Arc::new(room.clone()), Room::enter);
        assert_eq!(places.iter().flatten().count(), 1, "one, and not none");
        drop(places);
        assert!(Room::enter(&room).is_some());
    });
}

#[test]
fn a_place_that_is_given_back_while_another_asks_is_never_doubled() {
    loom::model(|| {
        let room = Room::of(1);
        let held = Room::enter(&room).unwrap();
        let asking = room.clone();
        let asking = thread::spawn(move || Room::enter(&asking));
        drop(held);
        let other = Room::enter(&room);
        let asked = asking.join().unwrap();
        assert!(other.iter().chain(&asked).count() <= 1);
        drop((other, asked));
        assert!(Room::enter(&room).is_some());
    });
}

#[test]
fn a_meter_is_even_when_all_have_ended() {
    loom::model(|| {
        let meter = Arc::new(Meter::default());
        let seen = twice(&meter, |meter| {
            meter.begin();
            let now = meter.now();
            meter.end();
            now
        });
        assert!(seen.iter().all(|now| (1..=2).contains(now)));
        assert_eq!((meter.now(), meter.ever()), (0, 2));
    });
}

#[test]
fn a_breaker_opens_once_however_many_failures_meet() {
    loom::model(|| {
        let breaker = Arc::new(Breaker::new(at(1)));
        for _ in 0..4 {
            assert_eq!(breaker.failed(call(2), at(2), 0.0), None);
        }
        let changes = twice(&breaker, |breaker| breaker.failed(call(2), at(2), 0.0));
        let opened: Vec<_> = changes.iter().flatten().collect();
        assert_eq!(opened, [&Change::Opened(Cause::Consecutive)]);
        assert!(breaker.is_open());
        assert_eq!(breaker.since(), at(2).after(Duration::from_secs(1)), "for one second, not two");
    });
}

#[test]
fn an_ejection_and_a_failure_that_meet_open_a_breaker_once() {
    loom::model(|| {
        let breaker = Arc::new(Breaker::new(at(1)));
        for _ in 0..4 {
            breaker.failed(call(2), at(2), 0.0);
        }
        let failing = breaker.clone();
        let failing = thread::spawn(move || failing.failed(call(2), at(2), 0.0));
        let ejected = breaker.eject(at(2), 0.0);
        let failed = failing.join().unwrap();
        assert_eq!(ejected.iter().chain(&failed).count(), 1);
        assert!(breaker.is_open());
    });
}

/// A breaker that may be tried from 1,002 ms on.
fn opened() -> Breaker {
    let breaker = Breaker::new(at(1));
    for _ in 0..5 {
        breaker.failed(call(2), at(2), 0.0);
    }
    breaker
}

#[test]
fn a_half_open_breaker_lets_one_probe_through() {
    loom::model(|| {
        let breaker = Arc::new(opened());
        let reserved = twice(&breaker, |breaker| breaker.reserve(at(2_000)));
        assert_eq!(reserved.iter().filter(|reserved| **reserved).count(), 1);
        breaker.release(at(2_000));
        assert!(breaker.reserve(at(2_000)), "given back, it is free");
    });
}

#[test]
fn a_probe_that_ends_while_another_is_asked_for_leaves_one_at_most() {
    loom::model(|| {
        let breaker = Arc::new(opened());
        assert!(breaker.reserve(at(2_000)));
        let ending = breaker.clone();
        let ending = thread::spawn(move || {
            let probe = Trial { began: at(2_000), probe: true };
            ending.succeeded(probe, at(2_001))
        });
        let reserved = breaker.reserve(at(2_001));
        assert_eq!(ending.join().unwrap(), None, "one success is not enough");
        // Who was not let in then is let in now, and nobody beside who was.
        assert_eq!(breaker.reserve(at(2_001)), !reserved);
    });
}

#[test]
fn a_failure_of_before_cannot_undo_a_recovery() {
    loom::model(|| {
        let breaker = Arc::new(opened());
        let probe = Trial { began: at(2_000), probe: true };
        assert!(breaker.reserve(at(2_000)));
        breaker.succeeded(probe, at(2_001));
        assert!(breaker.reserve(at(2_001)));
        let late = breaker.clone();
        let late = thread::spawn(move || late.failed(call(2), at(2_002), 0.0));
        let probe = Trial { began: at(2_001), probe: true };
        assert_eq!(breaker.succeeded(probe, at(2_002)), Some(Change::Closed));
        assert_eq!(late.join().unwrap(), None);
        assert!(!breaker.is_open());
    });
}
