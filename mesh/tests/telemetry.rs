//! What a server tells of the calls that it has served.
#![allow(clippy::unwrap_used)]

use std::{
    io,
    sync::{Arc, Mutex, OnceLock},
};

use mesh::{
    Routes,
    proto::{
        JsonWebKey, ListKeysRequest, ListKeysResponse,
        key_service_client::KeyServiceClient,
        key_service_server::{KeyService, KeyServiceServer},
    },
    testing::{Mesh, Running},
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
