//! What arrived where, and how it ended: the attempts behind a call's outcome.

use std::{
    convert::Infallible,
    fmt,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Poll, ready},
    time::Duration,
};

use futures_util::future::BoxFuture;
use http::{HeaderMap, Request, Response};
use http_body::Frame;
use tokio::time::Instant;
use tonic::{Code, Status, body::Body, server::NamedService};

use crate::{channel::code_of, deadline, server::RequestBody};

/// One attempt of a call, as a server saw it.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// The place that the recorder was told: `shop`, `shop-2`.
    pub at: String,
    /// `/package.Service/Method`.
    pub method: String,
    /// 1 for the first attempt; from `grpc-previous-rpc-attempts`.
    pub attempt: u32,
    /// What was left of the deadline when the request was sent; from
    /// `grpc-timeout`.
    pub timeout: Option<Duration>,
    /// All headers.
    pub metadata: HeaderMap,
    /// When it arrived, on tokio's clock.
    pub time: Instant,
    /// How it ended; `None` while it is served.
    pub end: Option<End>,
}

/// How an attempt ended for its server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The handler answered with this code.
    Answered(Code),
    /// The caller went away, or the deadline passed, before the answer was whole.
    Cancelled,
    /// The server misbehaved as a [`Peer`](super::Peer) was asked to.
    Misbehaved,
}

impl Arrival {
    pub(super) fn of<B>(at: &str, request: &Request<B>) -> Self {
        let metadata = request.headers().clone();
        let previous = metadata.get("grpc-previous-rpc-attempts");
        let previous = previous.and_then(|value| value.to_str().ok()?.parse::<u32>().ok());
        Self {
            at: at.to_owned(),
            method: request.uri().path().to_owned(),
            attempt: previous.unwrap_or(0) + 1,
            timeout: deadline::parse(&metadata).ok().flatten(),
            metadata,
            time: Instant::now(),
            end: None,
        }
    }
}

/// Remembers every attempt that reached the services it was put around. Clones
/// remember together.
///
/// # Examples
/// ```
/// # use mesh::{Routes, testing::{End, Mesh, Recorder}};
/// # use mesh::proto::{registry_service_client::RegistryServiceClient, WatchRequest};
/// # use mesh::proto::{key_service_client::KeyServiceClient, key_service_server::*, *};
/// # #[derive(Clone)] struct Keys;
/// # #[tonic::async_trait] impl KeyService for Keys {
/// #     async fn list_keys(
/// #         &self,
/// #         _: tonic::Request<ListKeysRequest>,
/// #     ) -> Result<tonic::Response<ListKeysResponse>, tonic::Status> {
/// #         Ok(tonic::Response::new(ListKeysResponse::default()))
/// #     }
/// # }
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let mesh = Mesh::simulated(1).await;
/// let recorder = Recorder::new();
/// let routes = Routes::new().add(recorder.around("keys", KeyServiceServer::new(Keys)));
/// let _keys = mesh.serve("keys", mesh::DESCRIPTORS, routes).await;
/// let mut client = KeyServiceClient::new(mesh.app("caller").channel("keys"));
/// client.list_keys(ListKeysRequest {}).await.unwrap();
/// let [only] = recorder.arrivals().try_into().unwrap();
/// assert_eq!((only.attempt, only.end), (1, Some(End::Answered(tonic::Code::Ok))));
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Recorder {
    arrivals: Arc<Mutex<Vec<Arrival>>>,
}

impl Recorder {
    /// Has seen nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same service, whose calls are remembered as having arrived at `at`.
    pub fn around<S>(&self, at: &str, service: S) -> Recorded<S> {
        Recorded { service, at: at.to_owned(), recorder: self.clone() }
    }

    /// Everything that arrived, in order.
    #[must_use]
    pub fn arrivals(&self) -> Vec<Arrival> {
        self.locked().clone()
    }

    /// How many attempts arrived at a place.
    #[must_use]
    pub fn count(&self, at: &str) -> usize {
        self.locked().iter().filter(|arrival| arrival.at == at).count()
    }

    fn locked(&self) -> MutexGuard<'_, Vec<Arrival>> {
        self.arrivals.lock().expect("nothing panics while it is held")
    }

    pub(super) fn begin(&self, arrival: Arrival) -> Served {
        let mut arrivals = self.locked();
        arrivals.push(arrival);
        Served { recorder: self.clone(), index: arrivals.len() - 1, ended: false }
    }
}

/// An attempt that is being served: cancelled, unless another end is told before
/// this is dropped.
#[derive(Debug)]
pub(super) struct Served {
    recorder: Recorder,
    index: usize,
    ended: bool,
}

impl Served {
    pub(super) fn end(&mut self, end: End) {
        if !std::mem::replace(&mut self.ended, true) {
            self.recorder.locked()[self.index].end = Some(end);
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.end(End::Cancelled);
    }
}

/// A service whose calls are remembered; see [`Recorder::around`].
#[derive(Clone)]
pub struct Recorded<S> {
    service: S,
    at: String,
    recorder: Recorder,
}

impl<S> fmt::Debug for Recorded<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorded").field("at", &self.at).finish_non_exhaustive()
    }
}

impl<S: NamedService> NamedService for Recorded<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> tower::Service<Request<RequestBody>> for Recorded<S>
where
    S: tower::Service<Request<RequestBody>, Response = Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.service.poll_ready(cx)
    }

    fn call(&mut self, request: Request<RequestBody>) -> Self::Future {
        let mut served = self.recorder.begin(Arrival::of(&self.at, &request));
        let answer = self.service.call(request);
        Box::pin(async move {
            let response = answer.await?;
            if let Some(code) = code_of(response.headers()) {
                served.end(End::Answered(code));
            }
            Ok(response.map(|body| Body::new(RecordedBody { body, served })))
        })
    }
}

/// Sees the trailers of an answer.
struct RecordedBody {
    body: Body,
    served: Served,
}

impl http_body::Body for RecordedBody {
    type Data = bytes::Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<bytes::Bytes>, Status>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        match &frame {
            Some(Ok(frame)) => {
                if let Some(code) = frame.trailers_ref().and_then(code_of) {
                    self.served.end(End::Answered(code));
                }
            }
            Some(Err(status)) => self.served.end(End::Answered(status.code())),
            None => {}
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.body.size_hint()
    }
}
