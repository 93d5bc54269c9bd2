//! gRPC calls: the edge's own services, and everybody else's passed through with
//! every frame as it is, in both directions, trailers included.

use http::{HeaderValue, Request, Response, StatusCode, Version};
use hyper::body::Incoming;
use mesh::{Forwarded, Outgoing};
use tonic::{Code, Status, body::Body};
use tower::ServiceExt as _;

use super::{Edge, deadline, exchange::Exchange, headers};
use crate::{error::Failure, schema::Rpc};

/// Whether a request is a gRPC call. gRPC-Web has a name that begins alike and
/// another framing.
pub(super) fn is_call(content_type: &HeaderValue) -> bool {
    content_type
        .as_bytes()
        .strip_prefix(b"application/grpc")
        .is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
}

impl Edge {
    pub(super) async fn grpc(&self, exchange: &Exchange, body: Incoming) -> Response<Body> {
        if exchange.head.version != Version::HTTP_2 {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::HTTP_VERSION_NOT_SUPPORTED;
            return response;
        }
        let path = exchange.head.uri.path();
        let service = path.split('/').nth(1).unwrap_or_default();
        match service {
            "grpc.health.v1.Health" => self.own(self.health.clone(), exchange, body).await,
            "grpc.reflection.v1.ServerReflection" => {
                self.own(self.reflection.clone(), exchange, body).await
            }
            "grpc.reflection.v1alpha.ServerReflection" => {
                self.own(self.reflection_alpha.clone(), exchange, body).await
            }
            service => self
                .pass_through(exchange, service, path, body)
                .await
                .unwrap_or_else(|status| status.into_http()),
        }
    }

    async fn own<S>(&self, service: S, exchange: &Exchange, body: Incoming) -> Response<Body>
    where
        S: tower::Service<
                Request<Body>,
                Response = Response<Body>,
                Error = std::convert::Infallible,
            >,
    {
        let request = Request::from_parts(exchange.head.clone(), Body::new(body));
        service.oneshot(request).await.unwrap_or_else(|never| match never {})
    }

    async fn pass_through(
        &self,
        exchange: &Exchange,
        service: &str,
        path: &str,
        body: Incoming,
    ) -> Result<Response<Body>, Status> {
        exchange
            .snapshot
            .owner(service)
            .ok_or_else(|| refuse(Code::Unimplemented, "UNKNOWN_SERVICE", "no such service"))?;
        let rpc = exchange
            .snapshot
            .rpc(path)
            .ok_or_else(|| refuse(Code::Unimplemented, "UNKNOWN_METHOD", "no such method"))?;
        let call = call(exchange, rpc, body)?;
        let (head, body) = self.upstream.call(rpc, call).await?.into_parts();
        let mut response = Response::new(Body::new(body));
        *response.status_mut() = head.status;
        *response.headers_mut() = headers::to_grpc(&head.headers);
        Ok(response)
    }
}

fn call(exchange: &Exchange, rpc: &Rpc, body: Incoming) -> Result<Forwarded, Status> {
    let timeout = deadline::of(exchange.headers(), rpc.policy.deadline)
        .map_err(|failure| refuse(failure.code(), "INVALID_TIMEOUT", "malformed timeout"))?;
    Ok(Forwarded {
        path: rpc.path.clone(),
        metadata: exchange.metadata(headers::from_grpc),
        body: Outgoing::Messages(Body::new(body)),
        trace: exchange.trace,
        timeout,
    })
}

fn refuse(code: Code, reason: &str, message: &str) -> Status {
    Failure::new(code, reason, message).into_status()
}
