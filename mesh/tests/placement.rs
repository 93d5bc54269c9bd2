//! What instances say of themselves in the registry, and what their callers make
//! of it, over real sockets.
#![allow(clippy::unwrap_used)]

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};

use futures_util::{Stream, StreamExt as _, stream};
use mesh::{
    App, Routes,
    proto::{
        DeregisterRequest, DeregisterResponse, Instance, RegisterRequest, RegisterResponse,
        WatchRequest, WatchResponse,
        registry_service_client::RegistryServiceClient,
        registry_service_server::{RegistryService, RegistryServiceServer},
    },
    testing::{Mesh, Running},
};
use tokio::sync::watch;
use tonic::{Request, Response, Status};

/// A registry of a fixed view; and, since it is at hand, the service whose
/// instances that view has.
#[derive(Clone)]
struct Fake {
    calls: Arc<AtomicU32>,
    view: watch::Receiver<Vec<Instance>>,
}

#[tonic::async_trait]
impl RegistryService for Fake {
    async fn register(
        &self,
        _: Request<RegisterRequest>,
    ) -> Result<Response<RegisterResponse>, Status> {
        self.calls.fetch_add(1, SeqCst);
        Ok(Response::new(RegisterResponse { lease: None }))
    }

    async fn deregister(
        &self,
        _: Request<DeregisterRequest>,
    ) -> Result<Response<DeregisterResponse>, Status> {
        Ok(Response::new(DeregisterResponse {}))
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<WatchResponse, Status>> + Send>>;

    async fn watch(&self, _: Request<WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let views = stream::unfold((self.view.clone(), true), |(mut view, first)| async move {
            if !first && view.changed().await.is_err() {
                return std::future::pending().await;
            }
            let instances = view.borrow_and_update().clone();
            Some((Ok(WatchResponse { instances, settled: true }), (view, false)))
        });
        Ok(Response::new(views.boxed()))
    }
}

/// Instances of `shop`, and a registry that tells of them.
struct Setup {
    mesh: Mesh,
    fakes: Vec<Fake>,
    running: Vec<Running>,
    view: watch::Sender<Vec<Instance>>,
    registry: Running,
}

impl Setup {
    async fn new(instances: &[(&str, Option<u32>)]) -> Self {
        let (mesh, view) = (Mesh::new().await, watch::Sender::default());
        let (mut fakes, mut running) = (Vec::new(), Vec::new());
        let serve = |name, fake: &Fake| {
            let routes = Routes::new().add(RegistryServiceServer::new(fake.clone()));
            mesh.serve(name, mesh::DESCRIPTORS, routes)
        };
        for _ in instances {
            let fake = Fake { calls: Arc::default(), view: view.subscribe() };
            running.push(serve("one", &fake).await);
            fakes.push(fake);
        }
        let registry = Fake { calls: Arc::default(), view: view.subscribe() };
        let registry = serve("directory", &registry).await;
        let setup = Self { mesh, fakes, running, view, registry };
        setup.tell(instances);
        setup
    }

    fn tell(&self, instances: &[(&str, Option<u32>)]) {
        let listed = |(at, (zone, weight)): (usize, &(&str, Option<u32>))| Instance {
            id: format!("shop-{at}"),
            app: "shop".to_owned(),
            address: self.running[at].address.to_string(),
            zone: (*zone).to_owned(),
            weight: *weight,
            ..Instance::default()
        };
        self.view.send_replace(instances.iter().enumerate().map(listed).collect());
    }

    /// A caller in zone `a`.
    async fn caller(&self) -> App {
        let registry = self.registry.address.to_string();
        let app = self.mesh.app_with("caller", &[("registry", &registry), ("zone", "a")]);
        let channel = app.channel("shop");
        while channel.ready().len() < self.fakes.len() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        app
    }

    /// Makes calls one by one; how many of them each instance got.
    async fn calls(&self, app: &App, count: u32) -> Vec<u32> {
        let mut client = RegistryServiceClient::new(app.channel("shop"));
        let instance = Instance {
            id: "1".to_owned(),
            app: "any".to_owned(),
            address: "a:1".to_owned(),
            ..Instance::default()
        };
        for _ in 0..count {
            client.register(RegisterRequest { instance: Some(instance.clone()) }).await.unwrap();
        }
        self.fakes.iter().map(|fake| fake.calls.swap(0, SeqCst)).collect()
    }
}

/// What a caller sees of an instance.
fn seen(app: &App, at: usize) -> serde_json::Value {
    let page: serde_json::Value = serde_json::from_str(&app.endpoints()).unwrap();
    let destinations = page["destinations"].as_array().unwrap();
    let shop = destinations.iter().find(|one| one["app"] == "shop").unwrap();
    let instances = shop["instances"].as_array().unwrap();
    let id = format!("shop-{at}");
    instances.iter().find(|one| one["instance"] == id.as_str()).unwrap().clone()
}

#[tokio::test]
async fn calls_stay_in_the_callers_zone() {
    let setup = Setup::new(&[("a", None), ("a", None), ("b", None), ("", None)]).await;
    let app = setup.caller().await;
    let calls = setup.calls(&app, 300).await;
    // Now and then one looks how quick the others are.
    assert!(calls[2] + calls[3] < 30, "{calls:?}");
    assert_eq!((&seen(&app, 2)["zone"], &seen(&app, 3)["zone"]), (&"b".into(), &"".into()));
}

#[tokio::test]
async fn a_weight_that_changes_steers_the_calls_and_keeps_the_connection() {
    let setup = Setup::new(&[("a", Some(100)), ("a", Some(0))]).await;
    let app = setup.caller().await;
    assert_eq!(setup.calls(&app, 100).await, [100, 0], "the second is drained");
    let picks = |at| seen(&app, at)["picks"].as_u64().unwrap();
    let before = picks(0);

    setup.tell(&[("a", Some(0)), ("a", Some(100))]);
    while seen(&app, 1)["weight"] != 100 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(setup.calls(&app, 100).await, [0, 100]);
    assert_eq!(picks(0), before, "it is known as before");
    assert_eq!(seen(&app, 0)["connected"], true);
}
