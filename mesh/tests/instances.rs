//! Many instances of one application: which of them a caller goes to when some
//! are slow, dead or failing. What hangs on time is in a simulation, the rest over
//! real sockets.
#![allow(clippy::unwrap_used)]

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};

use futures_util::{StreamExt as _, stream};
use mesh::{
    App, Channel, Routes,
    proto::{
        DeregisterRequest, DeregisterResponse, Instance, RegisterRequest, RegisterResponse,
        WatchRequest, WatchResponse,
        registry_service_client::RegistryServiceClient,
        registry_service_server::{RegistryService, RegistryServiceServer},
    },
    testing::{Mesh, Running},
};
use tokio::{
    net::TcpListener,
    sync::{Notify, Semaphore},
};
use tonic::{Code, Request, Response, Status};

/// One instance of a service, which does what a test asks of it.
#[derive(Clone, Default)]
struct Fake {
    calls: Arc<AtomicU32>,
    takes: Duration,
    failing: Arc<AtomicBool>,
    /// Set: answers UNAVAILABLE, which callers repeat.
    away: Arc<AtomicBool>,
    /// Set: calls wait for a place in `go_on` once they have told `reached`.
    holding: Arc<AtomicBool>,
    reached: Arc<Notify>,
    go_on: Arc<Option<Semaphore>>,
}

#[tonic::async_trait]
impl RegistryService for Fake {
    async fn register(
        &self,
        _: Request<RegisterRequest>,
    ) -> Result<Response<RegisterResponse>, Status> {
        self.calls.fetch_add(1, SeqCst);
        if !self.takes.is_zero() {
            tokio::time::sleep(self.takes).await;
        }
        if self.failing.load(SeqCst) {
            // Not UNAVAILABLE, which would be repeated.
            return Err(Status::internal("on purpose"));
        }
        if self.away.load(SeqCst) {
            return Err(Status::unavailable("on purpose"));
        }
        if self.holding.load(SeqCst) {
            self.reached.notify_one();
            let places = self.go_on.as_ref().as_ref().unwrap();
            places.acquire().await.unwrap().forget();
        }
        Ok(Response::new(RegisterResponse { lease: None }))
    }

    async fn deregister(
        &self,
        _: Request<DeregisterRequest>,
    ) -> Result<Response<DeregisterResponse>, Status> {
        Err(Status::permission_denied("on purpose"))
    }

    type WatchStream = stream::Pending<Result<WatchResponse, Status>>;

    async fn watch(&self, _: Request<WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        self.calls.fetch_add(1, SeqCst);
        Ok(Response::new(stream::pending()))
    }
}

impl Fake {
    fn calls(&self) -> u32 {
        self.calls.load(SeqCst)
    }
}

fn request() -> RegisterRequest {
    let id = "1".to_owned();
    let (app, address) = ("shop".to_owned(), "127.0.0.1:1".to_owned());
    RegisterRequest { instance: Some(Instance { id, app, address, ..Instance::default() }) }
}

type Client = RegistryServiceClient<Channel>;

async fn call(client: &Client) -> Result<(), Status> {
    client.clone().register(request()).await.map(drop)
}

/// Serves every fake as an instance of one application.
async fn serve(mesh: &Mesh, fakes: &[Fake]) -> Vec<Running> {
    let mut running = Vec::new();
    for fake in fakes {
        let routes = Routes::new().add(RegistryServiceServer::new(fake.clone()));
        running.push(mesh.serve("fake", mesh::DESCRIPTORS, routes).await);
    }
    running
}

/// A client that is connected to so many instances.
async fn client(mesh: &Mesh, instances: usize) -> Client {
    client_of(&mesh.app("caller"), instances).await
}

async fn client_of(app: &App, instances: usize) -> Client {
    let channel = app.channel("fake");
    while channel.ready().len() < instances {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    RegistryServiceClient::new(channel)
}

#[tokio::test(start_paused = true)]
async fn one_of_five_instances_that_is_ten_times_slower_is_avoided() {
    let mesh = Mesh::simulated(5).await;
    let millis = Duration::from_millis;
    let mut fakes = vec![Fake { takes: millis(5), ..Fake::default() }; 5];
    for fake in &mut fakes {
        fake.calls = Arc::default();
    }
    fakes[0].takes = millis(50);
    let _running = serve(&mesh, &fakes).await;
    let client = client(&mesh, 5).await;
    let calls = stream::iter(0..1_000).for_each_concurrent(10, |_| async {
        call(&client).await.unwrap();
    });
    calls.await;
    let slow = fakes[0].calls();
    assert!(slow < 130, "{slow} of 1000 went to the slow one; a fair share is 200");
    for fake in &fakes[1..] {
        assert!(fake.calls() > 100, "the quick ones share the rest");
    }
}

#[tokio::test]
async fn a_dead_instance_is_called_no_more_after_its_first_failure() {
    let mesh = Mesh::new().await;
    let _running = serve(&mesh, &[Fake::default(), Fake::default()]).await;
    // It accepts, takes one call, and dies; its kernel goes on to accept.
    let dead = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoints = [endpoints(&_running), format!("fake={}", dead.local_addr().unwrap())];
    let taken = Arc::new(AtomicU32::new(0));
    let counted = taken.clone();
    let _dying = tokio::spawn(async move {
        let (socket, _) = dead.accept().await.unwrap();
        let mut connection = h2::server::handshake(socket).await.unwrap();
        let _call = connection.accept().await.unwrap().unwrap();
        counted.fetch_add(1, SeqCst);
        drop(connection);
        std::future::pending::<()>().await;
    });
    let app = mesh.app_with("caller", &[("static_endpoints", &endpoints.join(","))]);
    let channel = app.channel("fake");
    while channel.ready().len() < 3 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let client = RegistryServiceClient::new(channel.clone());
    while taken.load(SeqCst) == 0 {
        // The one that is lost is idempotent, and repeated elsewhere.
        call(&client).await.unwrap();
    }
    for _ in 0..200 {
        call(&client).await.unwrap();
        assert_eq!(channel.ready().len(), 2, "it accepts, but nobody is there");
    }
    assert_eq!(taken.load(SeqCst), 1);
}

fn endpoints(running: &[Running]) -> String {
    let pairs: Vec<_> = running.iter().map(|one| format!("fake={}", one.address)).collect();
    pairs.join(",")
}

#[tokio::test]
async fn an_instance_that_fails_is_left_alone_after_five_failures() {
    let mesh = Mesh::new().await;
    let fakes = [Fake::default(), Fake::default(), Fake::default()];
    fakes[0].failing.store(true, SeqCst);
    let _running = serve(&mesh, &fakes).await;
    let app = mesh.app("caller");
    let client = client_of(&app, 3).await;
    let results = stream::iter(0..300).then(|_| call(&client));
    let failed = results.filter(|result| std::future::ready(result.is_err())).count().await;
    // On a machine that is slow today its time to be tried comes meanwhile.
    let probes = "mesh_breaker_transitions_total{grpc_target=\"fake\",state=\"half_open\"} ";
    let metrics = app.metrics();
    let probes = metrics.lines().find_map(|line| line.strip_prefix(probes)).unwrap();
    let probes: usize = probes.parse().unwrap();
    assert!(failed <= 5 + probes, "{failed} calls were sent to it, {probes} of them as probes");
}

#[tokio::test]
async fn a_repetition_goes_to_another_instance() {
    for count in [2, 3] {
        let mesh = Mesh::new().await;
        let fakes: Vec<Fake> = (0..count).map(|_| Fake::default()).collect();
        fakes[0].away.store(true, SeqCst);
        let _running = serve(&mesh, &fakes).await;
        let client = client(&mesh, count).await;
        // Two attempts at most: at the same instance, the second would fail, too.
        while fakes[0].calls() < 5 {
            call(&client).await.unwrap();
        }
    }
}

#[tokio::test]
async fn when_all_instances_fail_all_are_called_and_what_works_is_served() {
    let mesh = Mesh::new().await;
    let fakes: Vec<Fake> = (0..4).map(|_| Fake::default()).collect();
    for fake in &fakes {
        fake.failing.store(true, SeqCst);
    }
    let _running = serve(&mesh, &fakes).await;
    let app = mesh.app("caller");
    let client = client_of(&app, 4).await;
    for _ in 0..100 {
        assert_eq!(call(&client).await.unwrap_err().code(), Code::Internal);
    }
    for fake in &fakes {
        assert!(fake.calls() > 5, "its breaker is open, and it is called all the same");
    }
    assert!(app.metrics().contains("mesh_panic{grpc_target=\"fake\"} 1\n"));
    for fake in &fakes {
        fake.failing.store(false, SeqCst);
    }
    // Not one call waits for a breaker.
    for _ in 0..100 {
        call(&client).await.unwrap();
    }
}

#[tokio::test]
async fn the_only_instance_is_called_however_often_it_fails() {
    let mesh = Mesh::new().await;
    let fake = Fake::default();
    fake.failing.store(true, SeqCst);
    let _running = serve(&mesh, std::slice::from_ref(&fake)).await;
    let client = client(&mesh, 1).await;
    for _ in 0..20 {
        call(&client).await.unwrap_err();
    }
    assert_eq!(fake.calls(), 20);
    fake.failing.store(false, SeqCst);
    call(&client).await.unwrap();
}

#[tokio::test]
async fn a_stampede_at_a_half_open_breaker_sends_one_probe() {
    let mesh = Mesh::new().await;
    let good = Fake::default();
    let bad = Fake { go_on: Arc::new(Some(Semaphore::new(0))), ..Fake::default() };
    bad.failing.store(true, SeqCst);
    let _running = serve(&mesh, &[good.clone(), bad.clone()]).await;
    let client = client(&mesh, 2).await;
    // Both are drawn each time, and the bad one wins while its penalty is small
    // beside the calls in flight.
    while bad.calls() < 5 {
        stream::iter(0..50).for_each_concurrent(50, |_| async { _ = call(&client).await }).await;
    }
    bad.failing.store(false, SeqCst);
    bad.holding.store(true, SeqCst);
    let before = bad.calls();

    // Its breaker opens again after a second; the first call then is the probe.
    let calls = async {
        let mut probes = Vec::new();
        loop {
            let client = client.clone();
            probes.push(tokio::spawn(async move { call(&client).await }));
            tokio::time::sleep(Duration::from_millis(1)).await;
            if bad.calls() > before {
                return probes;
            }
        }
    };
    let probes = calls.await;
    bad.reached.notified().await;
    let served = good.calls();
    stream::iter(0..200).for_each_concurrent(50, |_| async { call(&client).await.unwrap() }).await;
    assert_eq!(bad.calls() - before, 1, "the others went to the good one");
    assert_eq!(good.calls() - served, 200);

    // Two probes that succeed close it.
    bad.holding.store(false, SeqCst);
    bad.go_on.as_ref().as_ref().unwrap().add_permits(1);
    for probe in probes {
        probe.await.unwrap().unwrap();
    }
    call(&client).await.unwrap();
    assert_eq!(bad.calls() - before, 2);
}

#[tokio::test]
async fn refusals_of_callers_never_open_a_breaker() {
    let mesh = Mesh::new().await;
    let fakes = [Fake::default(), Fake::default()];
    let _running = serve(&mesh, &fakes).await;
    let mut client = client(&mesh, 2).await;
    for _ in 0..100 {
        let request = DeregisterRequest { id: "1".to_owned() };
        client.deregister(request).await.unwrap_err();
    }
    stream::iter(0..200).for_each_concurrent(50, |_| async { call(&client).await.unwrap() }).await;
    assert!(fakes.iter().all(|fake| fake.calls() > 20), "both are in rotation");
}

#[tokio::test]
async fn streams_that_last_do_not_make_an_instance_look_busy() {
    let mesh = Mesh::new().await;
    let fakes = [Fake::default(), Fake::default()];
    let _running = serve(&mesh, &fakes).await;
    let mut client = client(&mesh, 2).await;
    let mut streams = Vec::new();
    for _ in 0..60 {
        streams.push(client.watch(WatchRequest::default()).await.unwrap());
    }
    let before = [fakes[0].calls(), fakes[1].calls()];
    stream::iter(0..400).for_each_concurrent(20, |_| async { call(&client).await.unwrap() }).await;
    for (fake, before) in fakes.iter().zip(before) {
        assert!(fake.calls() - before > 40, "{} calls beside {before} streams", fake.calls());
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_bulkhead_refuses_with_its_reason_and_opens_when_calls_are_dropped() {
    let mesh = Mesh::simulated(6).await;
    let fake = Fake {
        holding: Arc::new(AtomicBool::new(true)),
        go_on: Arc::new(Some(Semaphore::new(0))),
        ..Fake::default()
    };
    let _running = serve(&mesh, std::slice::from_ref(&fake)).await;
    let client = client(&mesh, 1).await;
    let mut held: Vec<_> = (0..1_000)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { call(&client).await })
        })
        .collect();
    while fake.calls() < 1_000 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let status = call(&client).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert_eq!(mesh::status::reason(&status).as_deref(), Some("BULKHEAD_FULL"));

    let dropped = held.pop().unwrap();
    dropped.abort();
    assert!(dropped.await.unwrap_err().is_cancelled());
    fake.holding.store(false, SeqCst);
    call(&client).await.unwrap();
    fake.go_on.as_ref().as_ref().unwrap().add_permits(1_000);
}

#[tokio::test]
async fn only_so_many_calls_wait_for_an_instance() {
    let mesh = Mesh::new().await;
    let client = RegistryServiceClient::new(mesh.app("caller").endpoint("127.0.0.1:1"));
    let calls = (0..300).map(|_| async {
        let mut request = Request::new(request());
        request.set_timeout(Duration::from_millis(500));
        client.clone().register(request).await.unwrap_err()
    });
    let refused = futures_util::future::join_all(calls).await;
    let full = refused.iter().filter(|status| status.code() == Code::ResourceExhausted).count();
    assert_eq!(full, 300 - 256);
    assert!(
        refused
            .iter()
            .all(|status| { matches!(status.code(), Code::ResourceExhausted | Code::Unavailable) })
    );
}

#[tokio::test]
async fn the_endpoints_page_tells_what_the_caller_sees_of_each_instance() {
    let mesh = Mesh::new().await;
    let fakes = [Fake::default(), Fake::default(), Fake::default()];
    fakes[0].failing.store(true, SeqCst);
    let running = serve(&mesh, &fakes).await;
    // A fourth, where nobody listens.
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let all = format!("{},fake={nobody}", endpoints(&running));
    let settings = [("static_endpoints", all.as_str()), ("zone", "a"), ("subset", "50")];
    let app = mesh.app_with("caller", &settings);
    let mut client = client_of(&app, 3).await;
    let _stream = client.watch(WatchRequest::default()).await.unwrap();
    let mut failed = 0;
    while failed < 5 {
        failed += u32::from(call(&client).await.is_err());
    }

    let page: serde_json::Value = serde_json::from_str(&app.endpoints()).unwrap();
    let [destination] = page["destinations"].as_array().unwrap().as_slice() else {
        panic!("one application is called by name: {page}");
    };
    assert_eq!(destination["app"], "fake");
    assert_eq!(destination["panic"], false, "two of four remain");
    let policy = &destination["policy"];
    assert_eq!((&policy["calls"], &policy["zone"]), (&"p2c_peak_ewma".into(), &"a".into()));
    assert_eq!((&policy["subset"], &policy["weighted"]), (&50.into(), &false.into()));
    assert!(policy["calls_with_keys"].is_null());
    let of = |address: String| {
        let all = destination["instances"].as_array().unwrap();
        all.iter().find(|one| one["address"] == address).unwrap()
    };
    let failing = of(running[0].address.to_string());
    assert_eq!((&failing["breaker"], &failing["ejections"]), (&"open".into(), &1.into()));
    assert!(failing["failing"].as_f64().unwrap() > 0.2);
    let well = of(running[1].address.to_string());
    assert_eq!((&well["breaker"], &well["connected"]), (&"closed".into(), &true.into()));
    assert!(well["picks"].as_u64().unwrap() > 0 && well["latency_micros"].as_f64().unwrap() > 0.0);
    let streams =
        running.iter().map(|one| of(one.address.to_string())["streams"].as_u64().unwrap());
    assert_eq!(streams.sum::<u64>(), 1);
    let nobody = of(nobody.to_string());
    assert_eq!((&nobody["connected"], &nobody["in_subset"]), (&false.into(), &true.into()));
    assert_eq!((&nobody["weight"], &nobody["picks"]), (&100.into(), &serde_json::Value::Null));
}

#[tokio::test]
async fn of_many_instances_a_subset_is_connected_to() {
    let mesh = Mesh::new().await;
    let fakes = vec![Fake::default(); 5];
    let _running = serve(&mesh, &fakes).await;
    let app = mesh.app_with("caller", &[("subset", "3")]);
    let client = client_of(&app, 3).await;
    for _ in 0..20 {
        call(&client).await.unwrap();
    }
    let page: serde_json::Value = serde_json::from_str(&app.endpoints()).unwrap();
    let instances = page["destinations"][0]["instances"].as_array().unwrap();
    for one in instances {
        assert_eq!(one["connected"], one["in_subset"]);
    }
    let connected = instances.iter().filter(|one| one["connected"] == true).count();
    assert_eq!((instances.len(), connected), (5, 3));
}

#[tokio::test]
async fn however_calls_end_nothing_is_left_in_flight() {
    let mesh = Mesh::new().await;
    let takes = Duration::from_millis(1);
    let fakes: Vec<Fake> = (0..3).map(|_| Fake { takes, ..Fake::default() }).collect();
    let _running = serve(&mesh, &fakes).await;
    let app = mesh.app("caller");
    let client = client_of(&app, 3).await;
    let random = std::cell::RefCell::new(fastrand::Rng::with_seed(1));
    let fakes = &fakes;
    let calls = stream::iter(0..600).for_each_concurrent(30, |_| async {
        let (way, at, micros) = {
            let mut random = random.borrow_mut();
            (random.u8(..6), random.usize(..3), random.u64(..2_500))
        };
        let (mut client, patience) = (client.clone(), Duration::from_micros(micros));
        match way {
            0 => _ = call(&client).await,
            1 => _ = tokio::time::timeout(patience, call(&client)).await,
            2 => _ = client.watch(WatchRequest::default()).await,
            3 => {
                _ = tokio::time::timeout(patience, client.watch(WatchRequest::default())).await;
            }
            4 => {
                let mut request = Request::new(request());
                request.set_timeout(patience);
                _ = client.register(request).await;
            }
            _ => {
                fakes[at].failing.fetch_not(SeqCst);
                _ = call(&client).await;
            }
        }
    });
    calls.await;
    let page: serde_json::Value = serde_json::from_str(&app.endpoints()).unwrap();
    for one in page["destinations"][0]["instances"].as_array().unwrap() {
        assert!(one["picks"].as_u64().unwrap() > 10, "{one}");
        assert_eq!((&one["calls_in_flight"], &one["streams"]), (&0.into(), &0.into()), "{one}");
    }
}
