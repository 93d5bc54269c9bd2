//! Attempts under random failures, through the whole channel: never more than the
//! contract's cap for one call, never more than the budget for all.

use std::{collections::BTreeMap, time::Duration};

use mesh::testing::{Arrival, Mesh, Peer, Reply};
use tokio::time::Instant;
use tonic::{Code, Request, Status};

use crate::{
    ledger::{ADD, Entry, MOST_ATTEMPTS, PUT, book, contract},
    seeds::seeds,
};

const CALLS: u64 = 300;
/// Repetitions of what was proven unprocessed, which are no attempts.
const MOST_REFUSED: usize = 3;

fn any_reply(random: &mut fastrand::Rng, failing: f64) -> Reply {
    if random.f64() >= failing {
        return Reply::message(&Entry::of(1));
    }
    match random.u8(..9) {
        0 => Reply::refused_stream(),
        1 => Reply::go_away(0, 0),
        2 => Reply::go_away(u32::MAX >> 1, 0),
        3 => Reply::close(),
        4 => Reply::reset(2),
        5 => Reply::reset_after_headers(2),
        6 => Reply::status(Status::internal("on purpose")),
        _ => Reply::status(Status::unavailable("on purpose")),
    }
}

fn numbered(id: u64) -> Request<Entry> {
    let mut request = Request::new(Entry::of(id));
    request.metadata_mut().insert("call", id.into());
    request
}

fn by_call(arrivals: Vec<Arrival>) -> BTreeMap<String, Vec<Arrival>> {
    let mut calls: BTreeMap<String, Vec<Arrival>> = BTreeMap::new();
    for arrival in arrivals {
        let call = arrival.metadata["call"].to_str().unwrap().to_owned();
        calls.entry(call).or_default().push(arrival);
    }
    calls
}

async fn run(seed: u64) {
    let mesh = Mesh::simulated(seed).await;
    let mut random = fastrand::Rng::with_seed(seed);
    let failing = random.f64();
    let mut peers = Vec::new();
    for _ in 0..random.usize(1..4) {
        let script =
            (0..CALLS).fold(Peer::new(), |peer, _| peer.once(any_reply(&mut random, failing)));
        peers.push(mesh.peer("ledger", script.always(Reply::message(&Entry::of(1)))).await);
    }
    let app = mesh.app("caller");
    app.know(contract()).unwrap();
    let channel = app.channel("ledger");
    let began = Instant::now();
    for id in 0..CALLS {
        let method = if random.bool() { ADD } else { PUT };
        // Any outcome is right; it is what arrived that counts.
        let _ = book(&channel, method, numbered(id)).await;
    }
    let arrivals: Vec<_> = peers.iter().flat_map(|peer| peer.arrivals()).collect();
    let repeated = arrivals.iter().filter(|arrival| arrival.attempt > 1).count();
    for (call, arrivals) in by_call(arrivals) {
        let most = if arrivals[0].method == PUT { MOST_ATTEMPTS as usize } else { 1 };
        let highest = arrivals.iter().map(|arrival| arrival.attempt).max().unwrap() as usize;
        assert!(highest <= most, "seed {seed}, call {call}: attempt {highest}");
        assert!(arrivals.len() <= most + MOST_REFUSED, "seed {seed}, call {call}: {arrivals:?}");
    }
    // A fifth of the calls, ten a second, and what ten quiet seconds have saved.
    let seconds = began.elapsed().as_secs() + 1;
    let budget = CALLS as usize / 5 + 10 * (seconds as usize + 10);
    assert!(repeated <= budget, "seed {seed}: {repeated} of at most {budget}");
}

#[test]
fn attempts_stay_below_their_cap_and_repetitions_below_the_budget() {
    for seed in seeds(20) {
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.enable_all().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let bounded = tokio::time::timeout(Duration::from_secs(3_600), run(seed));
            bounded.await.unwrap_or_else(|_| panic!("seed {seed} hangs"));
        });
    }
}

#[tokio::test(start_paused = true)]
async fn when_every_call_fails_repetitions_are_a_fifth_of_the_calls() {
    let mesh = Mesh::simulated(1).await;
    let dead = Reply::status(Status::unavailable("dead"));
    let peer = mesh.peer("ledger", Peer::new().always(dead)).await;
    let app = mesh.app("caller");
    app.know(contract()).unwrap();
    let channel = app.channel("ledger");
    // So many may not wait for an instance at once.
    while channel.ready().is_empty() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    // All at once, so that no time passes in which more is granted.
    let calls = (0..900).map(|id| book(&channel, PUT, numbered(id)));
    for end in futures_util::future::join_all(calls).await {
        assert_eq!(end.unwrap_err().code(), Code::Unavailable);
    }
    let repeated = peer.arrivals().len() - 900;
    // A fifth, and what a quiet channel has saved.
    assert!((20..=900 / 5 + 110).contains(&repeated), "{repeated}");
}
