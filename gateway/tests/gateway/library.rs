//! A library that does what a test asks, in a mesh of its own behind an edge.

use std::{
    convert::Infallible,
    io::Write as _,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex, OnceLock},
    task::{Context, Poll},
};

use bytes::Bytes;
use gateway::{Config, Gateway, schema::Snapshot};
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use mesh::{
    RequestBody, Routes, Settings,
    testing::{Mesh, Running},
};
use prost::Message as _;
use prost_reflect::DynamicMessage;
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tonic::{Code, Status, body::Body, server::NamedService};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::{
    contracts::{LIBRARY, library, snapshot},
    films::{self, Films},
    http1::{self, Answer},
};

/// The service. What it answers to GetBook depends on the book's id.
#[derive(Clone, Debug, Default)]
pub(crate) struct Library {
    /// Metadata of the last call.
    pub(crate) seen: Arc<Mutex<HeaderMap>>,
    /// The last request message, as JSON.
    pub(crate) asked: Arc<Mutex<Value>>,
    pub(crate) films: Films,
}

fn known() -> &'static Snapshot {
    static SNAPSHOT: OnceLock<Snapshot> = OnceLock::new();
    SNAPSHOT.get_or_init(snapshot)
}

impl NamedService for Library {
    const NAME: &'static str = LIBRARY;
}

impl tower::Service<Request<RequestBody>> for Library {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<RequestBody>) -> Self::Future {
        let library = self.clone();
        Box::pin(async move { Ok(library.serve(request).await) })
    }
}

impl Library {
    async fn serve(self, request: Request<RequestBody>) -> Response<Body> {
        *self.seen.lock().unwrap() = request.headers().clone();
        let path = request.uri().path().to_owned();
        let method = path.rsplit('/').next().unwrap().to_owned();
        match method.as_str() {
            "Chat" => return echo(request.into_body()),
            "UploadFilm" => return self.films.store(request.into_body()).await,
            "CutFilm" => return films::cut(request.into_body()),
            _ => {}
        }
        let Some(rpc) = known().rpc(&path) else {
            return Status::unimplemented("another version").into_http();
        };
        // The mesh refuses what breaks the contract's rules here, as it does for
        // handlers that tonic generates.
        let body = match request.into_body().collect().await {
            Ok(body) => body.to_bytes(),
            Err(status) => return status.into_http(),
        };
        let asked = DynamicMessage::decode(rpc.method.input(), &body[5..]).unwrap();
        let asked = serde_json::to_value(&asked).unwrap();
        *self.asked.lock().unwrap() = asked.clone();
        if method == "DownloadFilm" {
            return self.films.play(asked["name"].as_str().unwrap());
        }
        match answer(&method, &asked).await {
            Ok(books) => {
                let books = books.into_iter().map(|book| {
                    DynamicMessage::deserialize(rpc.method.output(), book).unwrap().encode_to_vec()
                });
                let is_packed =
                    asked["name"].as_str().is_some_and(|name| name.ends_with("/packed"));
                if is_packed { packed(books.collect()) } else { messages(books.collect()) }
            }
            Err(status) => status.into_http(),
        }
    }
}

async fn answer(method: &str, asked: &Value) -> Result<Vec<Value>, Status> {
    let name = asked["name"].as_str().unwrap_or_default();
    let id = name.rsplit('/').next().unwrap_or_default();
    match (method, id) {
        ("GetBook", "missing") => {
            let details = ErrorDetails::with_error_info("BOOK_MISSING", "library", []);
            Err(Status::with_error_details(Code::NotFound, "no ✓ book", details))
        }
        ("GetBook", "busy") => {
            let mut details = ErrorDetails::new();
            details.set_retry_info(Some(std::time::Duration::from_secs(3)));
            Err(Status::with_error_details(Code::ResourceExhausted, "busy", details))
        }
        ("ShowBook", "missing") => Err(Status::not_found("no such book")),
        ("ShowBook", "own") => Ok(vec![json!({"name": name})]),
        ("UpdateBook", _) if asked["book"]["etag"] == "stale" => {
            Err(Status::aborted("somebody else was quicker"))
        }
        ("GetBook", "versioned") => Ok(vec![json!({"name": name, "etag": "v7"})]),
        ("GetBook", "large") => Ok(vec![json!({"name": name, "title": "T".repeat(10_000)})]),
        ("GetBook" | "LendBook", "slow") => std::future::pending().await,
        ("GetBook", "broken") => panic!("on purpose"),
        ("GetBook" | "LinkBook" | "ShowBook", _) => {
            Ok(vec![json!({"name": name, "title": "T", "pageCount": "9007199254740993"})])
        }
        ("WatchReturns", _) => Ok((0..3).map(|at| json!({"title": at.to_string()})).collect()),
        ("CreateBook" | "UpdateBook", _) => Ok(vec![asked["book"].clone()]),
        ("ListBooks", _) => Ok(vec![json!({"books": [{"title": "a"}, {"title": "b"}]})]),
        ("GetScan", _) => Ok(vec![json!({"contentType": "image/png", "data": "AAEC"})]),
        _ => Ok(vec![json!({})]),
    }
}

pub(crate) fn grpc(
    frames: impl futures_util::Stream<Item = Result<Frame<Bytes>, Status>> + Send + 'static,
) -> Response<Body> {
    let mut response = Response::new(Body::new(StreamBody::new(frames)));
    let headers = response.headers_mut();
    headers.insert("content-type", HeaderValue::from_static("application/grpc"));
    headers.insert("x-shelf", HeaderValue::from_static("7"));
    headers.insert("titan-secret", HeaderValue::from_static("7"));
    response
}

pub(crate) fn done() -> Frame<Bytes> {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    trailers.insert("x-trailer", HeaderValue::from_static("end"));
    Frame::trailers(trailers)
}

/// Puts a message into a frame.
pub(crate) fn framed(message: &[u8]) -> Bytes {
    let mut frame = vec![0];
    frame.extend_from_slice(&u32::try_from(message.len()).unwrap().to_be_bytes());
    frame.extend_from_slice(message);
    frame.into()
}

pub(crate) fn messages(messages: Vec<Vec<u8>>) -> Response<Body> {
    let frames = messages.into_iter().map(|message| Frame::data(framed(&message)));
    let frames: Vec<_> = frames.chain([done()]).map(Ok).collect();
    grpc(futures_util::stream::iter(frames))
}

/// As [`messages`], each packed with gzip.
fn packed(messages: Vec<Vec<u8>>) -> Response<Body> {
    let frames = messages.into_iter().map(|message| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(&message).unwrap();
        let mut frame = framed(&encoder.finish().unwrap()).to_vec();
        frame[0] = 1;
        Frame::data(frame.into())
    });
    let frames: Vec<_> = frames.chain([done()]).map(Ok).collect();
    let mut response = grpc(futures_util::stream::iter(frames));
    response.headers_mut().insert("grpc-encoding", HeaderValue::from_static("gzip"));
    response
}

/// Sends every frame back as it comes.
fn echo(body: RequestBody) -> Response<Body> {
    use futures_util::StreamExt as _;
    let frames =
        http_body_util::BodyStream::new(body).chain(futures_util::stream::iter([Ok(done())]));
    grpc(frames)
}

/// An edge with the library behind it.
pub(crate) struct Setup {
    pub(crate) mesh: Mesh,
    pub(crate) library: Library,
    pub(crate) address: SocketAddr,
    pub(crate) edge: Edge,
    pub(crate) running: Running,
}

/// A running edge; it is cut off when this is dropped.
pub(crate) struct Edge {
    pub(crate) stop: Option<oneshot::Sender<()>>,
    pub(crate) task: tokio::task::JoinHandle<()>,
    pub(crate) readiness: gateway::Readiness,
}

impl Drop for Edge {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Starts an edge of a mesh with these settings.
pub(crate) fn start(mesh: &Mesh, pairs: &[(&'static str, &str)]) -> (SocketAddr, Edge) {
    let mut all = vec![("listen", "127.0.0.1:0")];
    all.extend_from_slice(pairs);
    let config = Config::read(&mut Settings::from_pairs("gateway", &all));
    let own = [
        "cors_origins",
        "max_body_bytes",
        "applications",
        "drain_timeout",
        "listen",
        "idle_timeout",
    ];
    let others: Vec<_> = pairs.iter().copied().filter(|(key, _)| !own.contains(key)).collect();
    let gateway = Gateway::bind(mesh.app_with("gateway", &others), config).unwrap();
    let (address, readiness) = (gateway.address(), gateway.readiness());
    let (stop, stopped) = oneshot::channel::<()>();
    let task = tokio::spawn(gateway.until(async { _ = stopped.await }));
    (address, Edge { stop: Some(stop), task, readiness })
}

/// Waits until something holds; it is looked at whenever others had their turn.
pub(crate) async fn until(what: &str, holds: impl Fn() -> bool) {
    let wait = async {
        while !holds() {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(10), wait).await.expect(what);
}

impl Setup {
    pub(crate) async fn new() -> Setup {
        Setup::with(&[]).await
    }

    pub(crate) async fn with(pairs: &[(&'static str, &str)]) -> Setup {
        let mesh = Mesh::new().await;
        let library = Library::default();
        let routes = Routes::new().add(library.clone());
        let running = mesh.serve("library", crate::contracts::library(), routes).await;
        let mut all = vec![("applications", "library")];
        all.extend_from_slice(pairs);
        let (address, edge) = start(&mesh, &all);
        until("the contracts load", || edge.readiness.is_ready()).await;
        Setup { mesh, library, address, edge, running }
    }

    /// A bearer token with all that the library asks for.
    pub(crate) fn token(&self) -> String {
        format!("Bearer {}", self.mesh.token("u1", &["librarian"]))
    }

    /// Sends a request with a token and, when there is a body, as JSON.
    pub(crate) async fn send(&self, method: &str, target: &str, body: &str) -> Answer {
        let token = self.token();
        let mut headers = vec![("authorization", token.as_str())];
        if !body.is_empty() {
            headers.push(("content-type", "application/json"));
        }
        http1::send(self.address, method, target, &headers, body.as_bytes()).await
    }

    pub(crate) async fn get(&self, target: &str) -> Answer {
        self.send("GET", target, "").await
    }

    /// Sends a request with these headers alone.
    pub(crate) async fn bare(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        http1::send(self.address, method, target, headers, body.as_bytes()).await
    }

    pub(crate) fn seen(&self, name: &str) -> Option<String> {
        let seen = self.library.seen.lock().unwrap();
        seen.get(name).map(|value| value.to_str().unwrap().to_owned())
    }
}

/// The descriptor set, for the mesh.
pub(crate) fn descriptors() -> &'static [u8] {
    library()
}
