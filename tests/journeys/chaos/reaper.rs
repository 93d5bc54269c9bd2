//! Who kills: processes drawn by a seed, at a rhythm drawn by the same.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::{APPS, Plan};
use crate::system::System;

/// Between two kills, in milliseconds: short enough to meet a saga in each of its
/// steps and in its taking over, long enough that some get on.
const PAUSES: std::ops::Range<u64> = 50..600;

/// See the module.
pub(super) struct Reaper {
    plan: Plan,
    /// Orders that were asked for.
    asked: AtomicUsize,
    kills: Mutex<Kills>,
}

/// Processes that were killed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Kills {
    pub(super) all: usize,
    /// Before everything was asked for.
    pub(super) under_load: usize,
}

impl Reaper {
    pub(super) fn new(plan: Plan) -> Self {
        Self { plan, asked: AtomicUsize::new(0), kills: Mutex::default() }
    }

    /// Another order was asked for.
    pub(super) fn note_order(&self) {
        self.asked.fetch_add(1, SeqCst);
    }

    /// Whether it is too early for the next kill: they are spread over the orders.
    fn ahead(&self) -> bool {
        let Plan { orders, kills, .. } = self.plan;
        self.count().all * orders > self.asked.load(SeqCst) * kills
    }

    pub(super) fn count(&self) -> Kills {
        *self.kills.lock().unwrap()
    }

    /// Kills as many as the plan says.
    pub(super) fn kill(&self, system: &System) {
        let mut random = fastrand::Rng::with_seed(self.plan.seed);
        while self.count().all < self.plan.kills {
            thread::sleep(Duration::from_millis(random.u64(PAUSES)));
            if self.ahead() {
                continue;
            }
            let app = APPS[random.usize(..APPS.len())];
            let status = system.status();
            let processes = status["processes"].as_array().unwrap();
            let running = |process: &&Value| process["app"] == app && process["pid"].is_u64();
            let running: Vec<_> = processes.iter().filter(running).collect();
            // All of them may just be on their way back.
            let Some(victim) = random.choice(running) else { continue };
            let pid = victim["pid"].as_u64().and_then(|pid| i32::try_from(pid).ok());
            let Some(pid) = pid.and_then(Pid::from_raw) else { continue };
            if kill_process(pid, Signal::KILL).is_ok() {
                let mut kills = self.kills.lock().unwrap();
                kills.all += 1;
                kills.under_load += usize::from(self.asked.load(SeqCst) < self.plan.orders);
            }
        }
    }
}
