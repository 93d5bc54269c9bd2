//! The edge's own pages: probes, the OpenAPI document, and its documentation.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use http::{HeaderValue, Method, Response, StatusCode, header};

use super::{Edge, exchange::Exchange, sent::Sent};
use crate::{docs, error::Failure, openapi, schema::Snapshot};

/// The documents of the snapshot in use, each made when it is first asked for.
#[derive(Debug, Default)]
pub(super) struct Documents(Mutex<Option<(Arc<Snapshot>, Made)>>);

/// By the names of their parts; without one, that of everything.
type Made = HashMap<Option<String>, Bytes>;

impl Documents {
    /// The document of a part; nothing when there is no such part, and nothing is
    /// kept then, so that clients cannot fill the memory with names.
    fn of(&self, snapshot: &Arc<Snapshot>, part: Option<&str>) -> Option<Bytes> {
        let mut cached = self.0.lock().expect("nothing panics while it is held");
        if !cached.as_ref().is_some_and(|(of, _)| Arc::ptr_eq(of, snapshot)) {
            *cached = Some((snapshot.clone(), Made::new()));
        }
        let (_, made) = cached.as_mut()?;
        let part = part.map(str::to_owned);
        if let Some(document) = made.get(&part) {
            return Some(document.clone());
        }
        let document = match &part {
            None => openapi::document(snapshot),
            Some(name) => openapi::document_of(snapshot, name)?,
        };
        let document = Bytes::from(document.to_string());
        made.insert(part, document.clone());
        Some(document)
    }
}

impl Edge {
    /// The page at a path; nothing when the edge has none there.
    pub(super) fn page(&self, exchange: &Exchange) -> Option<Result<Response<Sent>, Failure>> {
        let method = exchange.method();
        let page = match exchange.head.uri.path() {
            "/livez" => page(StatusCode::OK, "text/plain", Bytes::from_static(b"live\n")),
            "/readyz" => self.ready(),
            "/docs" | "/docs/" => {
                let index = docs::index(&openapi::parts(&exchange.snapshot));
                let mut page = page(StatusCode::OK, docs::HTML, index.into());
                docs::secure(page.headers_mut());
                page
            }
            path if path.starts_with("/openapi") => {
                let part = match path.strip_prefix("/openapi")?.strip_suffix(".json")? {
                    "" => None,
                    part => Some(part.strip_prefix('/')?),
                };
                let document = self.documents.of(&exchange.snapshot, part)?;
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
            Method::GET => Ok(page.map(Sent::Whole)),
            Method::HEAD => Ok(page.map(|_| Sent::EMPTY)),
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
