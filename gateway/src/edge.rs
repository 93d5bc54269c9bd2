//! One port for everything that comes from outside: REST by the contracts' HTTP
//! rules, gRPC passed through, and the edge's own pages.

mod client;
mod coding;
mod cors;
mod deadline;
mod download;
mod exchange;
mod frame;
mod grpc;
mod headers;
mod health;
mod listen;
mod log;
mod messages;
mod pages;
mod range;
mod reflection;
mod rest;
mod sent;
mod spare;
mod stall;
mod upload;
mod upstream;
mod validator;

use std::{convert::Infallible, panic::AssertUnwindSafe, pin::pin, sync::Arc, time::Duration};

use futures_util::FutureExt as _;
use http::{HeaderValue, Request, Response, header};
use hyper::body::Incoming;
use mesh::{App, Workers};
use tokio::net::TcpListener;
use tonic::Code;
use tonic_health::pb::health_server::HealthServer;
use tonic_reflection::pb::{
    v1::server_reflection_server::ServerReflectionServer as V1,
    v1alpha::server_reflection_server::ServerReflectionServer as V1Alpha,
};

use self::{
    client::Turn, cors::Cors, exchange::Exchange, health::EdgeHealth, log::Logged,
    pages::Documents, reflection::EdgeReflection, sent::Sent, upstream::Upstream,
};
use crate::{
    config::Config,
    error::{Context, Failure},
    readiness::Readiness,
    schema::Live,
};

/// What the edge bounds.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    pub(crate) max_body_bytes: usize,
    pub(crate) max_connections: usize,
    pub(crate) max_streams: u32,
    pub(crate) drain_timeout: Duration,
    pub(crate) idle_timeout: Duration,
}

/// Everything that serving a request needs.
#[derive(Debug)]
pub(crate) struct Edge {
    live: Live,
    readiness: Readiness,
    upstream: Upstream,
    cors: Cors,
    limits: Limits,
    trace_ratio: f64,
    documents: Documents,
    health: HealthServer<EdgeHealth>,
    reflection: V1<EdgeReflection>,
    reflection_alpha: V1Alpha<EdgeReflection>,
}

impl Edge {
    pub(crate) fn new(app: App, config: &Config, live: Live, readiness: Readiness) -> Edge {
        Edge {
            upstream: Upstream::new(app),
            cors: Cors::new(&config.cors_origins),
            limits: config.limits(),
            trace_ratio: config.trace_ratio,
            documents: Documents::default(),
            health: health::server(live.clone(), readiness.clone()),
            reflection: reflection::v1::server(live.clone()),
            reflection_alpha: reflection::v1alpha::server(live.clone()),
            live,
            readiness,
        }
    }

    /// Serves on these workers until `stop` completes, then lets running requests
    /// end.
    pub(crate) async fn serve(
        self,
        workers: Workers,
        listener: TcpListener,
        stop: impl Future<Output = ()>,
    ) {
        listen::serve(Arc::new(self), workers, listener.into(), stop).await;
    }

    /// Serves one request; every failure becomes a response.
    #[expect(
        clippy::redundant_allocation,
        reason = "counted for each connection: one count of all workers would go from core to core"
    )]
    async fn handle(
        edge: Arc<Arc<Edge>>,
        request: Request<Incoming>,
        turn: Turn,
    ) -> Result<Response<Logged>, Infallible> {
        let (head, body) = request.into_parts();
        let exchange = Exchange::begin(edge.live.get(), turn, head, edge.trace_ratio);
        let served = AssertUnwindSafe(pin!(edge.dispatch(&exchange, body))).catch_unwind().await;
        let mut response = served.unwrap_or_else(|_| {
            let failure = Failure::new(Code::Internal, "INTERNAL", "internal error");
            refuse(&exchange, &failure)
        });
        edge.finish(&exchange, &mut response);
        Ok(log::logged(exchange, response))
    }

    async fn dispatch(&self, exchange: &Exchange, body: Incoming) -> Response<Sent> {
        if exchange.noted.grpc {
            return Box::pin(self.grpc(exchange, body)).await.map(Sent::Stream);
        }
        let served = match self.page(exchange) {
            Some(page) => page,
            None => match self.route(exchange) {
                Ok((route, captures)) => self.call(exchange, route, captures, body).await,
                Err(answer) => *answer,
            },
        };
        served.unwrap_or_else(|failure| refuse(exchange, &failure))
    }

    /// Adds what every response carries.
    fn finish(&self, exchange: &Exchange, response: &mut Response<Sent>) {
        let headers = response.headers_mut();
        headers.insert(exchange::REQUEST_ID, exchange.id());
        headers.insert(exchange::TRACEPARENT, exchange.trace.header());
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        self.cors.decorate(exchange.noted.origin.as_ref(), headers);
    }
}

fn refuse(exchange: &Exchange, failure: &Failure) -> Response<Sent> {
    let id = exchange.id();
    let context = Context {
        snapshot: &exchange.snapshot,
        has_token: exchange.noted.token,
        wants_problem: exchange.noted.wants_problem,
        request_id: id.to_str().unwrap_or_default(),
    };
    failure.respond(context).map(Sent::Whole)
}
