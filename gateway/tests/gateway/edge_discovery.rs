//! How the edge learns of applications: from a registry and their reflection,
//! without a restart.

use std::pin::Pin;

use mesh::{
    Routes,
    proto::{
        DeregisterRequest, DeregisterResponse, Instance, RegisterRequest, RegisterResponse,
        WatchRequest, WatchResponse,
        registry_service_server::{RegistryService, RegistryServiceServer},
    },
    testing::{Mesh, Running},
};
use tokio::sync::watch;
use tokio_stream::{Stream, StreamExt as _, wrappers::WatchStream};
use tonic::{Request, Response, Status};

use crate::{
    contracts::{LIBRARY, compile_text},
    http1,
    library::{Edge, Library, descriptors, start, until},
};

/// A registry that tells what a test says.
#[derive(Clone)]
struct Told(watch::Sender<Vec<Instance>>);

#[tonic::async_trait]
impl RegistryService for Told {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<WatchResponse, Status>> + Send>>;

    async fn register(
        &self,
        _: Request<RegisterRequest>,
    ) -> Result<Response<RegisterResponse>, Status> {
        Ok(Response::new(RegisterResponse::default()))
    }

    async fn deregister(
        &self,
        _: Request<DeregisterRequest>,
    ) -> Result<Response<DeregisterResponse>, Status> {
        Ok(Response::new(DeregisterResponse::default()))
    }

    async fn watch(&self, _: Request<WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let views = WatchStream::new(self.0.subscribe())
            .map(|instances| Ok(WatchResponse { instances, settled: true }));
        Ok(Response::new(Box::pin(views)))
    }
}

struct Setup {
    mesh: Mesh,
    told: Told,
    edge: Edge,
    address: std::net::SocketAddr,
    _registry: Running,
}

impl Setup {
    async fn new() -> Setup {
        let mesh = Mesh::new().await;
        let told = Told(watch::Sender::new(Vec::new()));
        let routes = Routes::new().add(RegistryServiceServer::new(told.clone()));
        let registry = mesh.serve("registry", mesh::DESCRIPTORS, routes).await;
        let (address, edge) = start(&mesh, &[("registry", &registry.address.to_string())]);
        Setup { mesh, told, edge, address, _registry: registry }
    }

    /// Starts a library, and tells of it.
    async fn library(&self, hash: &str) -> Running {
        let routes = Routes::new().add(Library::default());
        let running = self.mesh.serve("library", descriptors(), routes).await;
        self.tell(instance("library", &running, hash));
        running
    }

    fn tell(&self, instance: Instance) {
        self.told.0.send_modify(|instances| instances.push(instance));
    }

    async fn get(&self, path: &str) -> u16 {
        http1::send(self.address, "GET", path, &[("x-server-timeout", "1")], b"").await.status
    }

    fn application(&self, name: &str) -> gateway::Application {
        self.edge.readiness.report().applications.get(name).cloned().unwrap_or_default()
    }
}

fn instance(app: &str, running: &Running, hash: &str) -> Instance {
    Instance {
        id: format!("{app}-{hash}"),
        app: app.to_owned(),
        address: running.address.to_string(),
        services: vec![LIBRARY.to_owned()],
        descriptor_hash: hash.to_owned(),
        ..Instance::default()
    }
}

#[tokio::test]
async fn a_new_service_is_reachable_without_a_restart() {
    let setup = Setup::new().await;
    until("the registry answers", || setup.edge.readiness.report().registry_known).await;
    assert_eq!(setup.get("/v1/books/1").await, 404);
    let _library = setup.library("1").await;
    until("the contracts load", || setup.application("library").loaded).await;
    assert_eq!(setup.get("/v1/books/1").await, 200);
}

#[tokio::test]
async fn an_edge_is_ready_only_when_it_knows_what_it_has_seen() {
    let setup = Setup::new().await;
    // Nobody listens there: its contracts cannot be had.
    let gone = Instance {
        id: "gone".to_owned(),
        app: "gone".to_owned(),
        address: "127.0.0.1:1".to_owned(),
        services: vec!["gone.v1.Gone".to_owned()],
        ..Instance::default()
    };
    setup.tell(gone);
    until("the fetch fails", || setup.application("gone").problem.is_some()).await;
    let answer = http1::send(setup.address, "GET", "/readyz", &[], b"").await;
    // The view without it may have come first.
    if answer.status == 503 {
        assert_eq!(answer.json()["ready"], false);
        assert_eq!(answer.json()["applications"]["gone"]["loaded"], false);
    }
    // It keeps no one else from being served.
    let _library = setup.library("1").await;
    until("the contracts load", || setup.application("library").loaded).await;
    assert_eq!(setup.get("/v1/books/1").await, 200);
}

#[tokio::test]
async fn a_service_that_goes_away_is_unavailable_not_unknown() {
    let setup = Setup::new().await;
    let library = setup.library("1").await;
    until("the contracts load", || setup.application("library").loaded).await;
    library.stop().await;
    setup.told.0.send_replace(Vec::new());
    until("it is gone", || setup.application("library").instances == 0).await;
    let status = setup.get("/v1/books/1").await;
    assert!(matches!(status, 503 | 504), "{status}");
    assert!(setup.application("library").loaded);
}

#[tokio::test]
async fn contracts_that_contradict_others_are_refused_and_name_them() {
    let setup = Setup::new().await;
    let _library = setup.library("1").await;
    until("the contracts load", || setup.application("library").loaded).await;
    // Another application says that it serves the same service.
    let second = setup.mesh.serve("second", descriptors(), Routes::new().add(Library::default()));
    let second = second.await;
    setup.tell(instance("second", &second, "2"));
    until("it is refused", || setup.application("second").problem.is_some()).await;
    let problem = setup.application("second").problem.unwrap();
    assert!(problem.contains("`library`") && problem.contains("`second`"), "{problem}");
    assert!(!setup.application("second").loaded);
    assert_eq!(setup.get("/v1/books/1").await, 200);
}

#[tokio::test]
async fn a_new_version_replaces_the_old_one() {
    let setup = Setup::new().await;
    let _old = setup.library("1").await;
    until("the contracts load", || setup.application("library").loaded).await;
    assert_eq!(setup.get("/v2/books").await, 404);

    let contract = r#"
        syntax = "proto3";
        package library.v1;
        import "google/api/annotations.proto";
        import "titan/mesh/v1/options.proto";
        message Empty {}
        service LibraryService {
            rpc GetBooks(Empty) returns (Empty) {
                option (google.api.http) = {get: "/v2/books"};
                option (titan.mesh.v1.policy) = {deadline: {seconds: 1} access: {public: true}};
            }
        }"#;
    let set: &'static [u8] = compile_text("library/v1/library.proto", contract).leak();
    let new = setup.mesh.serve("library", set, Routes::new().add(Library::default())).await;
    let mut instance = instance("library", &new, "2");
    instance.start_time = Some(std::time::SystemTime::now().into());
    setup.tell(instance);
    let address = setup.address;
    let found = async || http1::send(address, "GET", "/v1/books/1", &[], b"").await.status == 404;
    while !found().await {
        tokio::task::yield_now().await;
    }
    assert_ne!(setup.get("/v2/books").await, 404);
}

#[tokio::test]
async fn applications_that_expose_nothing_are_not_asked() {
    let setup = Setup::new().await;
    let quiet = Instance {
        id: "quiet".to_owned(),
        app: "quiet".to_owned(),
        address: "127.0.0.1:1".to_owned(),
        services: vec!["titan.mesh.v1.FeedService".to_owned()],
        ..Instance::default()
    };
    setup.tell(quiet);
    until("it is settled", || setup.application("quiet").loaded).await;
    assert!(setup.application("quiet").problem.is_none());
}
