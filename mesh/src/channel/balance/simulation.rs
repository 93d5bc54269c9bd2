//! Whole systems on a simulated clock: what share of the calls each instance
//! gets, for one, two, three and fifty of them.

use std::{cmp::Reverse, collections::BinaryHeap, time::Duration};

use super::{Candidate, Score, Tick, draw, second_is_better};

/// An instance as the simulation has it.
struct Server {
    score: Score,
    in_flight: usize,
    since: Tick,
    /// Milliseconds for one call, before noise.
    millis: u64,
    fails: bool,
    calls: u32,
}

impl Server {
    fn new(millis: u64) -> Self {
        let since = Tick::from_millis(1);
        Self { score: Score::new(since), in_flight: 0, since, millis, fails: false, calls: 0 }
    }

    fn candidate(&self) -> Candidate<'_> {
        Candidate {
            score: &self.score,
            load: self.in_flight as f32,
            stream: false,
            since: self.since,
        }
    }
}

struct System {
    servers: Vec<Server>,
    random: fastrand::Rng,
    now: u64,
    /// (when, which, how long)
    ends: BinaryHeap<Reverse<(u64, usize, u64)>>,
}

impl System {
    fn of(servers: Vec<Server>) -> Self {
        Self { servers, random: fastrand::Rng::with_seed(7), now: 1, ends: BinaryHeap::new() }
    }

    /// Runs so many milliseconds with `calls` calls in each, and returns the share
    /// of calls that each server got.
    fn run(&mut self, millis: u64, calls: u32) -> Vec<f64> {
        for server in &mut self.servers {
            server.calls = 0;
        }
        for _ in 0..millis {
            self.now += 1;
            self.end_calls();
            for _ in 0..calls {
                self.call();
            }
        }
        let all: u32 = self.servers.iter().map(|server| server.calls).sum();
        self.servers.iter().map(|server| f64::from(server.calls) / f64::from(all)).collect()
    }

    /// The whole machine stands still, as one does whose processor is taken away:
    /// what was to end ends late, and what was to be called is called then.
    fn stall(&mut self, millis: u64, calls: u32) {
        let until = self.now + millis;
        let late = |Reverse((when, which, took)): Reverse<(u64, usize, u64)>| {
            let when_now = when.max(until);
            Reverse((when_now, which, took + when_now - when))
        };
        self.ends = self.ends.drain().map(late).collect();
        self.now = until;
        self.end_calls();
        for _ in 0..millis * u64::from(calls) {
            self.call();
        }
    }

    fn end_calls(&mut self) {
        while let Some(Reverse((when, which, took))) = self.ends.peek().copied() {
            if when > self.now {
                break;
            }
            self.ends.pop();
            let server = &mut self.servers[which];
            server.in_flight -= 1;
            let now = Tick::from_millis(when);
            if server.fails {
                server.score.failed(now);
            } else {
                server.score.served(Some(Duration::from_millis(took)), now);
            }
        }
    }

    fn call(&mut self) {
        let now = Tick::from_millis(self.now);
        let which = self.choose(now);
        let server = &mut self.servers[which];
        server.score.picked(now);
        server.calls += 1;
        server.in_flight += 1;
        // Half to one and a half times the usual.
        let usual = if server.fails { 1 } else { server.millis };
        let took = (usual / 2 + self.random.u64(..=usual)).max(1);
        self.ends.push(Reverse((self.now + took, which, took)));
    }

    fn choose(&mut self, now: Tick) -> usize {
        if self.servers.len() == 1 {
            return 0;
        }
        let random = &mut self.random;
        let (first, second) = draw(self.servers.len(), |count| random.usize(..count));
        let (a, b) = (self.servers[first].candidate(), self.servers[second].candidate());
        if second_is_better(&a, &b, now, || random.f32()) { second } else { first }
    }
}

fn servers(count: usize) -> Vec<Server> {
    (0..count).map(|_| Server::new(10)).collect()
}

#[test]
fn equal_instances_share_the_calls() {
    for count in [1, 2, 3, 50] {
        let shares = System::of(servers(count)).run(20_000, 5);
        for share in shares {
            let fair = 1.0 / count as f64;
            assert!((0.7..1.3).contains(&(share / fair)), "{share} of {fair}, {count} instances");
        }
    }
}

#[test]
fn an_instance_ten_times_slower_is_avoided() {
    for (count, most) in [(2, 0.2), (3, 0.1), (5, 0.05), (50, 0.005)] {
        let mut system = System::of(servers(count));
        system.servers[0].millis = 100;
        let share = system.run(20_000, 2)[0];
        assert!(share < most, "{share} of {count} instances");
        assert!(share > 0.0, "it is tried");
    }
}

#[test]
fn stalls_of_the_machine_do_not_send_calls_to_a_slow_instance() {
    for lasts in [30, 60, 100, 200] {
        let mut system = System::of((0..5).map(|_| Server::new(5)).collect());
        system.servers[0].millis = 50;
        system.run(20_000, 1);
        let mut slow = 0.0;
        for _ in 0..20 {
            system.stall(lasts, 1);
            slow += system.run(1_000, 1)[0] / 20.0;
        }
        assert!(slow < 0.004, "{slow} after stalls of {lasts} ms");
    }
}

#[test]
fn an_instance_that_becomes_slow_loses_its_calls_at_once() {
    let mut system = System::of((0..5).map(|_| Server::new(5)).collect());
    system.run(20_000, 1);
    system.servers[0].millis = 50;
    // Its first calls must come back before it can be known.
    let share = system.run(200, 1)[0];
    assert!(share < 0.05, "{share} of 200 calls");
    let share = system.run(1_000, 1)[0];
    assert!(share < 0.002, "{share} of the next thousand");
}

#[test]
fn an_instance_that_fails_at_once_does_not_attract_calls() {
    for count in [2, 3, 5, 50] {
        let mut system = System::of(servers(count));
        system.servers[0].fails = true;
        let share = system.run(20_000, 2)[0];
        assert!(share < 0.2 / count as f64, "{share} of {count} instances");
    }
}

#[test]
fn an_instance_that_has_become_quick_again_gets_its_share_back() {
    let mut system = System::of(servers(5));
    system.servers[0].millis = 1_000;
    system.run(20_000, 2);
    system.servers[0].millis = 10;
    system.run(60_000, 2);
    let share = system.run(20_000, 2)[0];
    assert!(share > 0.15, "{share}");
}

#[test]
fn a_new_instance_starts_slowly_and_reaches_its_share() {
    let mut system = System::of(servers(3));
    system.run(20_000, 2);
    let since = Tick::from_millis(system.now);
    system.servers.push(Server { score: Score::new(since), since, ..Server::new(10) });
    let first = system.run(1_000, 2)[3];
    assert!(first < 0.15, "{first} in the first second");
    system.run(20_000, 2);
    let share = system.run(20_000, 2)[3];
    assert!((0.17..0.33).contains(&share), "{share}");
}

#[test]
fn background_failures_everywhere_do_not_drive_all_calls_to_one_instance() {
    let mut system = System::of(servers(5));
    let mut most: f64 = 0.0;
    for _ in 0..200 {
        let unlucky = system.random.usize(..5);
        let now = Tick::from_millis(system.now);
        system.servers[unlucky].score.failed(now);
        let shares = system.run(100, 2);
        most = most.max(shares.into_iter().fold(0.0, f64::max));
    }
    assert!(most < 0.6, "{most}");
}
