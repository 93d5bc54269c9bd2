//! Compression through the whole mesh: who asks for it, who unpacks, and what
//! neither caller nor handler sees of it.
#![allow(clippy::unwrap_used)]

use std::{
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use http::HeaderMap;
use mesh::{
    Channel, RequestBody, ResponseBody, Routes,
    compression::{Encoding, Pack},
    proto::{
        JsonWebKey, ListKeysRequest, ListKeysResponse, RegisterRequest,
        key_service_client::KeyServiceClient,
        key_service_server::{KeyService, KeyServiceServer},
        registry_service_client::RegistryServiceClient,
    },
    testing::{Mesh, Running},
};
use tonic::{Code, Request, Response, Status, body::Body};

/// Answers with many keys, packed as a test asks in the metadata.
struct Keys;

#[tonic::async_trait]
impl KeyService for Keys {
    async fn list_keys(
        &self,
        request: Request<ListKeysRequest>,
    ) -> Result<Response<ListKeysResponse>, Status> {
        let key = JsonWebKey { kid: "a key".repeat(100), ..JsonWebKey::default() };
        let mut response = Response::new(ListKeysResponse { keys: vec![key; 100] });
        if request.metadata().contains_key("pack") {
            response.extensions_mut().insert(Pack::all());
        }
        Ok(response)
    }
}

/// A channel that notes headers of answers and flags of their messages.
#[derive(Clone)]
struct Watched {
    channel: Channel,
    headers: Arc<Mutex<HeaderMap>>,
    packed: Arc<Mutex<Vec<bool>>>,
}

impl tower::Service<http::Request<Body>> for Watched {
    type Response = http::Response<ResponseBody>;
    type Error = Status;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Status>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Status>> {
        tower::Service::poll_ready(&mut self.channel, cx)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let (headers, packed) = (self.headers.clone(), self.packed.clone());
        let response = tower::Service::call(&mut self.channel, request);
        Box::pin(async move {
            let mut response = response.await?;
            *headers.lock().unwrap() = response.headers().clone();
            response.body_mut().watch_packing(move |flag| packed.lock().unwrap().push(flag));
            Ok(response)
        })
    }
}

/// A running service, and a channel that watches how it answers.
async fn serve(settings: &[(&str, &str)]) -> (Watched, Running) {
    let mesh = Mesh::new().await;
    let app = mesh.app_with("keys", settings);
    let routes = Routes::new().add(KeyServiceServer::new(Keys));
    let running = mesh.serve_app(&app, mesh::DESCRIPTORS, routes).await;
    let (headers, packed) = Default::default();
    (Watched { channel: mesh.channel("keys"), headers, packed }, running)
}

async fn list(watched: &Watched, metadata: &[(&'static str, &str)]) -> Result<usize, Status> {
    let mut request = Request::new(ListKeysRequest {});
    for (name, value) in metadata {
        request.metadata_mut().insert(*name, value.parse().unwrap());
    }
    let keys = KeyServiceClient::new(watched.clone()).list_keys(request).await?;
    Ok(keys.into_inner().keys.len())
}

#[tokio::test]
async fn an_answer_is_packed_when_its_handler_asks_and_unpacked_for_the_caller() {
    let (watched, _running) = serve(&[]).await;
    assert_eq!(list(&watched, &[]).await.unwrap(), 100);
    assert_eq!(list(&watched, &[("pack", "1")]).await.unwrap(), 100);
    assert_eq!(*watched.packed.lock().unwrap(), [false, true]);
    let headers = watched.headers.lock().unwrap();
    assert!(!headers.contains_key("grpc-encoding"), "the caller's codec would look for it");
}

#[tokio::test]
async fn an_operator_can_have_large_answers_packed() {
    for (compress_from, packed) in [("1000", true), ("1000000", false)] {
        let (watched, _running) = serve(&[("compress_from", compress_from)]).await;
        assert_eq!(list(&watched, &[]).await.unwrap(), 100);
        assert_eq!(*watched.packed.lock().unwrap(), [packed], "{compress_from}");
    }
}

#[tokio::test]
async fn a_caller_that_makes_its_own_offer_gets_what_it_asked_for() {
    let (watched, _running) = serve(&[]).await;
    let asked = [("pack", "1"), ("grpc-accept-encoding", "gzip")];
    // This caller's codec knows no compression, and says what it was sent.
    let status = list(&watched, &asked).await.unwrap_err();
    assert_eq!(status.code(), Code::Unimplemented);
    assert_eq!(watched.headers.lock().unwrap()["grpc-encoding"], "gzip");
    let nothing = [("pack", "1"), ("grpc-accept-encoding", "identity")];
    assert_eq!(list(&watched, &nothing).await.unwrap(), 100);
    assert!(!watched.headers.lock().unwrap().contains_key("grpc-encoding"));
}

#[tokio::test]
async fn an_encoding_that_nobody_knows_is_refused_with_those_that_are_known() {
    let (watched, _running) = serve(&[]).await;
    let status = list(&watched, &[("grpc-encoding", "br")]).await.unwrap_err();
    assert_eq!(status.code(), Code::Unimplemented);
    assert_eq!(status.metadata().get("grpc-accept-encoding").unwrap(), "zstd,gzip,identity");
}

#[derive(Clone, Default)]
struct Flags(Arc<Mutex<Vec<bool>>>);

/// Notes how the messages of a request came, and refuses it.
impl tower::Service<http::Request<RequestBody>> for Flags {
    type Response = http::Response<Body>;
    type Error = std::convert::Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: http::Request<RequestBody>) -> Self::Future {
        let flags = self.0.clone();
        request.body_mut().watch_packing(move |packed| flags.lock().unwrap().push(packed));
        Box::pin(async move {
            let read = http_body_util::BodyExt::collect(request.into_body()).await;
            let status = read.err().unwrap_or(Status::aborted("all read"));
            Ok(status.into_http())
        })
    }
}

impl tonic::server::NamedService for Flags {
    const NAME: &'static str = "titan.mesh.v1.RegistryService";
}

#[tokio::test]
async fn a_request_is_packed_when_its_caller_asks_and_checked_unpacked() {
    let mesh = Mesh::new().await;
    let flags = Flags::default();
    let routes = Routes::new().add(flags.clone());
    let _running = mesh.serve("registry", mesh::DESCRIPTORS, routes).await;
    let mut client = RegistryServiceClient::new(mesh.app("caller").channel("registry"));

    let instance = mesh::proto::Instance {
        id: "1".to_owned(),
        app: "shop".to_owned(),
        address: "127.0.0.1:1".to_owned(),
        version: "1".repeat(60),
        ..mesh::proto::Instance::default()
    };
    let invalid = mesh::proto::Instance { app: "No Name ".repeat(20), ..instance.clone() };
    let packs = [None, Some(Pack::all()), Some(Pack::all().with(Encoding::Zstd))];
    for (instance, code) in [(instance, Code::Aborted), (invalid, Code::InvalidArgument)] {
        for pack in packs.clone() {
            let mut request = Request::new(RegisterRequest { instance: Some(instance.clone()) });
            if let Some(pack) = pack {
                request.extensions_mut().insert(pack);
            }
            let status = client.register(request).await.unwrap_err();
            assert_eq!(status.code(), code, "{status:?}");
        }
    }
    assert_eq!(*flags.0.lock().unwrap(), [false, true, true, false, true, true]);
}
