//! Overload over a real connection: who is refused, with what, and who is not.
//! How much is served under load is simulated beside the limiter.
#![allow(clippy::unwrap_used)]

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http::uri::PathAndQuery;
use mesh::{App, Channel, Criticality, RequestBody, Routes, call, testing::Mesh};
use tokio::sync::{Semaphore, mpsc};
use tonic::{Code, Request, Response, Status, body::Body, server::NamedService};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tonic_prost::ProstCodec;
use tonic_types::StatusExt as _;

/// Its calls wait until the test lets them go on.
#[derive(Clone)]
struct Work {
    reached: mpsc::UnboundedSender<Criticality>,
    go_on: Arc<Semaphore>,
}

impl NamedService for Work {
    const NAME: &'static str = "overload.v1.Work";
}

impl tower::Service<http::Request<RequestBody>> for Work {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<RequestBody>) -> Self::Future {
        let work = self.clone();
        Box::pin(async move {
            let mut grpc = tonic::server::Grpc::new(ProstCodec::<(), ()>::default());
            Ok(grpc.unary(Handler(work), request).await)
        })
    }
}

struct Handler(Work);

impl tonic::server::UnaryService<()> for Handler {
    type Response = ();
    type Future = Pin<Box<dyn Future<Output = Result<Response<()>, Status>> + Send>>;

    fn call(&mut self, _: Request<()>) -> Self::Future {
        let work = self.0.clone();
        Box::pin(async move {
            work.reached.send(call::criticality().unwrap()).unwrap();
            work.go_on.acquire().await.unwrap().forget();
            Ok(Response::new(()))
        })
    }
}

const CONTRACT: &str = r#"
syntax = "proto3";
package overload.v1;
import "google/protobuf/empty.proto";
import "titan/mesh/v1/options.proto";

service Work {
  option (titan.mesh.v1.defaults) = {
    deadline: {seconds: 20}
    access: {public: true}
  };
  rpc Matters(google.protobuf.Empty) returns (google.protobuf.Empty);
  rpc Prefetch(google.protobuf.Empty) returns (google.protobuf.Empty) {
    option (titan.mesh.v1.policy) = {criticality: CRITICALITY_SHEDDABLE};
  }
}
"#;

fn descriptors() -> &'static [u8] {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("work.proto"), CONTRACT).unwrap();
    let protos = concat!(env!("CARGO_MANIFEST_DIR"), "/../proto");
    let mut compiler = protox::Compiler::new([folder.path(), protos.as_ref()]).unwrap();
    compiler.include_imports(true).open_file("work.proto").unwrap();
    compiler.encode_file_descriptor_set().leak()
}

struct Setup {
    mesh: Mesh,
    app: App,
    channel: Channel,
    reached: mpsc::UnboundedReceiver<Criticality>,
    go_on: Arc<Semaphore>,
    running: mesh::testing::Running,
}

/// A process that works on one call at a time.
async fn setup(settings: &[(&str, &str)]) -> Setup {
    let mesh = Mesh::new().await;
    let (reached, seen) = mpsc::unbounded_channel();
    let go_on = Arc::new(Semaphore::new(0));
    let routes = Routes::new().add(Work { reached, go_on: go_on.clone() });
    let app = mesh.app_with("work", settings);
    let running = mesh.serve_app(&app, descriptors(), routes).await;
    let channel = mesh.app("caller").channel("work");
    Setup { mesh, app, channel, reached: seen, go_on, running }
}

const ONE_PLACE: [(&str, &str); 3] =
    [("overload_min", "1"), ("overload_start", "1"), ("overload_max", "1")];

async fn work(channel: Channel, method: &str) -> Result<(), Status> {
    let path = PathAndQuery::try_from(format!("/overload.v1.Work/{method}")).unwrap();
    let mut client = tonic::client::Grpc::new(channel);
    client.unary(Request::new(()), path, ProstCodec::<(), ()>::default()).await?;
    Ok(())
}

/// Returns when so many calls wait for a place.
async fn until_queued(setup: &Setup, calls: u32) {
    let line = format!("\ntitan_server_overload_queued {calls}\n");
    while !setup.app.metrics().contains(&line) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn who_finds_no_place_is_refused_before_its_handler_with_a_time_to_come_back() {
    let settings = [&ONE_PLACE[..], &[("overload_interval", "20ms")]].concat();
    let mut setup = setup(&settings).await;
    let busy = tokio::spawn(work(setup.channel.clone(), "Matters"));
    assert_eq!(setup.reached.recv().await, Some(Criticality::Critical));

    let status = work(setup.channel.clone(), "Prefetch").await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert_eq!(mesh::status::reason(&status).as_deref(), Some("OVERLOADED"));
    let delay = status.get_details_retry_info().unwrap().retry_delay.unwrap();
    let pushback = status.metadata().get("grpc-retry-pushback-ms").unwrap().to_str().unwrap();
    assert_eq!(pushback, delay.as_millis().to_string());

    setup.go_on.add_permits(1);
    busy.await.unwrap().unwrap();
    assert!(setup.reached.try_recv().is_err(), "the refused call reached its handler");
}

#[tokio::test]
async fn health_and_the_meshs_own_calls_are_answered_by_a_process_that_is_full() {
    let mut setup = setup(&ONE_PLACE).await;
    let busy = tokio::spawn(work(setup.channel.clone(), "Matters"));
    setup.reached.recv().await.unwrap();
    let mut health = HealthClient::new(setup.mesh.channel("work"));
    health.check(HealthCheckRequest { service: String::new() }).await.unwrap();
    setup.go_on.add_permits(1);
    busy.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_waiting_call_of_a_higher_class_goes_first() {
    // Patient enough for the slowest machine.
    let settings = [&ONE_PLACE[..], &[("overload_interval", "10s")]].concat();
    let mut setup = setup(&settings).await;
    let mut calls = tokio::task::JoinSet::new();
    calls.spawn(work(setup.channel.clone(), "Matters"));
    setup.reached.recv().await.unwrap();
    calls.spawn(work(setup.channel.clone(), "Prefetch"));
    let matters = setup.channel.with_criticality(Criticality::CriticalPlus);
    calls.spawn(work(matters, "Prefetch"));
    until_queued(&setup, 2).await;

    setup.go_on.add_permits(3);
    for result in calls.join_all().await {
        result.unwrap();
    }
    assert_eq!(setup.reached.recv().await, Some(Criticality::CriticalPlus));
    assert_eq!(setup.reached.recv().await, Some(Criticality::Sheddable));
}

#[tokio::test]
async fn who_does_not_send_its_request_holds_no_place() {
    let mut setup = setup(&ONE_PLACE).await;
    let stream = tokio::net::TcpStream::connect(setup.running.address).await.unwrap();
    let (mut sender, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let request = http::Request::post("http://work/overload.v1.Work/Matters")
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(())
        .unwrap();
    let (answer, mut upload) = sender.send_request(request, false).unwrap();
    upload.send_data(bytes::Bytes::from_static(&[0, 0]), false).unwrap();

    setup.go_on.add_permits(2);
    work(setup.channel.clone(), "Matters").await.unwrap();
    // It is served as soon as the rest comes.
    upload.send_data(bytes::Bytes::from_static(&[0, 0, 0]), true).unwrap();
    assert_eq!(answer.await.unwrap().status(), 200);
    for _ in 0..2 {
        assert_eq!(setup.reached.recv().await, Some(Criticality::Critical));
    }
}

#[tokio::test]
async fn who_goes_away_while_waiting_gives_up_its_turn() {
    let settings = [&ONE_PLACE[..], &[("overload_interval", "10s")]].concat();
    let mut setup = setup(&settings).await;
    let busy = tokio::spawn(work(setup.channel.clone(), "Matters"));
    setup.reached.recv().await.unwrap();
    let gone = tokio::spawn(work(setup.channel.clone(), "Prefetch"));
    until_queued(&setup, 1).await;
    gone.abort();
    until_queued(&setup, 0).await;
    setup.go_on.add_permits(2);
    busy.await.unwrap().unwrap();
    work(setup.channel.clone(), "Matters").await.unwrap();
    assert_eq!(setup.reached.recv().await, Some(Criticality::Critical));
    assert!(setup.reached.try_recv().is_err());
}

#[tokio::test]
async fn a_process_without_overload_control_takes_every_call() {
    let mut setup = setup(&[("overload", "off"), ("overload_max", "20")]).await;
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..50 {
        calls.spawn(work(setup.channel.clone(), "Prefetch"));
    }
    for _ in 0..50 {
        assert_eq!(setup.reached.recv().await, Some(Criticality::Sheddable));
    }
    setup.go_on.add_permits(50);
    for result in calls.join_all().await {
        result.unwrap();
    }
}
