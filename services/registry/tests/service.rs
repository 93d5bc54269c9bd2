//! The registry through its contract, as the processes of a mesh use it.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use mesh::{
    proto::{
        DeregisterRequest, Instance, RegisterRequest, WatchRequest, WatchResponse,
        registry_service_client::RegistryServiceClient,
    },
    status::reason,
    testing::{Mesh, Running},
};
use registry::Registry;
use tonic::{Code, Status, Streaming};

type Client = RegistryServiceClient<mesh::Channel>;

struct World {
    mesh: Mesh,
    running: Running,
}

impl World {
    async fn new(lease: Duration) -> Self {
        let mesh = Mesh::new().await;
        let registry = Registry::new(lease);
        tokio::spawn(registry.clone().keep());
        let routes = registry::service(registry);
        let running = mesh.serve("registry", mesh::DESCRIPTORS, routes).await;
        Self { mesh, running }
    }

    fn client(&self, app: &'static str) -> Client {
        RegistryServiceClient::new(self.mesh.app(app).channel("registry"))
    }
}

const LONG: Duration = Duration::from_secs(60);

fn instance(app: &str, id: &str) -> Instance {
    Instance {
        id: id.to_owned(),
        app: app.to_owned(),
        address: "127.0.0.1:40213".to_owned(),
        ..Instance::default()
    }
}

async fn register(client: &mut Client, instance: Instance) -> Result<Duration, Status> {
    let request = RegisterRequest { instance: Some(instance) };
    let answer = client.register(request).await?.into_inner();
    Ok(answer.lease.unwrap().try_into().unwrap())
}

async fn watch(client: &mut Client, apps: &[&str]) -> Streaming<WatchResponse> {
    let apps = apps.iter().map(|app| (*app).to_owned()).collect();
    client.watch(WatchRequest { apps }).await.unwrap().into_inner()
}

async fn next(views: &mut Streaming<WatchResponse>) -> Vec<String> {
    let view = views.message().await.unwrap().unwrap();
    view.instances.into_iter().map(|instance| instance.id).collect()
}

#[tokio::test]
async fn an_instance_is_told_its_lease_and_watchers_are_told_of_it() {
    let world = World::new(LONG).await;
    let mut projects = world.client("projects");
    assert_eq!(register(&mut projects, instance("projects", "p1")).await.unwrap(), LONG);

    let mut views = watch(&mut world.client("gateway"), &[]).await;
    assert_eq!(next(&mut views).await, ["p1"]);
    register(&mut projects, instance("projects", "p2")).await.unwrap();
    assert_eq!(next(&mut views).await, ["p1", "p2"]);
    projects.deregister(DeregisterRequest { id: "p1".to_owned() }).await.unwrap();
    assert_eq!(next(&mut views).await, ["p2"]);
}

#[tokio::test]
async fn an_instance_that_falls_silent_disappears() {
    let world = World::new(Duration::from_millis(100)).await;
    let mut client = world.client("projects");
    register(&mut client, instance("projects", "p1")).await.unwrap();
    let mut views = watch(&mut client, &[]).await;
    while !next(&mut views).await.is_empty() {}
}

#[tokio::test]
async fn a_watcher_hears_only_of_the_applications_that_it_asked_for() {
    let world = World::new(LONG).await;
    let mut views = watch(&mut world.client("gateway"), &["projects"]).await;
    assert!(next(&mut views).await.is_empty());
    register(&mut world.client("identity"), instance("identity", "i1")).await.unwrap();
    register(&mut world.client("projects"), instance("projects", "p1")).await.unwrap();
    assert_eq!(next(&mut views).await, ["p1"]);
}

#[tokio::test]
async fn an_application_cannot_speak_for_another() {
    let world = World::new(LONG).await;
    let mut identity = world.client("identity");
    register(&mut identity, instance("identity", "same")).await.unwrap();

    let mut projects = world.client("projects");
    let refused = register(&mut projects, instance("identity", "x")).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    assert_eq!(reason(&refused).as_deref(), Some("FOREIGN_APPLICATION"));

    // To this caller there is no such instance, and removing none succeeds.
    projects.deregister(DeregisterRequest { id: "same".to_owned() }).await.unwrap();
    assert_eq!(next(&mut watch(&mut projects, &[]).await).await, ["same"]);
}

#[tokio::test]
async fn who_proves_no_name_is_refused() {
    let world = World::new(LONG).await;
    let mut stranger = RegistryServiceClient::new(world.mesh.channel("registry"));
    let refused = register(&mut stranger, instance("projects", "p1")).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    assert!(stranger.watch(WatchRequest::default()).await.is_err());
}

#[tokio::test]
async fn an_instance_without_a_name_or_an_address_is_refused_by_field() {
    let world = World::new(LONG).await;
    let mut client = world.client("projects");
    for (broken, field) in [
        (Instance { id: String::new(), ..instance("projects", "") }, "instance.id"),
        (Instance { address: String::new(), ..instance("projects", "p1") }, "instance.address"),
    ] {
        use tonic_types::StatusExt as _;
        let refused = register(&mut client, broken).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
        let fields = refused.get_details_bad_request().unwrap().field_violations;
        assert_eq!(fields[0].field, field);
    }
}

#[tokio::test]
async fn watches_end_clearly_when_the_registry_ends() {
    let world = World::new(LONG).await;
    let mut client = world.client("gateway");
    let mut views = watch(&mut client, &[]).await;
    assert!(next(&mut views).await.is_empty());
    let ending = tokio::spawn(world.running.stop());
    assert_eq!(views.message().await.unwrap_err().code(), Code::Unavailable);
    ending.await.unwrap();
}
