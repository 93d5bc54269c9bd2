//! A call through the whole mesh: what reaches the handler, what is refused
//! before it, and how failures look to the caller.
#![allow(clippy::unwrap_used)]

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};

use mesh::{
    Caller, Criticality, Routes, call,
    proto::{
        DeregisterRequest, DeregisterResponse, Instance, ListKeysRequest, ListKeysResponse,
        RegisterRequest, RegisterResponse, WatchRequest, WatchResponse,
        key_service_client::KeyServiceClient,
        key_service_server::{KeyService, KeyServiceServer},
        registry_service_client::RegistryServiceClient,
        registry_service_server::{RegistryService, RegistryServiceServer},
    },
    testing::Mesh,
};
use tokio::sync::{Mutex, Notify, mpsc};
use tokio_stream::{Stream, StreamExt as _, wrappers::ReceiverStream};
use tonic::{Code, Request, Response, Status};
use tonic_types::StatusExt as _;

/// A service of the mesh's own contracts whose handlers do what a test asks.
#[derive(Clone, Default)]
struct Fake {
    calls: Arc<AtomicU32>,
    seen: Arc<Mutex<Option<Seen>>>,
    /// Registered applications by this name stay in the handler until cancelled.
    cancelled: Arc<Notify>,
    /// `waits` tells that it was reached and waits for a word.
    reached: Arc<Notify>,
    go_on: Arc<Notify>,
    next: Option<mesh::Channel>,
}

#[derive(Clone, Debug)]
struct Seen {
    caller: Caller,
    traceparent: Option<String>,
    deadline: Option<tokio::time::Instant>,
    criticality: Option<Criticality>,
}

struct OnDrop(Arc<Notify>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

#[tonic::async_trait]
impl RegistryService for Fake {
    async fn register(
        &self,
        request: Request<RegisterRequest>,
    ) -> Result<Response<RegisterResponse>, Status> {
        let calls = self.calls.fetch_add(1, SeqCst) + 1;
        *self.seen.lock().await = Some(Seen {
            caller: call::caller(),
            traceparent: call::traceparent(),
            deadline: call::deadline(),
            criticality: call::criticality(),
        });
        let instance = request.into_inner().instance.unwrap();
        match instance.app.as_str() {
            "panics" => panic!("on purpose"),
            "hangs" => {
                let _guard = OnDrop(self.cancelled.clone());
                std::future::pending::<()>().await;
            }
            "waits" => {
                self.reached.notify_one();
                self.go_on.notified().await;
            }
            "unavailable-once" if calls == 1 => return Err(Status::unavailable("once")),
            "passes-on" => {
                let mut next = RegistryServiceClient::new(self.next.clone().unwrap());
                let request = register("leaf");
                return next.register(request).await;
            }
            _ => {}
        }
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
        let (sender, receiver) = mpsc::channel(1);
        let cancelled = self.cancelled.clone();
        tokio::spawn(async move {
            for _ in 0..3 {
                let _ = sender.send(Ok(WatchResponse::default())).await;
            }
            sender.closed().await;
            cancelled.notify_one();
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }
}

fn register(app: &str) -> RegisterRequest {
    RegisterRequest {
        instance: Some(Instance {
            id: "1".to_owned(),
            app: app.to_owned(),
            address: "127.0.0.1:1".to_owned(),
            ..Instance::default()
        }),
    }
}

struct Setup {
    mesh: Mesh,
    fake: Fake,
    client: RegistryServiceClient<mesh::Channel>,
    _running: mesh::testing::Running,
}

async fn setup() -> Setup {
    let mesh = Mesh::new().await;
    let fake = Fake::default();
    let routes = Routes::new().add(RegistryServiceServer::new(fake.clone()));
    let running = mesh.serve("fake", mesh::DESCRIPTORS, routes).await;
    let client = RegistryServiceClient::new(mesh.app("caller").channel("fake"));
    Setup { mesh, fake, client, _running: running }
}

#[tokio::test]
async fn a_call_reaches_its_handler_with_caller_deadline_and_trace() {
    let mut setup = setup().await;
    setup.client.register(register("shop")).await.unwrap();
    let seen = setup.fake.seen.lock().await.clone().unwrap();
    assert_eq!(seen.caller.service.as_deref(), Some("caller"));
    assert!(seen.deadline.is_some(), "the contract's deadline applies without a header");
    assert!(seen.traceparent.is_some());
}

#[tokio::test]
async fn who_proves_no_name_is_refused_where_the_contract_asks_for_one() {
    let setup = setup().await;
    let mut outsider = RegistryServiceClient::new(setup.mesh.channel("fake"));
    let status = outsider.register(register("shop")).await.unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);
    assert_eq!(setup.fake.calls.load(SeqCst), 0);
}

#[tokio::test]
async fn a_request_that_breaks_the_contracts_rules_never_reaches_the_handler() {
    let mut setup = setup().await;
    let mut request = register("Not A Name");
    request.instance.as_mut().unwrap().id = String::new();
    let status = setup.client.register(request).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    let mut fields: Vec<String> = status
        .get_details_bad_request()
        .unwrap()
        .field_violations
        .into_iter()
        .map(|violation| violation.field)
        .collect();
    fields.sort();
    assert_eq!(fields, ["instance.app", "instance.id"]);
    assert_eq!(setup.fake.calls.load(SeqCst), 0);
}

#[tokio::test]
async fn a_panic_fails_its_own_call_only() {
    let mut setup = setup().await;
    let status = setup.client.register(register("panics")).await.unwrap_err();
    assert_eq!(status.code(), Code::Internal);
    assert!(!status.message().contains("on purpose"), "the cause is not the caller's business");
    setup.client.register(register("shop")).await.unwrap();
}

#[tokio::test]
async fn a_deadline_ends_a_call_as_deadline_exceeded_and_cancels_its_handler() {
    let mut setup = setup().await;
    let mut request = Request::new(register("hangs"));
    request.set_timeout(Duration::from_millis(50));
    let status = setup.client.register(request).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
    setup.fake.cancelled.notified().await;
}

#[tokio::test]
async fn a_dropped_call_cancels_its_handler() {
    let mut setup = setup().await;
    let call = setup.client.register(register("hangs"));
    // Long enough to reach the handler; its guard tells whether it did.
    let dropped = tokio::time::timeout(Duration::from_millis(100), call).await;
    assert!(dropped.is_err());
    setup.fake.cancelled.notified().await;
}

#[tokio::test]
async fn a_call_within_a_call_inherits_deadline_trace_and_user() {
    let setup = setup().await;
    let relay = Fake { next: Some(setup.mesh.app("relay").channel("fake")), ..Fake::default() };
    let routes = Routes::new().add(RegistryServiceServer::new(relay.clone()));
    let _running = setup.mesh.serve("relay", mesh::DESCRIPTORS, routes).await;
    let caller = setup.mesh.app("caller").channel("relay");
    let token = setup.mesh.token("u1", &["admin"]);
    let mut client = RegistryServiceClient::new(caller.with_token(&token).unwrap());

    let started = tokio::time::Instant::now();
    let mut request = Request::new(register("passes-on"));
    request.set_timeout(Duration::from_millis(700));
    client.register(request).await.unwrap();

    let first = relay.seen.lock().await.clone().unwrap();
    let second = setup.fake.seen.lock().await.clone().unwrap();
    assert_eq!(second.caller.service.as_deref(), Some("relay"));
    assert_eq!(second.caller.user, first.caller.user);
    assert_eq!(second.caller.user.unwrap().id, "u1");
    // The contract alone would allow two seconds.
    assert!(second.deadline.unwrap() < started + Duration::from_millis(1_500));
    let trace = |seen: Option<String>| seen.unwrap()[3..35].to_owned();
    assert_eq!(trace(first.traceparent), trace(second.traceparent));
}

#[tokio::test]
async fn a_call_within_a_call_matters_as_much() {
    let setup = setup().await;
    let relay = Fake { next: Some(setup.mesh.app("relay").channel("fake")), ..Fake::default() };
    let routes = Routes::new().add(RegistryServiceServer::new(relay.clone()));
    let _running = setup.mesh.serve("relay", mesh::DESCRIPTORS, routes).await;
    let caller = setup.mesh.app("caller").channel("relay");

    for (channel, expected) in [
        (caller.clone(), Criticality::Critical),
        (caller.with_criticality(Criticality::Sheddable), Criticality::Sheddable),
        (caller.with_criticality(Criticality::CriticalPlus), Criticality::CriticalPlus),
    ] {
        RegistryServiceClient::new(channel).register(register("passes-on")).await.unwrap();
        for fake in [&relay, &setup.fake] {
            let seen = fake.seen.lock().await.clone().unwrap();
            assert_eq!(seen.criticality, Some(expected));
        }
    }
}

/// Tells how much a call matters to a method that anyone may call.
#[derive(Clone, Default)]
struct Classes(Arc<Mutex<Option<Criticality>>>);

#[tonic::async_trait]
impl KeyService for Classes {
    async fn list_keys(
        &self,
        _: Request<ListKeysRequest>,
    ) -> Result<Response<ListKeysResponse>, Status> {
        *self.0.lock().await = call::criticality();
        Ok(Response::new(ListKeysResponse::default()))
    }
}

#[tokio::test]
async fn an_outsider_may_make_a_call_matter_less_but_not_more() {
    let mesh = Mesh::new().await;
    let classes = Classes::default();
    let routes = Routes::new().add(KeyServiceServer::new(classes.clone()));
    let _running = mesh.serve("keys", mesh::DESCRIPTORS, routes).await;
    let direct = mesh.channel("keys");
    let through_the_edge = mesh.app("edge").channel("keys").for_outsiders();

    for (channel, asked, expected) in [
        (&direct, "CRITICAL_PLUS", Criticality::Critical),
        (&direct, "SHEDDABLE", Criticality::Sheddable),
        // The edge sends on nothing of it.
        (&through_the_edge, "CRITICAL_PLUS", Criticality::Critical),
        (&through_the_edge, "SHEDDABLE", Criticality::Critical),
    ] {
        let mut request = Request::new(ListKeysRequest {});
        request.metadata_mut().insert("titan-criticality", asked.parse().unwrap());
        KeyServiceClient::new(channel.clone()).list_keys(request).await.unwrap();
        assert_eq!(*classes.0.lock().await, Some(expected), "{asked}");
    }
}

#[tokio::test]
async fn an_idempotent_call_is_repeated_when_the_server_is_unavailable() {
    let mut setup = setup().await;
    setup.client.register(register("unavailable-once")).await.unwrap();
    assert_eq!(setup.fake.calls.load(SeqCst), 2);
}

#[tokio::test]
async fn a_stream_is_cancelled_when_its_reader_goes_away() {
    let mut setup = setup().await;
    let mut views = setup.client.watch(WatchRequest::default()).await.unwrap().into_inner();
    views.next().await.unwrap().unwrap();
    drop(views);
    setup.fake.cancelled.notified().await;
}

#[tokio::test]
async fn an_unknown_method_is_unimplemented() {
    let setup = setup().await;
    let mut keys = KeyServiceClient::new(setup.mesh.app("caller").channel("fake"));
    let status = keys.list_keys(ListKeysRequest {}).await.unwrap_err();
    assert_eq!(status.code(), Code::Unimplemented);
}

#[tokio::test]
async fn a_message_over_the_limit_is_refused_by_its_size_alone() {
    let mut setup = setup().await;
    let mut request = register("shop");
    request.instance.as_mut().unwrap().version = "x".repeat(5 << 20);
    let status = setup.client.register(request).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
}

#[tokio::test]
async fn a_large_message_within_the_limit_passes_flow_control() {
    let mut setup = setup().await;
    let mut request = register("shop");
    request.instance.as_mut().unwrap().labels =
        (0..30).map(|n| (n.to_string(), "x".repeat(100_000))).collect();
    setup.client.register(request).await.unwrap();
}

#[tokio::test]
async fn a_drain_lets_a_running_call_end_and_refuses_new_ones() {
    let mesh = Mesh::new().await;
    let fake = Fake::default();
    let routes = Routes::new().add(RegistryServiceServer::new(fake.clone()));
    let running = mesh.serve("fake", mesh::DESCRIPTORS, routes).await;
    let mut client = RegistryServiceClient::new(mesh.app("caller").channel("fake"));
    let mut slow = client.clone();
    let slow = tokio::spawn(async move { slow.register(register("waits")).await });
    fake.reached.notified().await;
    let stopping = tokio::spawn(running.stop());
    // New calls are refused while the old one runs on.
    loop {
        match client.register(register("shop")).await {
            Ok(_) => {}
            Err(status) => break assert_eq!(status.code(), Code::Unavailable),
        }
    }
    assert!(!stopping.is_finished(), "a call is still running");
    fake.go_on.notify_one();
    slow.await.unwrap().unwrap();
    stopping.await.unwrap();
}

#[tokio::test]
async fn a_subscription_ends_as_unavailable_when_the_process_drains() {
    let mesh = Mesh::new().await;
    let routes = Routes::new().add(RegistryServiceServer::new(Fake::default()));
    let running = mesh.serve("fake", mesh::DESCRIPTORS, routes).await;
    let mut client = RegistryServiceClient::new(mesh.app("caller").channel("fake"));
    let mut views = client.watch(WatchRequest::default()).await.unwrap().into_inner();
    views.next().await.unwrap().unwrap();
    running.stop().await;
    let status = loop {
        if let Err(status) = views.next().await.unwrap() {
            break status;
        }
    };
    assert_eq!(status.code(), Code::Unavailable);
}

#[tokio::test]
async fn a_call_without_an_instance_is_unavailable_within_its_deadline() {
    let mesh = Mesh::new().await;
    let mut client = RegistryServiceClient::new(mesh.app("caller").endpoint("127.0.0.1:1"));
    let mut request = Request::new(register("shop"));
    request.set_timeout(Duration::from_millis(50));
    let status = client.register(request).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
}
