//! gRPC calls: the edge's own services, and everybody else's passed through with
//! every frame as it is, in both directions, trailers included.

use http::{HeaderValue, Request, Response, StatusCode, Version, header};
use hyper::body::Incoming;
use tonic::{Code, Status, body::Body};
use tower::ServiceExt as _;

use super::{Edge, deadline, exchange::Exchange, headers};
use crate::{error::Failure, schema::Rpc};

/// Whether a request is a gRPC call. gRPC-Web has a name that begins alike and
/// another framing.
pub(super) fn is_call(request: &http::HeaderMap) -> bool {
    let value = request.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    value
        .strip_prefix(b"application/grpc")
        .is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
}

impl Edge {
    pub(super) async fn grpc(
        &self,
        exchange: &Exchange,
        request: Request<Incoming>,
    ) -> Response<Body> {
        if request.version() != Version::HTTP_2 {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::HTTP_VERSION_NOT_SUPPORTED;
            return response;
        }
        let path = request.uri().path().to_owned();
        let service = path.split('/').nth(1).unwrap_or_default();
        match service {
            "grpc.health.v1.Health" => self.own(self.health.clone(), request).await,
            "grpc.reflection.v1.ServerReflection" => {
                self.own(self.reflection.clone(), request).await
            }
            "grpc.reflection.v1alpha.ServerReflection" => {
                self.own(self.reflection_alpha.clone(), request).await
            }
            service => self
                .pass_through(exchange, service, &path, request)
                .await
                .unwrap_or_else(|status| status.into_http()),
        }
    }

    async fn own<S>(&self, service: S, request: Request<Incoming>) -> Response<Body>
    where
        S: tower::Service<
                Request<Body>,
                Response = Response<Body>,
                Error = std::convert::Infallible,
            >,
    {
        let request = request.map(Body::new);
        service.oneshot(request).await.unwrap_or_else(|never| match never {})
    }

    async fn pass_through(
        &self,
        exchange: &Exchange,
        service: &str,
        path: &str,
        request: Request<Incoming>,
    ) -> Result<Response<Body>, Status> {
        exchange
            .snapshot
            .owner(service)
            .ok_or_else(|| refuse(Code::Unimplemented, "UNKNOWN_SERVICE", "no such service"))?;
        let rpc = exchange
            .snapshot
            .rpc(path)
            .ok_or_else(|| refuse(Code::Unimplemented, "UNKNOWN_METHOD", "no such method"))?;
        let upstream = self.upstream_request(exchange, rpc, request)?;
        let (head, body) = self.upstream.call(rpc, upstream).await?.into_parts();
        let mut response = Response::new(Body::new(body));
        *response.status_mut() = head.status;
        *response.headers_mut() = headers::to_grpc(&head.headers);
        Ok(response)
    }

    fn upstream_request(
        &self,
        exchange: &Exchange,
        rpc: &Rpc,
        request: Request<Incoming>,
    ) -> Result<Request<Body>, Status> {
        let (head, body) = request.into_parts();
        let timeout = deadline::of(&head.headers, rpc.policy.deadline)
            .map_err(|failure| refuse(failure.code(), "INVALID_TIMEOUT", "malformed timeout"))?;
        let mut upstream = Request::new(Body::new(body));
        *upstream.method_mut() = http::Method::POST;
        *upstream.uri_mut() = rpc.path.clone().into();
        *upstream.headers_mut() =
            headers::from_grpc(&head.headers, exchange.client.forwarded.clone());
        upstream.headers_mut().insert(super::exchange::REQUEST_ID, exchange.id.clone());
        if let Some(timeout) = timeout {
            upstream.headers_mut().insert(mesh::deadline::HEADER, mesh::deadline::format(timeout));
        }
        Ok(upstream)
    }
}

fn refuse(code: Code, reason: &str, message: &str) -> Status {
    Failure::new(code, reason, message).into_status()
}
