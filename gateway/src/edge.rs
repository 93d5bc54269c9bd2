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
mod stall;
mod upload;
mod upstream;
mod validator;

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

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
    async fn handle(&self, request: Request<Incoming>, turn: Turn) -> Response<Logged> {
        let (snapshot, client) = (self.live.get(), turn.client().clone());
        let exchange = Exchange::begin(snapshot, request.headers(), client, self.trace_ratio);
        let entry = log::Entry::of(&request);
        let trace = exchange.traceparent.to_str().ok();
        // Boxed, since what is around it moves it, hyper last of all.
        let serve = mesh::call::caused_by(trace, Box::pin(self.dispatch(&exchange, request)));
        let served = AssertUnwindSafe(serve).catch_unwind().await;
        let mut response = served.unwrap_or_else(|_| {
            let failure = Failure::new(Code::Internal, "INTERNAL", "internal error");
            refuse(&exchange, &failure)
        });
        self.finish(&exchange, &mut response);
        log::logged(exchange, entry, turn, response)
    }

    async fn dispatch(&self, exchange: &Exchange, request: Request<Incoming>) -> Response<Sent> {
        if grpc::is_call(request.headers()) {
            return Box::pin(self.grpc(exchange, request)).await.map(Sent::Stream);
        }
        let page = self.page(exchange, request.method(), request.uri().path());
        let served = match page {
            Some(page) => page,
            None => self.rest(exchange, request).await,
        };
        served.unwrap_or_else(|failure| refuse(exchange, &failure))
    }

    /// Adds what every response carries.
    fn finish(&self, exchange: &Exchange, response: &mut Response<Sent>) {
        let headers = response.headers_mut();
        headers.insert(exchange::REQUEST_ID, exchange.id.clone());
        headers.insert(exchange::TRACEPARENT, exchange.traceparent.clone());
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        self.cors.decorate(exchange.origin.as_ref(), headers);
    }
}

fn refuse(exchange: &Exchange, failure: &Failure) -> Response<Sent> {
    let context = Context {
        snapshot: &exchange.snapshot,
        has_token: exchange.has_token,
        wants_problem: exchange.wants_problem,
        request_id: exchange.id.to_str().unwrap_or_default(),
    };
    failure.respond(context).map(Sent::Whole)
}
