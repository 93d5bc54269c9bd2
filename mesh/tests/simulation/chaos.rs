//! A client, a middle layer and three replicas of a leaf on turmoil's network,
//! under faults drawn from a seed. Whatever happens: each call has one outcome, in
//! time; what must not be repeated is done once; what was answered was done; and
//! when the faults end, calls succeed.

use std::{
    cell::{Cell, RefCell},
    io,
    net::SocketAddr,
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use futures_util::{FutureExt as _, future::BoxFuture};
use mesh::{
    App, Settings,
    net::{Accept, Listener, Network, Stream},
};
use tokio::{
    sync::Notify,
    time::{Instant, sleep},
};
use tonic::Code;
use turmoil::{Sim, net};

use crate::{
    ledger::{ADD, Entry, Ledger, PUT, book, contract, within},
    seeds::seeds,
};

const LEAVES: [&str; 3] = ["leaf-0", "leaf-1", "leaf-2"];
const PORT: &str = "0.0.0.0:9000";
const ADMIN_PORT: &str = "0.0.0.0:9001";
/// Time of the simulation proceeds in these steps; also the least latency.
const TICK: Duration = Duration::from_millis(5);
/// How much later than its deadline a call may end: a tick, in which its host was
/// not looked at, and the timer's millisecond.
const SLACK: Duration = Duration::from_millis(6);
const CALLS: u64 = 40;
const EVERY: Duration = Duration::from_millis(60);
/// Longest time until calls succeed after the faults: a black hole is found out by
/// pings, which takes 50 seconds, and its breaker may then be open for a while.
const RECOVERY: Duration = Duration::from_secs(120);

/// Turmoil's network as the mesh's own.
#[derive(Debug)]
struct Turmoil;

impl Network for Turmoil {
    fn connect(&self, address: &str) -> BoxFuture<'static, io::Result<Stream>> {
        let address = address.to_owned();
        Box::pin(async move { Ok(Stream::of(net::TcpStream::connect(address).await?)) })
    }

    fn listen(&self, address: SocketAddr) -> io::Result<Listener> {
        let bound = net::TcpListener::bind(address).now_or_never();
        Ok(Listener::of(Bound(bound.expect("a simulated port is had at once")?)))
    }
}

struct Bound(net::TcpListener);

impl std::fmt::Debug for Bound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Bound")
    }
}

impl Accept for Bound {
    fn accept(&mut self) -> BoxFuture<'_, io::Result<(Stream, SocketAddr)>> {
        Box::pin(async {
            let (stream, peer) = self.0.accept().await?;
            Ok((Stream::of(stream), peer))
        })
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

fn app(name: &'static str, endpoints: &str) -> App {
    let pairs = [
        ("static_endpoints", endpoints),
        ("listen", PORT),
        ("admin_listen", ADMIN_PORT),
        ("workers", "0"),
        ("log", "error"),
    ];
    App::over(Arc::new(Turmoil), Settings::from_pairs(name, &pairs)).unwrap()
}

fn all_leaves() -> String {
    LEAVES.map(|leaf| format!("leaf={leaf}:9000")).join(",")
}

/// What one seed has done.
#[derive(Debug, Default)]
struct Told {
    ended: Cell<u64>,
    succeeded: RefCell<Vec<(&'static str, u64)>>,
    failed: RefCell<Vec<(u64, Code)>>,
    /// The driver has healed everything.
    healed: Cell<bool>,
    recovered: Cell<bool>,
}

struct World<'a> {
    sim: Sim<'a>,
    leaf: Ledger,
    middle: Ledger,
    told: Rc<Told>,
    /// Makes a leaf drain and start again.
    drain: Rc<[Notify; 3]>,
    faults: u32,
}

impl World<'_> {
    fn new(seed: u64) -> Self {
        fastrand::seed(seed);
        let mut sim = turmoil::Builder::new()
            .rng_seed(seed)
            .tick_duration(TICK)
            .simulation_duration(Duration::from_secs(300))
            .min_message_latency(TICK)
            .max_message_latency(Duration::from_millis(20))
            .build();
        let drain: Rc<[Notify; 3]> = Rc::default();
        let leaf = Ledger { takes: Duration::from_millis(20), ..Ledger::default() };
        for (at, name) in LEAVES.into_iter().enumerate() {
            let (ledger, drain) = (leaf.clone(), drain.clone());
            sim.host(name, move || {
                let (ledger, drain) = (ledger.clone(), drain.clone());
                async move {
                    let app = app("leaf", "");
                    loop {
                        let server = app.serve().contracts(contract());
                        server.routes(ledger.routes()).until(drain[at].notified()).await?;
                        // The ports close a moment after that.
                        sleep(Duration::from_millis(1)).await;
                    }
                }
            });
        }
        let middle = Ledger::default();
        let ledger = middle.clone();
        sim.host("middle", move || {
            let app = app("middle", &all_leaves());
            let ledger = Ledger { next: Some(app.channel("leaf")), ..ledger.clone() };
            async move {
                let server = app.serve().contracts(contract()).routes(ledger.routes());
                Ok(server.until(std::future::pending()).await?)
            }
        });
        let told = Rc::new(Told::default());
        Self { sim, leaf, middle, told, drain, faults: 0 }
    }

    /// Steps until this much time of the simulation has passed, or all is done.
    fn pass(&mut self, time: Duration) -> bool {
        let end = self.sim.elapsed() + time;
        while self.sim.elapsed() < end {
            if self.sim.step().unwrap() {
                return true;
            }
        }
        false
    }

    /// Makes calls, tells their ends, and then calls until all is well.
    fn call(&mut self, target: &'static str) {
        let told = self.told.clone();
        self.sim.client("client", async move {
            let endpoints = format!("{},middle=middle:9000", all_leaves());
            let app = app("client", &endpoints);
            app.know(contract()).unwrap();
            let channel = app.channel(target);
            let calls = (0..CALLS).map(|id| {
                let (channel, told) = (channel.clone(), told.clone());
                let method = if fastrand::bool() { ADD } else { PUT };
                let timeout = Duration::from_millis(fastrand::u64(200..1_500));
                async move {
                    sleep(EVERY * id as u32).await;
                    let begun = Instant::now();
                    let end = book(&channel, method, within(timeout, Entry::of(id))).await;
                    let took = begun.elapsed();
                    assert!(took <= timeout + SLACK, "call {id}: {took:?} of {timeout:?}");
                    told.ended.set(told.ended.get() + 1);
                    match end {
                        Ok(_) => told.succeeded.borrow_mut().push((method, id)),
                        Err(status) => told.failed.borrow_mut().push((id, status.code())),
                    }
                }
            });
            futures_util::future::join_all(calls).await;
            while !told.healed.get() {
                sleep(Duration::from_millis(50)).await;
            }
            let mut in_a_row = 0;
            for id in CALLS.. {
                let end = book(&channel, PUT, Entry::of(id)).await;
                in_a_row = if end.is_ok() { in_a_row + 1 } else { 0 };
                if in_a_row == 20 {
                    told.recovered.set(true);
                    break;
                }
                sleep(Duration::from_millis(20)).await;
            }
            Ok(())
        });
    }

    fn finish(mut self, seed: u64) -> Rc<Told> {
        self.told.healed.set(true);
        assert!(self.pass(RECOVERY), "seed {seed}: calls fail though nothing is broken any more");
        assert!(self.told.recovered.get());
        assert_eq!(self.told.ended.get(), CALLS, "seed {seed}");
        for ledger in [&self.leaf, &self.middle] {
            for ((method, id), times) in &ledger.books.lock().unwrap().booked {
                assert!(method != ADD || *times == 1, "seed {seed}: {id} was added {times} times");
            }
        }
        for (method, id) in self.told.succeeded.borrow().iter() {
            assert!(self.leaf.booked(method, *id) >= 1, "seed {seed}: {id} was answered, not done");
        }
        self.told
    }
}

/// Faults of a link between two hosts, and crashes of one.
#[derive(Clone, Copy)]
enum Fault {
    Crash(&'static str),
    /// Messages wait, as when packets are lost and sent again.
    Hold(&'static str, &'static str),
    /// Messages are lost for good, so that the connection never recovers.
    Partition(&'static str, &'static str),
    Slow(&'static str, &'static str, Duration),
}

impl Fault {
    fn any(random: &mut fastrand::Rng) -> Self {
        let leaf = *random.choice(LEAVES.iter()).unwrap();
        let (from, to) = if random.u8(..4) == 0 { ("client", "middle") } else { ("middle", leaf) };
        match random.u8(..16) {
            0..6 => Self::Crash(if random.u8(..6) == 0 { "middle" } else { leaf }),
            6..11 => Self::Hold(from, to),
            11 => Self::Partition(from, to),
            _ => Self::Slow(from, to, Duration::from_millis(random.u64(50..400))),
        }
    }

    fn begin(self, sim: &mut Sim<'_>) {
        match self {
            Self::Crash(host) => sim.crash(host),
            Self::Hold(from, to) => sim.hold(from, to),
            Self::Partition(from, to) => sim.partition(from, to),
            Self::Slow(from, to, latency) => sim.set_link_latency(from, to, latency),
        }
    }

    fn end(self, sim: &mut Sim<'_>) {
        match self {
            Self::Crash(host) => sim.bounce(host),
            Self::Hold(from, to) => sim.release(from, to),
            Self::Partition(from, to) => sim.repair(from, to),
            Self::Slow(from, to, _) => sim.set_link_latency(from, to, TICK),
        }
    }
}

fn faults(seed: u64) -> (u32, Rc<Told>) {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut world = World::new(seed);
    world.call("middle");
    world.pass(Duration::from_millis(300));
    for _ in 0..random.u32(3..7) {
        let fault = Fault::any(&mut random);
        fault.begin(&mut world.sim);
        world.faults += 1;
        world.pass(Duration::from_millis(random.u64(50..600)));
        fault.end(&mut world.sim);
        world.pass(Duration::from_millis(random.u64(1..200)));
    }
    (world.faults, world.finish(seed))
}

#[test]
fn calls_come_through_crashes_partitions_and_latency() {
    let (mut injected, mut succeeded, mut failed) = (0, 0, 0);
    for seed in seeds(150) {
        let (faults, told) = faults(seed);
        assert!(faults > 0, "seed {seed} has tested nothing");
        injected += faults;
        succeeded += told.succeeded.borrow().len();
        failed += told.failed.borrow().len();
    }
    println!("{injected} faults: {succeeded} calls succeeded, {failed} failed");
    assert!(succeeded > 0 && failed > 0, "{succeeded} succeeded and {failed} failed");
}

#[test]
fn a_drain_loses_nothing_that_was_accepted() {
    for seed in seeds(50) {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut world = World::new(seed);
        world.call("leaf");
        world.pass(Duration::from_millis(300));
        let mut drains = 0;
        while world.told.ended.get() < CALLS - 2 {
            world.drain[random.usize(..3)].notify_one();
            drains += 1;
            world.pass(Duration::from_millis(random.u64(100..400)));
        }
        assert!(drains > 3, "seed {seed} has tested nothing");
        let books = world.leaf.books.clone();
        let told = world.finish(seed);
        let failed = told.failed.borrow();
        assert!(failed.is_empty(), "seed {seed}: {failed:?}");
        let books = books.lock().unwrap();
        assert_eq!(books.left.len(), books.finished as usize, "seed {seed}: a handler was cut");
    }
}
