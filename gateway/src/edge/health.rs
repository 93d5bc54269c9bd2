//! `grpc.health.v1` of the edge itself: serving when it is ready, and per exposed
//! service whether the edge knows it. Whether a service is well is its own to say.

use std::{pin::Pin, time::Duration};

use futures_util::Stream;
use tonic::{Request, Response, Status};
use tonic_health::pb::{
    HealthCheckRequest, HealthCheckResponse,
    health_check_response::ServingStatus,
    health_server::{Health, HealthServer},
};

use crate::{readiness::Readiness, schema::Live};

/// How often a watcher's answer is looked at again.
const WATCH_INTERVAL: Duration = Duration::from_millis(500);

/// The service.
#[derive(Clone, Debug)]
pub(super) struct EdgeHealth {
    live: Live,
    readiness: Readiness,
}

/// The server of the service.
pub(super) fn server(live: Live, readiness: Readiness) -> HealthServer<EdgeHealth> {
    HealthServer::new(EdgeHealth { live, readiness })
}

impl EdgeHealth {
    fn status(&self, service: &str) -> Option<ServingStatus> {
        let known = service.is_empty() || self.live.get().owner(service).is_some();
        let serving = if self.readiness.is_ready() {
            ServingStatus::Serving
        } else {
            ServingStatus::NotServing
        };
        known.then_some(serving)
    }
}

fn response(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse { status: status.into() }
}

#[tonic::async_trait]
impl Health for EdgeHealth {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        let status = self.status(&request.get_ref().service);
        let status = status.ok_or_else(|| Status::not_found("no such service"))?;
        Ok(Response::new(response(status)))
    }

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let (health, service) = (self.clone(), request.into_inner().service);
        let changes = futures_util::stream::unfold(None, move |last: Option<ServingStatus>| {
            let (health, service) = (health.clone(), service.clone());
            async move {
                loop {
                    let now = health.status(&service).unwrap_or(ServingStatus::ServiceUnknown);
                    if last != Some(now) {
                        return Some((Ok(response(now)), Some(now)));
                    }
                    tokio::time::sleep(WATCH_INTERVAL).await;
                }
            }
        });
        Ok(Response::new(Box::pin(changes)))
    }
}
