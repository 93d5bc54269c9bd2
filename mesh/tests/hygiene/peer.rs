//! A service for peers that misbehave, and peers that do.

use std::{
    convert::Infallible,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use mesh::{
    RequestBody, Routes,
    testing::{Mesh, Running},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::Notify,
};
use tokio_stream::StreamExt as _;
use tonic::{Status, body::Body};

const CONTRACT: &str = r#"
    syntax = "proto3";
    package hygiene;
    import "titan/mesh/v1/options.proto";
    import "google/protobuf/wrappers.proto";
    service Peer {
      option (titan.mesh.v1.defaults) = {access: {public: true}};
      rpc Echo(google.protobuf.UInt32Value) returns (google.protobuf.UInt32Value);
      rpc Gate(google.protobuf.UInt32Value) returns (google.protobuf.UInt32Value);
      rpc Wait(google.protobuf.UInt32Value) returns (google.protobuf.UInt32Value);
      rpc Fail(google.protobuf.UInt32Value) returns (google.protobuf.UInt32Value);
      rpc Push(stream google.protobuf.UInt32Value) returns (google.protobuf.UInt32Value);
      rpc Pull(google.protobuf.UInt32Value) returns (stream google.protobuf.UInt32Value);
    }
"#;

/// The number 1 as a message behind its prefix.
pub(crate) const ONE: &[u8] = &[0, 0, 0, 0, 2, 8, 1];
/// What is pushed and pulled.
pub(crate) const MESSAGES: usize = 100_000;

pub(crate) fn descriptors() -> &'static [u8] {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("hygiene.proto"), CONTRACT).unwrap();
    let includes = [folder.path(), std::path::Path::new("../proto")];
    let mut compiler = protox::Compiler::new(includes).unwrap();
    compiler.include_imports(true).open_file("hygiene.proto").unwrap();
    compiler.encode_file_descriptor_set().leak()
}

/// What tests wait for and say.
#[derive(Clone, Default)]
pub(crate) struct Peer {
    /// A handler was reached.
    pub(crate) reached: Arc<Notify>,
    /// It may go on.
    pub(crate) go_on: Arc<Notify>,
    /// It was dropped before it answered.
    pub(crate) dropped: Arc<Notify>,
}

struct OnDrop(Arc<Notify>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

impl Peer {
    async fn answer(self, request: Request<RequestBody>) -> Response<Body> {
        let path = request.uri().path().to_owned();
        self.reached.notify_one();
        match path.rsplit('/').next().unwrap() {
            "Gate" => self.go_on.notified().await,
            "Wait" => {
                let _guard = OnDrop(self.dropped);
                std::future::pending::<()>().await;
            }
            "Fail" => return Status::internal("é".repeat(50_000)).into_http(),
            "Push" => {
                self.go_on.notified().await;
                let bytes = request.into_body().collect().await.unwrap().to_bytes();
                assert_eq!(bytes.len(), MESSAGES * ONE.len());
            }
            "Pull" => return messages(MESSAGES),
            _ => {}
        }
        messages(1)
    }
}

fn messages(count: usize) -> Response<Body> {
    let data = (0..count).map(|_| Frame::data(Bytes::from_static(ONE)));
    let ok = HeaderMap::from_iter([(Status::GRPC_STATUS, HeaderValue::from_static("0"))]);
    let frames = data.chain([Frame::trailers(ok)]).map(Ok::<_, Status>);
    let mut response = Response::new(Body::new(StreamBody::new(tokio_stream::iter(frames))));
    response.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
    response
}

impl tonic::server::NamedService for Peer {
    const NAME: &'static str = "hygiene.Peer";
}

impl tower::Service<Request<RequestBody>> for Peer {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<RequestBody>) -> Self::Future {
        let peer = self.clone();
        Box::pin(async move { Ok(peer.answer(request).await) })
    }
}

/// The service on a port of its own.
pub(crate) async fn serve(mesh: &Mesh, settings: &[(&str, &str)]) -> (Peer, Running) {
    let peer = Peer::default();
    let app = mesh.app_with("peer", settings);
    let routes = Routes::new().add(peer.clone());
    let running = mesh.serve_app(&app, descriptors(), routes).await;
    (peer, running)
}

/// A client on the h2 crate, and the task that drives it.
pub(crate) struct Client {
    pub(crate) send: SendRequest<Bytes>,
    pub(crate) pings: h2::PingPong,
    pub(crate) driver: tokio::task::JoinHandle<Result<(), h2::Error>>,
}

pub(crate) async fn client(address: SocketAddr) -> Client {
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (send, mut connection) = h2::client::Builder::new()
        // As gRPC's own clients have it.
        .max_header_list_size(16 << 10)
        .handshake(stream)
        .await
        .unwrap();
    let pings = connection.ping_pong().unwrap();
    Client { send, pings, driver: tokio::spawn(connection) }
}

pub(crate) fn request(method: &str) -> Request<()> {
    Request::post(format!("http://peer/hygiene.Peer/{method}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(())
        .unwrap()
}

impl Client {
    /// Sends a whole request.
    pub(crate) async fn start(
        &mut self,
        request: Request<()>,
    ) -> Result<ResponseFuture, h2::Error> {
        let mut send = self.send.clone().ready().await?;
        let (response, mut body) = send.send_request(request, false)?;
        body.send_data(Bytes::from_static(ONE), true)?;
        Ok(response)
    }

    /// The code and message of a call.
    pub(crate) async fn call(&mut self, method: &str) -> Result<Status, h2::Error> {
        let response = self.start(request(method)).await?.await?;
        status_of(response).await
    }
}

/// Reads an answer to its end.
pub(crate) async fn status_of(response: Response<h2::RecvStream>) -> Result<Status, h2::Error> {
    let (head, mut body) = response.into_parts();
    if let Some(status) = Status::from_header_map(&head.headers) {
        return Ok(status);
    }
    while let Some(data) = body.data().await {
        let _ = body.flow_control().release_capacity(data?.len());
    }
    let trailers = body.trailers().await?.unwrap_or_default();
    Ok(Status::from_header_map(&trailers).unwrap_or_else(|| Status::unknown("none came")))
}

/// A client that writes frames itself.
pub(crate) struct Raw {
    pub(crate) stream: TcpStream,
}

#[derive(Debug)]
pub(crate) struct RawFrame {
    pub(crate) kind: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

pub(crate) mod kind {
    pub(crate) const HEADERS: u8 = 1;
    pub(crate) const RST_STREAM: u8 = 3;
    pub(crate) const SETTINGS: u8 = 4;
    pub(crate) const PING: u8 = 6;
    pub(crate) const GOAWAY: u8 = 7;
    pub(crate) const CONTINUATION: u8 = 9;
}

pub(crate) const ENHANCE_YOUR_CALM: u32 = 11;
pub(crate) const REFUSED_STREAM: u32 = 7;
pub(crate) const END_HEADERS: u8 = 4;

pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags];
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// A header block without compression.
pub(crate) fn block(method: &str) -> Vec<u8> {
    let path = format!("/hygiene.Peer/{method}");
    let mut block = Vec::new();
    for (name, value) in [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", &path),
        (":authority", "peer"),
        ("content-type", "application/grpc"),
    ] {
        block.push(0);
        for text in [name, value] {
            block.push(u8::try_from(text.len()).unwrap());
            block.extend(text.as_bytes());
        }
    }
    block
}

impl Raw {
    /// Says hello and no more.
    pub(crate) async fn open(address: SocketAddr) -> Self {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
        stream.write_all(&frame(kind::SETTINGS, 0, 0, &[])).await.unwrap();
        Self { stream }
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        // An error means that the server has had enough, which reading tells.
        let _ = self.stream.write_all(bytes).await;
    }

    /// The next frame; `None` at the end of the connection.
    pub(crate) async fn next(&mut self) -> Option<RawFrame> {
        let mut head = [0; 9];
        self.stream.read_exact(&mut head).await.ok()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        self.stream.read_exact(&mut payload).await.ok()?;
        let stream = u32::from_be_bytes(head[5..].try_into().unwrap());
        Some(RawFrame { kind: head[3], stream, payload })
    }

    /// The next frame of a kind.
    pub(crate) async fn find(&mut self, kind: u8) -> Option<RawFrame> {
        loop {
            let frame = self.next().await?;
            if frame.kind == kind {
                return Some(frame);
            }
        }
    }

    /// Reason and text of the GOAWAY that ends the connection.
    pub(crate) async fn goaway(&mut self) -> Option<(u32, String)> {
        let frame = self.find(kind::GOAWAY).await?;
        let reason = u32::from_be_bytes(frame.payload[4..8].try_into().unwrap());
        Some((reason, String::from_utf8(frame.payload[8..].to_vec()).unwrap()))
    }

    /// Reads to the end of the connection.
    pub(crate) async fn end(&mut self) {
        while self.next().await.is_some() {}
    }
}

/// Messages in the answer to a streamed call.
pub(crate) async fn count(mut body: tonic::Streaming<u32>) -> Result<usize, Status> {
    let mut count = 0;
    while let Some(one) = body.next().await {
        assert_eq!(one?, 1);
        count += 1;
    }
    Ok(count)
}
