//! What is told of a request when its last byte is sent or its client is gone: a
//! line of the access log, and its span where its trace is recorded. They have the
//! path but never the query, which may hold what people type.

use std::{
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll, ready},
    time::Instant,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response, Uri, request::Parts};
use http_body::{Body as HttpBody, Frame, SizeHint};
use mesh::{RequestSpan, call::Trace};
use tonic::{Code, Status};

use super::{
    client::{Client, Turn},
    exchange::Exchange,
    sent::Sent,
    spare,
};

/// Longest path that is logged.
const MAX_PATH_CHARS: usize = 256;
/// The target of the lines.
const ACCESS: &str = "access";

/// Tells of a request when the response has been sent.
pub(super) fn logged(exchange: Exchange, response: Response<Sent>) -> Response<Logged> {
    let id = exchange.entry.is_some().then(|| exchange.id());
    let Exchange { turn, head, trace, entry, .. } = exchange;
    let line = entry.zip(id).map(|(mut entry, id)| {
        entry.status = response.status().as_u16();
        entry.grpc_status = grpc_status(response.headers());
        Line { entry, method: head.method, uri: head.uri, id, trace }
    });
    spare::give(head.headers);
    response.map(|body| Logged { body, line, turn })
}

/// What is told, as far as it is known from the beginning.
#[derive(Debug)]
pub(super) struct Entry {
    /// Whether a line is written.
    logged: bool,
    span: Option<RequestSpan>,
    begun: Instant,
    /// The template of the route that serves the request, once it is known.
    pub(super) route: OnceLock<Arc<str>>,
    probe: bool,
    status: u16,
    grpc_status: Option<i32>,
    bytes: usize,
    complete: bool,
}

impl Entry {
    /// Nothing when nobody listens.
    pub(super) fn of(head: &Parts, span: Option<RequestSpan>) -> Option<Box<Entry>> {
        let path = head.uri.path();
        // Probes come every second and say nothing.
        let probe = matches!(path, "/livez" | "/readyz" | "/grpc.health.v1.Health/Check");
        let logged = match probe {
            true => tracing::enabled!(target: ACCESS, tracing::Level::DEBUG),
            false => tracing::enabled!(target: ACCESS, tracing::Level::INFO),
        };
        (logged || span.is_some()).then(|| {
            Box::new(Entry {
                logged,
                span,
                begun: Instant::now(),
                route: OnceLock::new(),
                probe,
                status: 0,
                grpc_status: None,
                bytes: 0,
                complete: false,
            })
        })
    }
}

/// What is not told yet.
#[derive(Debug)]
struct Line {
    entry: Box<Entry>,
    method: Method,
    uri: Uri,
    id: HeaderValue,
    trace: Trace,
}

impl Line {
    fn tell(mut self, client: &Client) {
        let entry = &mut *self.entry;
        if let Some(span) = entry.span.take() {
            let route = entry.route.get().map(AsRef::as_ref);
            let code = entry.grpc_status.map(Code::from_i32);
            span.answered(&self.method, route, entry.status, code);
        }
        if entry.logged {
            self.write(client);
        }
    }

    fn write(&self, client: &Client) {
        let Self { entry, method, uri, id, trace } = self;
        let Entry { begun, route, status, grpc_status, bytes, complete, .. } = &**entry;
        let micros = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
        let route = route.get().map(AsRef::as_ref).unwrap_or_default();
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(
                    target: ACCESS,
                    %method,
                    path = shown(uri.path()),
                    route,
                    status,
                    grpc_status = *grpc_status,
                    bytes,
                    micros,
                    complete,
                    peer = %client.address,
                    request_id = text(id),
                    trace = text(&trace.id()),
                )
            };
        }
        if entry.probe { line!(debug) } else { line!(info) }
    }
}

fn text(value: &HeaderValue) -> &str {
    value.to_str().unwrap_or_default()
}

/// As much of a path as is logged.
pub(super) fn shown(path: &str) -> &str {
    // Fewer bytes are fewer characters.
    if path.len() <= MAX_PATH_CHARS {
        return path;
    }
    path.char_indices().nth(MAX_PATH_CHARS).map_or(path, |(end, _)| &path[..end])
}

fn grpc_status(headers: &HeaderMap) -> Option<i32> {
    headers.get("grpc-status")?.to_str().ok()?.parse().ok()
}

/// A response's body that has it told when it is dropped.
#[derive(Debug)]
pub(super) struct Logged {
    body: Sent,
    line: Option<Line>,
    turn: Turn,
}

impl HttpBody for Logged {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        let Some(Line { entry, .. }) = &mut self.line else { return Poll::Ready(frame) };
        match &frame {
            Some(Ok(frame)) => {
                entry.bytes += frame.data_ref().map_or(0, Bytes::len);
                if let Some(code) = frame.trailers_ref().and_then(grpc_status) {
                    entry.grpc_status = Some(code);
                }
            }
            Some(Err(status)) => entry.grpc_status = Some(status.code() as i32),
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
        if let Some(mut line) = self.line.take() {
            line.entry.complete = self.body.is_end_stream();
            line.tell(self.turn.client());
        }
    }
}
