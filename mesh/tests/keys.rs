//! Calls with a key, over real sockets: which instance they go to, and where they
//! go when it is lost.
#![allow(clippy::unwrap_used)]

use std::{
    collections::HashMap,
    convert::Infallible,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    task::{Context, Poll},
    time::Duration,
};

use mesh::{
    Channel, RequestBody, Routes,
    compression::Pack,
    testing::{Mesh, Running},
};
use tonic::{Code, Request, Status, body::Body};

const CONTRACT: &str = r#"
    syntax = "proto3";
    package carts;
    import "titan/mesh/v1/options.proto";
    message Cart { string id = 1; }
    service CartService {
      option (titan.mesh.v1.defaults) = {deadline: {seconds: 5} access: {public: true}};
      rpc Read(Cart) returns (Cart) {
        option (titan.mesh.v1.policy) = {hash_key: {field: "id"}};
      }
      rpc Browse(Cart) returns (Cart) {
        option (titan.mesh.v1.policy) = {hash_key: {header: "x-session"}};
      }
    }
"#;
const READ: &str = "/carts.CartService/Read";
const BROWSE: &str = "/carts.CartService/Browse";

fn descriptors() -> &'static [u8] {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("carts.proto"), CONTRACT).unwrap();
    let includes = [folder.path(), std::path::Path::new("../proto")];
    let mut compiler = protox::Compiler::new(includes).unwrap();
    compiler.include_imports(true).open_file("carts.proto").unwrap();
    compiler.encode_file_descriptor_set().leak()
}

/// Counts calls, and answers ABORTED.
#[derive(Clone, Default)]
struct Carts(Arc<AtomicU32>);

impl tonic::server::NamedService for Carts {
    const NAME: &'static str = "carts.CartService";
}

impl tower::Service<http::Request<RequestBody>> for Carts {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: http::Request<RequestBody>) -> Self::Future {
        self.0.fetch_add(1, SeqCst);
        Box::pin(async { Ok(Status::aborted("reached").into_http()) })
    }
}

/// Three instances, and a caller that is connected to all of them.
struct Setup {
    carts: Vec<Carts>,
    running: Vec<Option<Running>>,
    channel: Channel,
    page: Box<dyn Fn() -> String>,
}

impl Setup {
    async fn new() -> Self {
        let (mesh, contract) = (Mesh::new().await, descriptors());
        let (mut carts, mut running) = (Vec::new(), Vec::new());
        for _ in 0..3 {
            let cart = Carts::default();
            running
                .push(Some(mesh.serve("carts", contract, Routes::new().add(cart.clone())).await));
            carts.push(cart);
        }
        let app = mesh.app("caller");
        app.know(contract).unwrap();
        let channel = app.channel("carts");
        let setup = Self { carts, running, channel, page: Box::new(move || app.endpoints()) };
        setup.connected(3).await;
        setup
    }

    async fn connected(&self, instances: usize) {
        while self.channel.ready().len() != instances {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Which instance a request goes to.
    async fn owner(&self, path: &'static str, request: Request<String>) -> usize {
        let calls = || self.carts.iter().map(|cart| cart.0.load(SeqCst)).collect::<Vec<_>>();
        let before = calls();
        let mut client = tonic::client::Grpc::new(self.channel.clone());
        let codec = tonic_prost::ProstCodec::<String, ()>::default();
        let path = http::uri::PathAndQuery::from_static(path);
        let status = client.unary(request, path, codec).await.unwrap_err();
        assert_eq!(status.code(), Code::Aborted, "{status:?}");
        let after = calls();
        (0..3).find(|at| after[*at] > before[*at]).unwrap()
    }

    async fn read(&self, id: u32) -> usize {
        self.owner(READ, Request::new(format!("cart-{id}"))).await
    }
}

#[tokio::test]
async fn calls_with_the_same_field_go_to_the_same_instance_packed_or_not() {
    let setup = Setup::new().await;
    let mut owners = HashMap::new();
    for id in 0..30 {
        let owner = setup.read(id).await;
        *owners.entry(owner).or_insert(0) += 1;
        for _ in 0..3 {
            assert_eq!(setup.read(id).await, owner);
        }
        let text = format!("cart-{id}{}", "-".repeat(1_000));
        let owner = setup.owner(READ, Request::new(text.clone())).await;
        let mut packed = Request::new(text);
        packed.extensions_mut().insert(Pack::all());
        assert_eq!(setup.owner(READ, packed).await, owner);
    }
    assert_eq!(owners.len(), 3, "and other keys to others: {owners:?}");
    assert!((setup.page)().contains("\"calls_with_keys\": \"ring_hash\""));
}

#[tokio::test]
async fn calls_with_the_same_header_go_to_the_same_instance() {
    let setup = Setup::new().await;
    let call = |session: Option<u32>| {
        let mut request = Request::new("any".to_owned());
        if let Some(session) = session {
            request.metadata_mut().insert("x-session", session.to_string().parse().unwrap());
        }
        setup.owner(BROWSE, request)
    };
    for session in 0..30 {
        assert_eq!(call(Some(session)).await, call(Some(session)).await);
    }
    let mut without = HashMap::new();
    for _ in 0..100 {
        *without.entry(call(None).await).or_insert(0) += 1;
    }
    assert_eq!(without.len(), 3, "without a key they are balanced: {without:?}");
}

#[tokio::test]
async fn when_an_instance_is_lost_only_its_keys_move() {
    let mut setup = Setup::new().await;
    let mut owners = Vec::new();
    for id in 0..60 {
        owners.push(setup.read(id).await);
    }
    setup.running[0].take().unwrap().kill().await;
    setup.connected(2).await;
    for (id, owner) in (0..60).zip(owners) {
        let now = setup.read(id).await;
        assert!(now == owner || owner == 0, "cart-{id} moved from {owner} to {now}");
        assert_ne!(now, 0);
    }
}
