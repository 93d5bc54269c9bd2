//! A process under five times the load it can do, on paused time: what is
//! served, what is turned away, and how soon it recovers. Seeded, so that a run
//! repeats itself.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::{sync::Semaphore, task::JoinSet, time::Instant};

use super::{Config, Overload, tests::method};
use crate::{Criticality, contract::Method, criticality::CLASSES};

/// Calls that make headway at once, and how long one takes on average.
const HANDS: usize = 8;
const WORK_MILLIS: u64 = 20;
/// Calls a second that can be done at most.
const PEAK: f64 = HANDS as f64 * 1_000.0 / WORK_MILLIS as f64;
/// Callers wait no longer.
const DEADLINE: Duration = Duration::from_millis(500);
/// Shares of the classes, the lowest first: of five times the peak, what is
/// critical alone is 85 % of it.
const SHARES: [f64; CLASSES] = [0.53, 0.30, 0.15, 0.02];

struct Process {
    overload: Option<Arc<Overload>>,
    method: Arc<Method>,
    hands: Semaphore,
}

/// What became of the calls of a phase, by class.
#[derive(Default)]
struct Phase {
    offered: [AtomicU32; CLASSES],
    served: [AtomicU32; CLASSES],
}

impl Phase {
    fn served(&self) -> f64 {
        self.served.iter().map(|served| f64::from(served.load(Relaxed))).sum()
    }

    fn share_of(&self, class: Criticality) -> f64 {
        let of = |counts: &[AtomicU32; CLASSES]| f64::from(counts[class as usize].load(Relaxed));
        of(&self.served) / of(&self.offered)
    }
}

async fn call(process: &Process, class: Criticality, work: Duration) -> bool {
    let place = match &process.overload {
        Some(overload) => {
            match overload.enter(Some(&process.method), class, Instant::now()).await {
                Ok(place) => Some(place),
                Err(_) => return false,
            }
        }
        None => None,
    };
    let hand = process.hands.acquire().await.expect("it is never closed");
    tokio::time::sleep(work).await;
    drop(hand);
    drop(place.map(|place| place.answered(true, Instant::now())));
    true
}

/// Offers `rate` calls a second for a while; they arrive at random.
async fn offer(
    process: &Arc<Process>,
    random: &mut fastrand::Rng,
    rate: f64,
    seconds: f64,
) -> Arc<Phase> {
    let phase = Arc::new(Phase::default());
    let mut calls = JoinSet::new();
    let start = Instant::now();
    let mut at = 0.0;
    while at < seconds {
        tokio::time::sleep_until(start + Duration::from_secs_f64(at)).await;
        at += -(1.0 - random.f64()).ln() / rate;
        let class = class(random.f64());
        let work = Duration::from_millis(random.u64(WORK_MILLIS / 2..=WORK_MILLIS * 3 / 2));
        let (process, phase) = (process.clone(), phase.clone());
        phase.offered[class as usize].fetch_add(1, Relaxed);
        calls.spawn(async move {
            let served = tokio::time::timeout(DEADLINE, call(&process, class, work)).await;
            phase.served[class as usize].fetch_add(u32::from(served == Ok(true)), Relaxed);
        });
    }
    // The next phase begins at once: what is under way goes on beside it.
    tokio::spawn(async move { while calls.join_next().await.is_some() {} });
    phase
}

fn class(mut draw: f64) -> Criticality {
    let mut classes = Criticality::ALL.into_iter().zip(SHARES);
    let found = classes.find(|(_, share)| {
        draw -= share;
        draw < 0.0
    });
    found.map_or(Criticality::Sheddable, |(class, _)| class)
}

fn process(config: &Config) -> Arc<Process> {
    let overload = Overload::new(config);
    Arc::new(Process { overload, method: method(), hands: Semaphore::new(HANDS) })
}

#[tokio::test(start_paused = true)]
async fn five_times_the_load_costs_the_lowest_classes_only_and_passes() {
    for seed in [7, 8] {
        let mut random = fastrand::Rng::with_seed(seed);
        let process = process(&Config::default());
        offer(&process, &mut random, PEAK * 0.5, 2.0).await;
        let overloaded = offer(&process, &mut random, PEAK * 5.0, 10.0).await;
        offer(&process, &mut random, PEAK * 0.7, 4.0).await;
        let after = offer(&process, &mut random, PEAK * 0.7, 2.0).await;
        tokio::time::sleep(DEADLINE).await;

        let goodput = overloaded.served() / (PEAK * 10.0);
        assert!(goodput >= 0.9, "{goodput} of the peak was served");
        for class in [Criticality::Critical, Criticality::CriticalPlus] {
            let share = overloaded.share_of(class);
            assert!(share >= 0.99, "{share} of {class:?} was served");
        }
        let lowest = overloaded.share_of(Criticality::Sheddable);
        assert!(lowest < 0.1, "{lowest} of the lowest class was served");
        for class in Criticality::ALL {
            let share = after.share_of(class);
            assert!(share >= 0.99, "{share} of {class:?} was served when the load was gone");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_same_load_is_lost_on_a_process_that_takes_every_call() {
    let mut random = fastrand::Rng::with_seed(7);
    let process = process(&Config { on: false, ..Config::default() });
    offer(&process, &mut random, PEAK * 0.5, 2.0).await;
    offer(&process, &mut random, PEAK * 5.0, 2.0).await;
    let overloaded = offer(&process, &mut random, PEAK * 5.0, 4.0).await;
    let critical = overloaded.share_of(Criticality::CriticalPlus);
    assert!(critical < 0.5, "{critical} was served: the simulation overloads nothing");
}
