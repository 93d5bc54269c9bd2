//! The service under test: it books entries, and remembers what it has done even
//! when its process is killed. `Add` must not be repeated, `Put` may.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    sync::{Arc, LazyLock, Mutex},
    task::{Context, Poll},
    time::Duration,
};

use futures_util::future::BoxFuture;
use http::uri::PathAndQuery;
use mesh::{Channel, RequestBody, Routes, call};
use tokio::time::Instant;
use tonic::{Request, Response, Status, body::Body, server::UnaryService};
use tonic_prost::ProstCodec;

pub(crate) const ADD: &str = "/titan.test.v1.LedgerService/Add";
pub(crate) const PUT: &str = "/titan.test.v1.LedgerService/Put";
/// Attempts that the contract allows `Put`.
pub(crate) const MOST_ATTEMPTS: u32 = 4;

const CONTRACT: &str = r#"
    syntax = "proto3";
    package titan.test.v1;
    import "titan/mesh/v1/options.proto";
    message Entry { uint64 id = 1; bytes text = 2; }
    service LedgerService {
      option (titan.mesh.v1.defaults) = {deadline: {seconds: 2}, access: {public: true}};
      rpc Add(Entry) returns (Entry);
      rpc Put(Entry) returns (Entry) {
        option idempotency_level = IDEMPOTENT;
        option (titan.mesh.v1.policy) = {
          retry: {max_attempts: 4, initial_backoff: {nanos: 10000000}, max_backoff: {nanos: 100000000}}
        };
      }
    }
"#;

pub(crate) fn contract() -> &'static [u8] {
    static COMPILED: LazyLock<Vec<u8>> = LazyLock::new(|| {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ledger.proto"), CONTRACT).unwrap();
        let includes = [folder.path(), std::path::Path::new("../proto")];
        let mut compiler = protox::Compiler::new(includes).unwrap();
        compiler.include_imports(true).open_file("ledger.proto").unwrap();
        compiler.encode_file_descriptor_set()
    });
    &COMPILED
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Entry {
    #[prost(uint64, tag = "1")]
    pub(crate) id: u64,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) text: Vec<u8>,
}

impl Entry {
    pub(crate) fn of(id: u64) -> Self {
        Self { id, text: Vec::new() }
    }
}

/// Calls the ledger behind a channel.
pub(crate) async fn book(
    channel: &Channel,
    method: &'static str,
    request: impl tonic::IntoRequest<Entry>,
) -> Result<Entry, Status> {
    let mut grpc = tonic::client::Grpc::new(channel.clone());
    grpc.ready().await?;
    let path = PathAndQuery::from_static(method);
    let answer = grpc.unary(request.into_request(), path, ProstCodec::default()).await?;
    let answer: Response<Entry> = answer;
    Ok(answer.into_inner())
}

/// A request that says how long it may take.
pub(crate) fn within(timeout: Duration, entry: Entry) -> Request<Entry> {
    let mut request = Request::new(entry);
    request.set_timeout(timeout);
    request
}

/// What a ledger has done.
#[derive(Debug, Default)]
pub(crate) struct Books {
    /// How often each entry was booked, by method and id.
    pub(crate) booked: BTreeMap<(String, u64), u32>,
    /// Entries whose handler has ended by itself.
    pub(crate) finished: u32,
    /// The latest moment at which a handler was at work, after its own deadline.
    pub(crate) latest: Duration,
    /// What was left of their deadlines when handlers began.
    pub(crate) left: Vec<Duration>,
}

#[derive(Clone, Default)]
pub(crate) struct Ledger {
    pub(crate) books: Arc<Mutex<Books>>,
    /// How long a booking takes.
    pub(crate) takes: Duration,
    /// Where entries are passed on to, by the method that they came by.
    pub(crate) next: Option<Channel>,
}

impl Ledger {
    pub(crate) fn routes(&self) -> Routes {
        Routes::new().add(self.clone())
    }

    pub(crate) fn booked(&self, method: &str, id: u64) -> u32 {
        self.books.lock().unwrap().booked.get(&(method.to_owned(), id)).copied().unwrap_or(0)
    }

    async fn book(self, method: &'static str, entry: Entry) -> Result<Response<Entry>, Status> {
        let begun = Instant::now();
        let deadline = call::deadline().unwrap();
        {
            let mut books = self.books.lock().unwrap();
            *books.booked.entry((method.to_owned(), entry.id)).or_default() += 1;
            books.left.push(deadline.saturating_duration_since(begun));
        }
        // Works in steps, each of which tells whether it was too late.
        while begun.elapsed() < self.takes {
            tokio::time::sleep(Duration::from_millis(1)).await;
            let late = Instant::now().saturating_duration_since(deadline);
            let mut books = self.books.lock().unwrap();
            books.latest = books.latest.max(late);
        }
        let answer = match &self.next {
            Some(next) => book(next, method, entry).await?,
            None => entry,
        };
        self.books.lock().unwrap().finished += 1;
        Ok(Response::new(answer))
    }
}

impl tonic::server::NamedService for Ledger {
    const NAME: &'static str = "titan.test.v1.LedgerService";
}

impl tower::Service<http::Request<RequestBody>> for Ledger {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<RequestBody>) -> Self::Future {
        let method = if request.uri().path() == ADD { ADD } else { PUT };
        let handler = Handler { ledger: self.clone(), method };
        Box::pin(async move {
            let mut grpc = tonic::server::Grpc::new(ProstCodec::default());
            Ok(grpc.unary(handler, request).await)
        })
    }
}

struct Handler {
    ledger: Ledger,
    method: &'static str,
}

impl UnaryService<Entry> for Handler {
    type Response = Entry;
    type Future = BoxFuture<'static, Result<Response<Entry>, Status>>;

    fn call(&mut self, request: Request<Entry>) -> Self::Future {
        Box::pin(self.ledger.clone().book(self.method, request.into_inner()))
    }
}
