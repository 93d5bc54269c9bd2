//! The edge's own pages: probes, the OpenAPI document, and its documentation.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderValue, Method, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use tonic::body::Body;

use super::{Edge, exchange::Exchange};
use crate::{docs, error::Failure, openapi, schema::Snapshot};

/// The document of the snapshot in use, made when it is first asked for.
#[derive(Debug, Default)]
pub(super) struct Document(Mutex<Option<(Arc<Snapshot>, Bytes)>>);

impl Document {
    fn of(&self, snapshot: &Arc<Snapshot>) -> Bytes {
        let mut cached = self.0.lock().expect("nothing panics while it is held");
        match cached.as_ref() {
            Some((of, document)) if Arc::ptr_eq(of, snapshot) => document.clone(),
            _ => {
                let document = Bytes::from(openapi::document(snapshot).to_string());
                *cached = Some((snapshot.clone(), document.clone()));
                document
            }
        }
    }
}

impl Edge {
    /// The page at a path; nothing when the edge has none there.
    pub(super) fn page(
        &self,
        exchange: &Exchange,
        method: &Method,
        path: &str,
    ) -> Option<Result<Response<Body>, Failure>> {
        let page = match path {
            "/livez" => page(StatusCode::OK, "text/plain", Bytes::from_static(b"live\n")),
            "/readyz" => self.ready(),
            "/openapi.json" => {
                let document = self.document.of(&exchange.snapshot);
                page(StatusCode::OK, "application/json", document)
            }
            path => {
                let asset = docs::asset(path)?;
                let mut page = page(StatusCode::OK, asset.content_type, asset.body);
                docs::secure(page.headers_mut());
                page
            }
        };
        Some(match *method {
            Method::GET => Ok(page.map(full)),
            Method::HEAD => Ok(page.map(|_| Body::empty())),
            _ => Err(Failure::not_allowed(method, &[Method::GET, Method::HEAD])),
        })
    }

    fn ready(&self) -> Response<Bytes> {
        let report = self.readiness.report();
        let status = if report.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        let body = serde_json::to_vec(&report).expect("a report is plain data");
        page(status, "application/json", body.into())
    }
}

fn full(body: Bytes) -> Body {
    Body::new(Full::new(body).map_err(|never| match never {}))
}

fn page(status: StatusCode, content_type: &'static str, body: Bytes) -> Response<Bytes> {
    let length = body.len();
    let mut page = Response::new(body);
    *page.status_mut() = status;
    let headers = page.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CONTENT_LENGTH, length.into());
    // All of these change while the edge runs.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    page
}
