//! Calls that are late are made once more, elsewhere: when, how often, who wins,
//! and what becomes of who does not.

use std::{
    sync::{LazyLock, Mutex},
    time::Duration,
};

use mesh::{
    App, Channel,
    testing::{Arrival, End, Mesh, Peer, Reply, RunningPeer},
};
use tokio::time::Instant;
use tonic::{Code, Request, Status};

use crate::ledger::{ADD, Entry, Ledger, PUT, book};

/// Hedged after a delay that is learned.
const LEARNED: &str = "/titan.test.v1.LedgerService/Learned";
/// Hedged twice, each time after 50 ms.
const THRICE: &str = "/titan.test.v1.LedgerService/Thrice";
const DELAY: Duration = Duration::from_millis(50);
const MILLI: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

const CONTRACT: &str = r#"
    syntax = "proto3";
    package titan.test.v1;
    import "titan/mesh/v1/options.proto";
    message Entry { uint64 id = 1; bytes text = 2; }
    service LedgerService {
      option (titan.mesh.v1.defaults) = {
        deadline: {seconds: 5} access: {public: true} hash_key: {header: "key"}
        hedge: {delay: {nanos: 50000000}}
      };
      rpc Add(Entry) returns (Entry);
      rpc Put(Entry) returns (Entry) { option idempotency_level = IDEMPOTENT; }
      rpc Learned(Entry) returns (Entry) {
        option idempotency_level = NO_SIDE_EFFECTS;
        option (titan.mesh.v1.policy) = {hedge: {}};
      }
      rpc Thrice(Entry) returns (Entry) {
        option idempotency_level = NO_SIDE_EFFECTS;
        option (titan.mesh.v1.policy) = {
          retry: {max_attempts: 1} hedge: {max_attempts: 3 delay: {nanos: 50000000}}
        };
      }
    }
"#;

fn contract() -> &'static [u8] {
    static COMPILED: LazyLock<Vec<u8>> = LazyLock::new(|| {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("hedged.proto"), CONTRACT).unwrap();
        let includes = [folder.path(), std::path::Path::new("../proto")];
        let mut compiler = protox::Compiler::new(includes).unwrap();
        compiler.include_imports(true).open_file("hedged.proto").unwrap();
        compiler.encode_file_descriptor_set()
    });
    &COMPILED
}

/// A caller of peers that always reply the same.
struct Setup {
    mesh: Mesh,
    peers: Vec<RunningPeer>,
    app: App,
    channel: Channel,
    /// Arrivals before the call that counts, by peer.
    before: Mutex<Vec<usize>>,
}

async fn among(peers: Vec<Peer>) -> Setup {
    let mesh = Mesh::simulated(1).await;
    let mut running = Vec::new();
    for peer in peers {
        running.push(mesh.peer("ledger", peer).await);
    }
    let app = mesh.app("caller");
    app.know(contract()).unwrap();
    let channel = app.channel("ledger");
    while channel.ready().len() < running.len() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let before = Mutex::new(vec![0; running.len()]);
    Setup { mesh, peers: running, app, channel, before }
}

/// A slow peer, and others.
async fn slow_and(others: &[Reply]) -> Setup {
    let replies = [&[slow()], others].concat();
    among(replies.into_iter().map(|reply| Peer::new().always(reply)).collect()).await
}

fn fine() -> Reply {
    Reply::message(&Entry::of(1))
}

fn slow() -> Reply {
    fine().after(SECOND)
}

fn unavailable(pushback: Option<&'static str>) -> Reply {
    let mut status = Status::unavailable("on purpose");
    if let Some(pushback) = pushback {
        status.metadata_mut().insert("grpc-retry-pushback-ms", pushback.parse().unwrap());
    }
    Reply::status(status)
}

fn keyed(key: &str) -> Request<Entry> {
    let mut request = Request::new(Entry::of(1));
    request.metadata_mut().insert("key", key.parse().unwrap());
    request
}

/// How a call ended, and after how long.
struct Ended {
    answer: Result<Entry, Status>,
    took: Duration,
}

impl Ended {
    #[track_caller]
    fn assert(&self, code: Code, after: Duration) {
        let found = self.answer.as_ref().map_or_else(Status::code, |_| Code::Ok);
        assert_eq!(found, code, "{:?}", self.answer);
        // Timers are whole milliseconds.
        let late = self.took.saturating_sub(after);
        assert!(self.took >= after && late <= Duration::from_millis(3), "{:?}", self.took);
    }
}

impl Setup {
    /// A key whose calls go to this peer first; asked with calls that are not hedged.
    async fn key_of(&self, peer: usize) -> String {
        for key in 0..100 {
            let (mut expected, key) = (self.counts(), key.to_string());
            // What it answers is no matter, unless it sends the call elsewhere.
            let _ = book(&self.channel, ADD, keyed(&key)).await;
            expected[peer] += 1;
            if self.counts() == expected {
                return key;
            }
        }
        panic!("nothing goes to peer {peer}");
    }

    async fn call(&self, method: &'static str, request: Request<Entry>) -> Ended {
        let began = Instant::now();
        let answer = book(&self.channel, method, request).await;
        // So that a reset is there as well.
        let took = began.elapsed();
        tokio::time::sleep(Duration::from_millis(1)).await;
        Ended { answer, took }
    }

    /// Forty calls, and one more that counts, earn two hedges. They are given up
    /// before a hedge is due.
    async fn earn(&self, method: &'static str, key: &str) {
        for _ in 0..40 {
            let call = book(&self.channel, method, keyed(key));
            let _ = tokio::time::timeout(DELAY / 10, call).await;
        }
        let before = self.peers.iter().map(|peer| peer.arrivals().len()).collect();
        *self.before.lock().unwrap() = before;
    }

    /// A call to the first peer, for a method that has earned hedges.
    async fn late_call(&self, method: &'static str) -> Ended {
        let key = self.key_of(0).await;
        self.earn(method, &key).await;
        self.call(method, keyed(&key)).await
    }

    /// What arrived where since the calls that count have begun.
    fn arrivals(&self) -> Vec<Vec<Arrival>> {
        let before = self.before.lock().unwrap().clone();
        let of = |(peer, before): (&RunningPeer, usize)| peer.arrivals().split_off(before);
        self.peers.iter().zip(before).map(of).collect()
    }

    /// How many attempts each peer has seen.
    fn counts(&self) -> Vec<usize> {
        self.arrivals().iter().map(Vec::len).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_instance_is_hedged_after_the_delay_and_the_quick_one_answers() {
    let setup = slow_and(&[fine()]).await;
    setup.late_call(PUT).await.assert(Code::Ok, DELAY);
    let arrivals = setup.arrivals();
    let ([first], [hedge]) = (&arrivals[0][..], &arrivals[1][..]) else { panic!("{arrivals:?}") };
    assert_eq!((first.attempt, first.end), (1, Some(End::Cancelled)), "who lost is reset");
    assert_eq!((hedge.attempt, hedge.end), (2, Some(End::Answered(Code::Ok))));
    // One deadline for both.
    assert!(hedge.timeout < first.timeout && hedge.timeout.unwrap() <= 5 * SECOND - DELAY);
    let labels = format!("grpc_method=\"{}\",grpc_target=\"ledger\"", &PUT[1..]);
    let line = format!("grpc_client_call_hedges_bucket{{{labels},le=\"1\"}} 1");
    let page = setup.app.metrics();
    assert!(page.contains(&line), "{line} is missing in\n{page}");
}

#[tokio::test(start_paused = true)]
async fn whoever_lost_is_not_thought_to_have_failed() {
    let setup = slow_and(&[fine()]).await;
    for _ in 0..20 {
        setup.late_call(PUT).await.assert(Code::Ok, DELAY);
    }
    assert!(
        setup
            .app
            .metrics()
            .contains("mesh_breaker_transitions_total{grpc_target=\"ledger\",state=\"open\"} 0")
    );
}

#[tokio::test(start_paused = true)]
async fn what_must_not_be_repeated_is_not_hedged() {
    let setup = slow_and(&[fine()]).await;
    setup.late_call(ADD).await.assert(Code::Ok, SECOND);
    assert_eq!(setup.counts(), [1, 0]);
}

#[tokio::test(start_paused = true)]
async fn an_answer_in_time_is_not_hedged() {
    let replies = [fine().after(DELAY - 5 * MILLI), fine()];
    let setup = among(replies.map(|reply| Peer::new().always(reply)).into()).await;
    setup.late_call(PUT).await.assert(Code::Ok, DELAY - 5 * MILLI);
    assert_eq!(setup.counts(), [1, 0]);
    assert!(!setup.app.metrics().contains("grpc_client_call_hedges_bucket"));
}

#[tokio::test(start_paused = true)]
async fn a_single_instance_is_waited_for() {
    let setup = slow_and(&[]).await;
    setup.late_call(THRICE).await.assert(Code::Ok, SECOND);
    assert_eq!(setup.counts(), [1]);
}

#[tokio::test(start_paused = true)]
async fn no_instance_is_tried_twice() {
    let setup = slow_and(&[slow()]).await;
    setup.late_call(THRICE).await.assert(Code::Ok, SECOND);
    assert_eq!(setup.counts(), [1, 1]);
}

#[tokio::test(start_paused = true)]
async fn each_further_attempt_waits_for_the_delay_and_goes_elsewhere() {
    let setup = slow_and(&[slow(), slow(), slow()]).await;
    setup.late_call(THRICE).await.assert(Code::Ok, SECOND);
    let mut all: Vec<Arrival> = setup.arrivals().concat();
    all.sort_by_key(|arrival| arrival.attempt);
    let attempts: Vec<u32> = all.iter().map(|arrival| arrival.attempt).collect();
    assert_eq!(attempts, [1, 2, 3], "as often as the contract says");
    for pair in all.windows(2) {
        let between = pair[1].time - pair[0].time;
        assert!(between >= DELAY && between <= DELAY + 3 * MILLI, "{between:?}");
    }
    assert!(setup.counts().iter().all(|count| *count <= 1));
}

#[tokio::test(start_paused = true)]
async fn what_was_not_earned_is_not_spent() {
    let setup = slow_and(&[fine()]).await;
    let key = setup.key_of(0).await;
    for call in 1..=20 {
        let after = if call < 20 { SECOND } else { DELAY };
        setup.call(PUT, keyed(&key)).await.assert(Code::Ok, after);
    }
}

#[tokio::test(start_paused = true)]
async fn hedges_are_never_more_than_a_twentieth_of_the_calls() {
    const CALLS: usize = 2_000;
    let mut random = fastrand::Rng::with_seed(7);
    let mut script = || {
        (0..CALLS).fold(Peer::new(), |peer, _| {
            peer.once(if random.u8(..100) < 20 { fine().after(DELAY * 4) } else { fine() })
        })
    };
    let setup = among(vec![script(), script(), script()]).await;
    let mut quick = 0;
    for call in 1..=CALLS {
        let ended = setup.call(THRICE, Request::new(Entry::of(1))).await;
        assert!(ended.answer.is_ok());
        quick += usize::from(ended.took < DELAY * 4);
        if call % 100 == 0 {
            let extra = setup.counts().iter().sum::<usize>() - call;
            assert!(extra <= call / 20, "{extra} of {call}");
        }
    }
    let extra = setup.counts().iter().sum::<usize>() - CALLS;
    assert!(extra >= CALLS / 25, "{extra}: what may be is");
    assert!(quick > CALLS * 80 / 100, "{quick}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_wants_no_more_attempts_gets_none() {
    let no_more = unavailable(Some("-1"));
    let setup = slow_and(&[no_more.clone(), no_more]).await;
    setup.late_call(THRICE).await.assert(Code::Ok, SECOND);
    assert_eq!(setup.counts().iter().sum::<usize>(), 2, "the first, and who has said no");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_wants_time_gets_it() {
    let later = unavailable(Some("300"));
    let setup = slow_and(&[later.clone(), later]).await;
    setup.late_call(THRICE).await.assert(Code::Ok, SECOND);
    let mut times: Vec<Instant> = setup.arrivals().concat().iter().map(|one| one.time).collect();
    times.sort();
    let waits: Vec<Duration> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let [delay, pushback] = waits[..] else { panic!("{waits:?}") };
    assert!(delay <= DELAY + 3 * MILLI, "{delay:?}");
    assert!((300 * MILLI..=303 * MILLI).contains(&pushback), "{pushback:?}");
}

#[tokio::test(start_paused = true)]
async fn the_deadline_holds_for_all_attempts() {
    let setup = slow_and(&[slow()]).await;
    let key = setup.key_of(0).await;
    setup.earn(PUT, &key).await;
    let mut request = keyed(&key);
    request.set_timeout(4 * DELAY);
    setup.call(PUT, request).await.assert(Code::DeadlineExceeded, 4 * DELAY);
    let ends: Vec<_> = setup.arrivals().concat().iter().map(|one| one.end).collect();
    assert_eq!(ends, [Some(End::Cancelled); 2]);
}

#[tokio::test(start_paused = true)]
async fn a_status_that_no_repetition_would_change_wins() {
    let setup = slow_and(&[Reply::status(Status::not_found("on purpose"))]).await;
    setup.late_call(PUT).await.assert(Code::NotFound, DELAY);
}

#[tokio::test(start_paused = true)]
async fn a_failure_of_one_attempt_leaves_the_other() {
    let mut turned_away = Status::resource_exhausted("too much to do");
    turned_away.metadata_mut().insert("titan-unprocessed", "1".parse().unwrap());
    for failing in [
        unavailable(None),
        Reply::status(turned_away),
        Reply::refused_stream(),
        Reply::reset(2),
        Reply::close(),
    ] {
        let setup = slow_and(std::slice::from_ref(&failing)).await;
        setup.late_call(PUT).await.assert(Code::Ok, SECOND);
        assert_eq!(setup.counts(), [1, 1], "{failing:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn when_all_attempts_fail_they_count_as_the_repetitions_that_the_contract_allows() {
    let replies = [unavailable(None).after(2 * DELAY), unavailable(None)];
    let setup = among(replies.map(|reply| Peer::new().always(reply)).into()).await;
    setup.late_call(PUT).await.assert(Code::Unavailable, 2 * DELAY);
    assert_eq!(setup.counts(), [1, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_delay_is_learned_from_a_hundred_calls() {
    let replies = [slow(), fine().after(10 * MILLI)];
    let setup = among(replies.map(|reply| Peer::new().always(reply)).into()).await;
    let (late, quick) = (setup.key_of(0).await, setup.key_of(1).await);
    for _ in 0..98 {
        setup.call(LEARNED, keyed(&quick)).await.assert(Code::Ok, 10 * MILLI);
    }
    // Too little is known; and with the next one enough.
    setup.call(LEARNED, keyed(&late)).await.assert(Code::Ok, SECOND);
    setup.call(LEARNED, keyed(&quick)).await.assert(Code::Ok, 10 * MILLI);
    // The delay that most calls have, an eighth more at most, and the answer.
    setup.call(LEARNED, keyed(&late)).await.assert(Code::Ok, 20 * MILLI);
}

#[tokio::test(start_paused = true)]
async fn below_a_repetition_nothing_is_hedged() {
    let setup = slow_and(&[slow()]).await;
    let ledger = Ledger { next: Some(setup.channel.clone()), ..Ledger::default() };
    let _front = setup.mesh.serve("front", contract(), ledger.routes()).await;
    let caller = setup.mesh.app("caller");
    caller.know(contract()).unwrap();
    let front = caller.channel("front");
    for (previous, attempts) in [(0_u32, 2), (1, 1)] {
        setup.earn(PUT, "any").await;
        let mut request = Request::new(Entry::of(1));
        if previous > 0 {
            request.metadata_mut().insert("grpc-previous-rpc-attempts", previous.into());
        }
        book(&front, PUT, request).await.unwrap();
        assert_eq!(setup.counts().iter().sum::<usize>(), attempts);
    }
}
