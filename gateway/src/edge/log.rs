//! The access log: one line per request, written when its last byte is sent or
//! its client is gone. It has the path but never the query, which may hold what
//! people type.

use std::{
    cell::RefCell,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Instant,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::{Body as HttpBody, Frame, SizeHint};
use tonic::{Status, body::Body};
use transcode::template::Template;

use super::exchange::Exchange;

/// Longest path that is logged.
const MAX_PATH_CHARS: usize = 256;

tokio::task_local! {
    /// The template of the route that serves the request, once it is known.
    static ROUTE: RefCell<Option<Arc<str>>>;
}

/// Notes which route serves the request.
pub(super) fn route(template: &Template) {
    // Outside of a request there is nothing to note.
    let _ = ROUTE.try_with(|route| *route.borrow_mut() = Some(template.text().clone()));
}

/// Runs `serve` and writes its line when the response has been sent.
pub(super) async fn logged(
    exchange: &Exchange,
    entry: Entry,
    serve: impl Future<Output = Response<Body>>,
) -> Response<Body> {
    let serve = async {
        let response = serve.await;
        (response, ROUTE.with(RefCell::take))
    };
    let (response, route) = ROUTE.scope(RefCell::default(), serve).await;
    let entry = Entry {
        route,
        status: response.status().as_u16(),
        grpc_status: grpc_status(response.headers()),
        request_id: Some(exchange.id.clone()),
        traceparent: Some(exchange.traceparent.clone()),
        ..entry
    };
    response.map(|body| Body::new(Logged { body, entry }))
}

/// What a line says.
#[derive(Debug)]
pub(super) struct Entry {
    begun: Instant,
    method: http::Method,
    path: String,
    peer: std::net::SocketAddr,
    probe: bool,
    route: Option<Arc<str>>,
    status: u16,
    grpc_status: Option<i32>,
    request_id: Option<HeaderValue>,
    traceparent: Option<HeaderValue>,
    bytes: usize,
    complete: bool,
}

impl Entry {
    pub(super) fn of<B>(request: &Request<B>, peer: std::net::SocketAddr) -> Entry {
        let path = request.uri().path();
        Entry {
            begun: Instant::now(),
            method: request.method().clone(),
            path: shown(path).to_owned(),
            peer,
            probe: matches!(path, "/livez" | "/readyz" | "/grpc.health.v1.Health/Check"),
            route: None,
            status: 0,
            grpc_status: None,
            request_id: None,
            traceparent: None,
            bytes: 0,
            complete: false,
        }
    }

    fn write(&self) {
        let micros = u64::try_from(self.begun.elapsed().as_micros()).unwrap_or(u64::MAX);
        let route = self.route.as_deref().unwrap_or_default();
        let (request_id, trace) =
            (text(self.request_id.as_ref()), trace_id(self.traceparent.as_ref()));
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(
                    target: "access",
                    method = %self.method,
                    path = self.path,
                    route,
                    status = self.status,
                    grpc_status = self.grpc_status,
                    bytes = self.bytes,
                    micros,
                    complete = self.complete,
                    peer = %self.peer,
                    request_id,
                    trace,
                )
            };
        }
        // Probes come every second and say nothing.
        if self.probe { line!(debug) } else { line!(info) }
    }
}

fn text(value: Option<&HeaderValue>) -> &str {
    value.and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn trace_id(traceparent: Option<&HeaderValue>) -> &str {
    text(traceparent).split('-').nth(1).unwrap_or_default()
}

/// As much of a path as is logged.
fn shown(path: &str) -> &str {
    // Fewer bytes are fewer characters.
    if path.len() <= MAX_PATH_CHARS {
        return path;
    }
    path.char_indices().nth(MAX_PATH_CHARS).map_or(path, |(end, _)| &path[..end])
}

fn grpc_status(headers: &HeaderMap) -> Option<i32> {
    headers.get("grpc-status")?.to_str().ok()?.parse().ok()
}

/// A response's body that writes the line when it is dropped.
struct Logged {
    body: Body,
    entry: Entry,
}

impl HttpBody for Logged {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        match &frame {
            Some(Ok(frame)) => {
                self.entry.bytes += frame.data_ref().map_or(0, Bytes::len);
                if let Some(code) = frame.trailers_ref().and_then(grpc_status) {
                    self.entry.grpc_status = Some(code);
                }
            }
            Some(Err(status)) => self.entry.grpc_status = Some(status.code() as i32),
            None => {}
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Logged {
    fn drop(&mut self) {
        self.entry.complete = self.body.is_end_stream();
        self.entry.write();
    }
}
