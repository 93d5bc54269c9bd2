//! Tells of workers that hold up their calls: one whose thread computes or blocks
//! looks from outside like a slow network, and nothing else in the process shows
//! that it is none.
//!
//! A worker that sleeps in its I/O driver, or has slept since the last tick, is
//! well and is left alone. Only one that has been awake for a whole tick is sent a
//! task, behind what it has to do; if that is a lot of small work, the task runs
//! soon.

use std::{
    io,
    sync::{
        Arc, Weak,
        atomic::{
            AtomicU64,
            Ordering::{AcqRel, Relaxed},
        },
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::Duration,
};

use tokio::runtime::Handle;

use super::{slot, thread::Worker};

use crate::telemetry::page::Page;

/// Twenty looks a second at one number for each worker cost nothing that can be
/// measured, and find what lasts long enough to be felt by callers.
const TICK: Duration = Duration::from_millis(50);

/// Ticks that a task may wait. 100 ms are far beyond what a worker under full
/// load takes to come round. Counted in ticks and not by the clock, so that a
/// process that was stopped as a whole is not blamed on a worker.
const PATIENCE: u32 = 2;

/// Times that a worker of this process was found blocked.
static BLOCKED: AtomicU64 = AtomicU64::new(0);

/// Lines for Prometheus' page.
pub(crate) fn page(page: &mut Page) {
    let (name, blocked) = ("titan_worker_blocked_total", BLOCKED.load(Relaxed));
    let help = "Times that something held a worker's thread for 100 ms.";
    page.head(name, "counter", help);
    page.line(format_args!("{name} {blocked}"));
}

/// How often a worker fell asleep and awoke, together: odd while it sleeps.
/// Written by its own thread alone.
#[derive(Debug, Default)]
pub(super) struct Pulse(AtomicU64);

impl Pulse {
    /// Called when the worker falls asleep, and when it wakes up.
    pub(super) fn beat(&self) {
        self.0.store(self.0.load(Relaxed) + 1, Relaxed);
    }
}

/// The thread that watches. It ends when this is dropped.
#[derive(Debug)]
pub(super) struct Watchdog {
    _stop: mpsc::Sender<()>,
}

impl Watchdog {
    /// `method` names the method whose record has an address.
    pub(super) fn start(
        workers: &[Worker],
        method: impl Fn(usize) -> Option<String> + Send + 'static,
    ) -> io::Result<Self> {
        let (stop, stopped) = mpsc::channel();
        let mut watched: Vec<_> = workers.iter().map(Watched::new).collect();
        thread::Builder::new().name("watchdog".to_owned()).spawn(move || {
            while stopped.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
                for worker in watched.iter_mut().filter_map(Watched::tick) {
                    let method = method(slot::held_by(worker));
                    report(worker, method.as_deref());
                }
            }
        })?;
        Ok(Self { _stop: stop })
    }
}

fn report(worker: usize, method: Option<&str>) {
    BLOCKED.fetch_add(1, AcqRel);
    tracing::warn!(
        worker,
        method,
        "a worker has not turned for 100 ms, and its other calls wait: what it runs computes or \
         blocks, and belongs in mesh::compute"
    );
}

/// What is known of a worker.
pub(super) struct Watched {
    runtime: Handle,
    number: usize,
    pulse: Arc<Pulse>,
    /// The pulse at the last tick.
    seen: u64,
    probe: Option<Probe>,
}

/// A task that was sent to a worker.
struct Probe {
    /// Gone once the task has run, or its worker has ended.
    waits: Weak<()>,
    ticks: u32,
}

impl Watched {
    pub(super) fn new(worker: &Worker) -> Self {
        Self {
            runtime: worker.runtime().clone(),
            number: worker.number(),
            pulse: worker.pulse().clone(),
            seen: 0,
            probe: None,
        }
    }

    /// The worker's number if it was just found blocked; told once each time.
    pub(super) fn tick(&mut self) -> Option<usize> {
        if let Some(probe) = self.probe.as_mut().filter(|probe| probe.waits.strong_count() > 0) {
            probe.ticks += 1;
            return (probe.ticks == PATIENCE).then_some(self.number);
        }
        self.probe = None;
        let pulse = self.pulse.0.load(Relaxed);
        let (sleeps, slept) = (!pulse.is_multiple_of(2), pulse != self.seen);
        self.seen = pulse;
        if !sleeps && !slept {
            self.probe = Some(self.probe());
        }
        None
    }

    fn probe(&self) -> Probe {
        let token = Arc::new(());
        let waits = Arc::downgrade(&token);
        self.runtime.spawn(async move { drop(token) });
        Probe { waits, ticks: 0 }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;
    use crate::{Workers, contract::Contracts};

    /// Enough for a probe, for patience, and for a second report if there were one.
    const TICKS: usize = 10;

    /// Blocks a worker until the sender is dropped.
    async fn block(runtime: &Handle) -> mpsc::Sender<()> {
        let (unblock, blocked) = mpsc::channel::<()>();
        let (entered, running) = oneshot::channel();
        runtime.spawn(async move {
            entered.send(()).expect("the test waits for it");
            let _ = blocked.recv();
        });
        running.await.expect("it tells that it runs");
        unblock
    }

    #[tokio::test]
    async fn a_worker_that_is_blocked_is_told_once_each_time() {
        let workers = Workers::start(1).expect("a thread starts");
        let mut watched = Watched::new(&workers.threads[0]);
        for _ in 0..2 {
            let unblock = block(&watched.runtime.clone()).await;
            let told: Vec<_> = (0..TICKS).filter_map(|_| watched.tick()).collect();
            assert_eq!(told, [watched.number]);
            drop(unblock);
            // What was sent to it before has run when this has.
            watched.runtime.spawn(async {}).await.expect("it turns again");
        }
    }

    #[tokio::test]
    async fn a_worker_that_awaits_or_is_busy_with_small_work_is_not_told() {
        let workers = Workers::start(1).expect("a thread starts");
        let mut watched = Watched::new(&workers.threads[0]);
        watched.runtime.spawn(std::future::pending::<()>());
        // Never asleep, but it comes round.
        watched.runtime.spawn(async {
            loop {
                tokio::task::yield_now().await;
            }
        });
        for _ in 0..TICKS {
            assert_eq!(watched.tick(), None);
            watched.runtime.spawn(async {}).await.expect("it turns");
        }
    }

    #[tokio::test]
    async fn a_worker_that_sleeps_is_left_to_sleep() {
        let workers = Workers::start(1).expect("a thread starts");
        let mut watched = Watched::new(&workers.threads[0]);
        while watched.pulse.0.load(Relaxed).is_multiple_of(2) {
            tokio::task::yield_now().await;
        }
        let asleep = watched.pulse.0.load(Relaxed);
        for _ in 0..TICKS {
            assert_eq!(watched.tick(), None);
            assert!(watched.probe.is_none());
        }
        assert_eq!(watched.pulse.0.load(Relaxed), asleep);
    }

    #[tokio::test]
    async fn who_holds_a_worker_is_known_while_it_does() {
        let contracts =
            Contracts::load(&[crate::DESCRIPTORS]).expect("its own contracts are sound");
        let method = contracts.method("/titan.mesh.v1.KeyService/ListKeys").expect("it is one");
        let (method, address) = (method.clone(), slot::address(method));
        let workers = Workers::start(1).expect("a thread starts");
        let number = workers.threads[0].number();
        let held = workers.threads[0].runtime().spawn(async move {
            let _holding = slot::hold(Some(&method));
            slot::held_by(number)
        });
        assert_eq!(held.await.expect("it does not panic"), address);
        assert_eq!(slot::held_by(number), 0);
    }

    #[tokio::test]
    async fn a_worker_that_has_ended_is_not_told() {
        let mut workers = Workers::start(1).expect("a thread starts");
        let worker = workers.threads.remove(0);
        let mut watched = Watched::new(&worker);
        worker.end().await;
        assert!((0..TICKS).all(|_| watched.tick().is_none()));
    }

    #[tokio::test]
    async fn the_watchdog_finds_a_blocked_worker_and_ends_with_the_workers() {
        let (asked, name) = mpsc::channel();
        let workers = Workers::watched(2, move |_| {
            let _ = asked.send(());
            None
        })
        .expect("threads start");
        let before = BLOCKED.load(Relaxed);
        let unblock = block(workers.threads[0].runtime()).await;
        let told = tokio::task::spawn_blocking(move || (name.recv(), name)).await;
        let (told, name) = told.expect("it waits for the watchdog");
        told.expect("the watchdog asks for the method's name");
        drop(unblock);
        drop(workers);
        // Its end drops what it was given.
        while name.try_recv() != Err(mpsc::TryRecvError::Disconnected) {
            thread::yield_now();
        }
        assert!(BLOCKED.load(Relaxed) > before);
        let mut text = Page::new(crate::telemetry::page::Format::Prometheus);
        page(&mut text);
        assert!(text.finish().contains("\ntitan_worker_blocked_total "));
    }
}
