//! What a process tells of the calls that it has served, and of those it made.
#![allow(clippy::unwrap_used)]

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex, OnceLock},
    time::Duration,
};

use mesh::{
    Routes,
    proto::{
        JsonWebKey, ListKeysRequest, ListKeysResponse,
        key_service_client::KeyServiceClient,
        key_service_server::{KeyService, KeyServiceServer},
    },
    testing::{Mesh, Peer, Reply, Running},
};
use tonic::{Code, Request, Response, Status};

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Lines {
    /// Lines of the access log that name this caller.
    fn of(&self, caller: &str) -> Vec<String> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        let named = format!("caller=\"{caller}\"");
        let of = |line: &&str| line.contains("mesh::access") && line.contains(&named);
        text.lines().filter(of).map(str::to_owned).collect()
    }
}

/// A process has one log, and so have its tests.
fn log() -> Lines {
    static LINES: OnceLock<Lines> = OnceLock::new();
    let start = || {
        let lines = Lines::default();
        let writer = lines.clone();
        let log = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone());
        tracing::subscriber::set_global_default(log.finish()).unwrap();
        lines
    };
    LINES.get_or_init(start).clone()
}

/// Answers thirty bytes, or fails when nobody it knows calls.
struct Keys;

#[tonic::async_trait]
impl KeyService for Keys {
    async fn list_keys(
        &self,
        _: Request<ListKeysRequest>,
    ) -> Result<Response<ListKeysResponse>, Status> {
        if mesh::call::caller().service.as_deref() == Some("unlucky") {
            return Err(Status::internal("on purpose"));
        }
        let key = JsonWebKey { kid: "x".repeat(26), ..JsonWebKey::default() };
        Ok(Response::new(ListKeysResponse { keys: vec![key] }))
    }
}

async fn serve(mesh: &Mesh, access_log: &str) -> (mesh::App, Running) {
    let app = mesh.app_with("keys", &[("access_log", access_log)]);
    let routes = Routes::new().add(KeyServiceServer::new(Keys));
    let running = mesh.serve_app(&app, mesh::DESCRIPTORS, routes).await;
    (app, running)
}

async fn call(mesh: &Mesh, caller: &'static str) -> Code {
    let mut client = KeyServiceClient::new(mesh.app(caller).channel("keys"));
    let answer = client.list_keys(ListKeysRequest {}).await;
    answer.map_or_else(|status| status.code(), |_| Code::Ok)
}

#[tokio::test(start_paused = true)]
async fn every_call_has_one_line_when_all_are_asked_for() {
    let lines = log();
    let mesh = Mesh::simulated(1).await;
    let (_, running) = serve(&mesh, "all").await;
    assert_eq!(call(&mesh, "lucky").await, Code::Ok);
    running.stop().await;
    let [line] = &lines.of("lucky")[..] else { panic!("{:?}", lines.of("lucky")) };
    for part in ["INFO", "path=/titan.mesh.v1.KeyService/ListKeys", "status=\"OK\"", "received=0"] {
        assert!(line.contains(part), "{part} is missing in {line}");
    }
    assert!(line.contains("sent=30 ") && line.contains("trace="), "{line}");
}

#[tokio::test(start_paused = true)]
async fn only_failures_have_a_line_by_default() {
    let lines = log();
    let mesh = Mesh::simulated(2).await;
    let (_, running) = serve(&mesh, "errors").await;
    assert_eq!(call(&mesh, "unlucky").await, Code::Internal);
    assert_eq!(call(&mesh, "unheard").await, Code::Ok);
    running.stop().await;
    let unlucky = lines.of("unlucky");
    assert!(unlucky.iter().all(|line| line.contains("WARN") && line.contains("INTERNAL")));
    assert!(!unlucky.is_empty());
    assert_eq!(lines.of("unheard"), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn sizes_and_unknown_methods_are_counted() {
    let _lines = log();
    let mesh = Mesh::simulated(3).await;
    let (app, running) = serve(&mesh, "off").await;
    assert_eq!(call(&mesh, "counted").await, Code::Ok);
    let mut client = tonic::client::Grpc::new(mesh.app("counted").channel("keys"));
    client.ready().await.unwrap();
    let path = http::uri::PathAndQuery::from_static("/nobody.Knows/This");
    let codec = tonic_prost::ProstCodec::<(), ()>::default();
    let status = client.unary(Request::new(()), path, codec).await.unwrap_err();
    assert_eq!(status.code(), Code::Unimplemented);
    running.stop().await;
    let page = app.metrics();
    for line in [
        "grpc_server_call_sent_total_compressed_message_size_bytes_sum{\
         grpc_method=\"titan.mesh.v1.KeyService/ListKeys\",grpc_status=\"OK\"} 30",
        "grpc_server_call_duration_seconds_count{grpc_method=\"other\",\
         grpc_status=\"UNIMPLEMENTED\"} 1",
    ] {
        assert!(page.lines().any(|have| have == line), "{line} is missing in\n{page}");
    }
    assert!(!page.contains("nobody.Knows"));
}

/// The samples of a page, by name and labels, when it is one by Prometheus'
/// grammar: every sample belongs to a metric whose type came before, buckets do
/// not fall, and their last is the count.
fn samples(page: &str) -> BTreeMap<String, f64> {
    let (mut samples, mut kinds) = (BTreeMap::new(), BTreeMap::new());
    let mut below = (String::new(), 0.0);
    for line in page.lines() {
        if let Some(head) = line.strip_prefix("# TYPE ") {
            let (name, kind) = head.split_once(' ').unwrap();
            assert_eq!(kinds.insert(name, kind), None, "{name} has two heads");
        }
        if line.starts_with('#') {
            continue;
        }
        let (name, value) = line.rsplit_once(' ').unwrap();
        let value: f64 = value.parse().unwrap();
        let metric = name.split('{').next().unwrap();
        let suffixes = ["", "_bucket", "_sum", "_count"];
        let of = suffixes.iter().find_map(|suffix| kinds.get(metric.strip_suffix(suffix)?));
        assert!(of.is_some(), "{line} belongs to nothing");
        if let Some((labels, _)) = name.split_once(",le=") {
            let last = if below.0 == labels { below.1 } else { 0.0 };
            assert!(value >= last, "{line} falls");
            below = (labels.to_owned(), value);
        } else if metric.ends_with("_count") {
            assert_eq!(below.1, value, "{line} is not the last bucket");
        }
        assert_eq!(samples.insert(name.to_owned(), value), None, "{name} stands twice");
    }
    samples
}

#[tokio::test(start_paused = true)]
async fn a_client_counts_its_calls_its_attempts_and_what_they_carried() {
    let _lines = log();
    let mesh = Mesh::simulated(4).await;
    let key = JsonWebKey { kid: "x".repeat(26), ..JsonWebKey::default() };
    let fine = Reply::message(&ListKeysResponse { keys: vec![key] });
    let script = Peer::new()
        .once(Reply::status(Status::unavailable("once")))
        .once(Reply::refused_stream())
        .always(fine);
    let _peer = mesh.peer("keys", script).await;
    let app = mesh.app("caller");
    let mut client = KeyServiceClient::new(app.channel("keys"));
    client.list_keys(ListKeysRequest {}).await.unwrap();
    client.list_keys(ListKeysRequest {}).await.unwrap();
    let mut unknown = tonic::client::Grpc::new(app.channel("keys"));
    unknown.ready().await.unwrap();
    let path = http::uri::PathAndQuery::from_static("/nobody.Knows/This");
    let codec = tonic_prost::ProstCodec::<(), ()>::default();
    unknown.unary(Request::new(()), path, codec).await.unwrap();

    let page = app.metrics();
    let samples = samples(&page);
    let keys = "grpc_method=\"titan.mesh.v1.KeyService/ListKeys\",grpc_target=\"keys\"";
    let other = "grpc_method=\"other\",grpc_target=\"keys\"";
    for (name, labels, value) in [
        ("grpc_client_call_started_total", keys.to_owned(), 2.0),
        ("grpc_client_calls_in_flight", keys.to_owned(), 0.0),
        ("grpc_client_attempt_started_total", keys.to_owned(), 4.0),
        ("grpc_client_attempt_started_total", other.to_owned(), 1.0),
        ("grpc_client_call_duration_seconds_count", format!("{keys},grpc_status=\"OK\""), 2.0),
        ("grpc_client_attempt_duration_seconds_count", format!("{keys},grpc_status=\"OK\""), 2.0),
        (
            "grpc_client_attempt_duration_seconds_count",
            format!("{keys},grpc_status=\"UNAVAILABLE\""),
            2.0,
        ),
        (
            "grpc_client_attempt_rcvd_total_compressed_message_size_bytes_sum",
            format!("{keys},grpc_status=\"OK\""),
            60.0,
        ),
        (
            "grpc_client_attempt_sent_total_compressed_message_size_bytes_sum",
            format!("{keys},grpc_status=\"OK\""),
            0.0,
        ),
        ("grpc_client_call_retries_sum", keys.to_owned(), 1.0),
        ("grpc_client_call_retries_count", keys.to_owned(), 1.0),
        ("grpc_client_call_transparent_retries_sum", keys.to_owned(), 1.0),
        ("grpc_client_call_retry_delay_seconds_count", keys.to_owned(), 1.0),
    ] {
        let name = format!("{name}{{{labels}}}");
        assert_eq!(samples.get(&name), Some(&value), "{name} in\n{page}");
    }
    assert!(!page.contains("nobody.Knows"));
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_ran_out_of_time_and_one_given_up_are_told_apart() {
    let _lines = log();
    let mesh = Mesh::simulated(5).await;
    let _peer = mesh.peer("keys", Peer::new().always(Reply::never())).await;
    let app = mesh.app("caller");
    let call = |timeout: u64| {
        let mut client = KeyServiceClient::new(app.channel("keys"));
        let mut request = Request::new(ListKeysRequest {});
        request.set_timeout(Duration::from_millis(timeout));
        async move { client.list_keys(request).await.unwrap_err().code() }
    };
    assert_eq!(call(50).await, Code::DeadlineExceeded);
    assert!(tokio::time::timeout(Duration::from_millis(50), call(1_000)).await.is_err());
    let page = app.metrics();
    let samples = samples(&page);
    for status in ["DEADLINE_EXCEEDED", "CANCELLED"] {
        for metric in ["call", "attempt"] {
            let labels = "grpc_method=\"titan.mesh.v1.KeyService/ListKeys\",grpc_target=\"keys\"";
            let labels = format!("{labels},grpc_status=\"{status}\"");
            let name = format!("grpc_client_{metric}_duration_seconds_count{{{labels}}}");
            assert_eq!(samples.get(&name), Some(&1.0), "{name} in\n{page}");
        }
    }
}
