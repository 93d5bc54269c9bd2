//! The library's films: content that is streamed both ways, with every end that a
//! stream may have.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use http::{HeaderValue, Response};
use http_body::Frame;
use http_body_util::BodyExt as _;
use mesh::RequestBody;
use prost::Message;
use tokio::sync::watch;
use tonic::{Status, body::Body};

use crate::library::{done, framed, grpc, messages};

/// `google.api.HttpBody`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct HttpBody {
    #[prost(string, tag = "1")]
    pub(crate) content_type: String,
    #[prost(bytes = "bytes", tag = "2")]
    pub(crate) data: Bytes,
}

/// `PutScanRequest`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct PutScanRequest {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(message, optional, tag = "2")]
    pub(crate) scan: Option<HttpBody>,
}

/// What of `Book` says how much has come.
#[derive(Clone, PartialEq, Message)]
struct Book {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    title: String,
    #[prost(int64, tag = "3")]
    page_count: i64,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum End {
    #[default]
    Running,
    Complete,
    Cancelled,
}

/// The films.
#[derive(Clone, Debug, Default)]
pub(crate) struct Films {
    /// Bytes of the upload so far.
    pub(crate) stored: watch::Sender<u64>,
    /// The first message of the upload.
    pub(crate) first: Arc<Mutex<PutScanRequest>>,
    /// Largest piece of the upload.
    pub(crate) largest: Arc<Mutex<usize>>,
    /// How the last call has ended.
    pub(crate) end: watch::Sender<End>,
}

/// Notes that a call was cancelled, unless it was said to be complete.
struct Watch(watch::Sender<End>);

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.send_if_modified(|end| {
            let running = *end == End::Running;
            *end = if running { End::Cancelled } else { *end };
            running
        });
    }
}

impl Films {
    /// Takes a film; one named `refused` after its first piece, and of one named
    /// `untouched` no more than that.
    pub(crate) async fn store(&self, mut body: RequestBody) -> Response<Body> {
        self.end.send_replace(End::Running);
        let (_watch, mut bytes, mut name) = (Watch(self.end.clone()), 0, None);
        while let Some(frame) = body.frame().await {
            let mut frames = match frame {
                Ok(frame) => frame.into_data().unwrap_or_default(),
                Err(status) => return status.into_http(),
            };
            while !frames.is_empty() {
                let length = u32::from_be_bytes(frames[1..5].try_into().unwrap()) as usize;
                let message =
                    PutScanRequest::decode(frames.split_to(5 + length).slice(5..)).unwrap();
                let data = message.scan.clone().unwrap_or_default().data;
                bytes += data.len() as u64;
                let mut largest = self.largest.lock().unwrap();
                *largest = data.len().max(*largest);
                if name.is_none() {
                    name = Some(message.name.clone());
                    *self.first.lock().unwrap() = message;
                }
            }
            self.stored.send_replace(bytes);
            match name.as_deref() {
                Some("films/refused") => {
                    return Status::failed_precondition("no room").into_http();
                }
                Some("films/untouched") => std::future::pending().await,
                _ => {}
            }
        }
        self.end.send_replace(End::Complete);
        let (title, name) = (bytes.to_string(), name.unwrap_or_default());
        messages(vec![Book { name, title, page_count: 0 }.encode_to_vec()])
    }

    /// Sends a film: what it is like depends on its name.
    pub(crate) fn play(&self, name: &str) -> Response<Body> {
        self.end.send_replace(End::Running);
        let watch = Watch(self.end.clone());
        let name = name.strip_prefix("films/").unwrap().to_owned();
        let film = |parts: &'static [&'static [u8]]| stream::iter(parts).map(|part| piece(part));
        let cut = || stream::iter([Err(Status::aborted("the reel is torn"))]);
        let end = || stream::iter([Ok(done())]);
        match name.as_str() {
            "refused" => Status::not_found("no such film").into_http(),
            "empty" => sent(watch, end()),
            "torn" => sent(watch, film(&[b"01234", b"56"]).chain(cut())),
            "torn-last" => known(sent(watch, film(&[b"01234", b"56789"]).chain(cut()))),
            "known" => known(sent(watch, film(&[b"012", b"", b"3456", b"789"]).chain(end()))),
            "short" => known(sent(watch, film(&[b"012"]).chain(end()))),
            "long" => known(sent(watch, film(&[b"01234", b"56789", b"x"]).chain(end()))),
            "endless" => sent(watch, endless()),
            "endless-known" => known(sent(watch, endless())),
            size => match size.parse::<u64>() {
                Ok(size) => sent(watch, sized(size).chain(end())),
                Err(_) => sent(watch, film(&[b"01234", b"56", b"", b"789"]).chain(end())),
            },
        }
    }
}

type Sent = Result<Frame<Bytes>, Status>;

fn piece(data: &[u8]) -> Sent {
    let body = HttpBody { content_type: "video/x".into(), data: Bytes::copy_from_slice(data) };
    Ok(Frame::data(framed(&body.encode_to_vec())))
}

/// Pieces of 64 KiB.
fn sized(bytes: u64) -> impl Stream<Item = Sent> {
    const PIECE: u64 = 64 << 10;
    stream::iter((0..bytes.div_ceil(PIECE)).map(move |at| {
        let length = (bytes - at * PIECE).min(PIECE);
        piece(&vec![b'f'; usize::try_from(length).unwrap()])
    }))
}

/// More than anybody reads.
fn endless() -> impl Stream<Item = Sent> {
    stream::repeat_with(|| piece(&[b'f'; 16 << 10]))
}

fn sent(watch: Watch, frames: impl Stream<Item = Sent> + Send + 'static) -> Response<Body> {
    let frames = frames.map(move |frame| {
        if frame.as_ref().is_ok_and(Frame::is_trailers) {
            watch.0.send_replace(End::Complete);
        }
        frame
    });
    grpc(frames)
}

/// A film that says its length, and which cut it is.
fn known(mut response: Response<Body>) -> Response<Body> {
    let headers = response.headers_mut();
    headers.insert("x-http-content-length", HeaderValue::from_static("10"));
    headers.insert("etag", HeaderValue::from_static("\"c1\""));
    response
}

/// Every second piece, as they come.
pub(crate) fn cut(body: RequestBody) -> Response<Body> {
    let frames =
        http_body_util::BodyStream::new(body).enumerate().filter_map(|(at, frame)| async move {
            let mut frames = frame.ok()?.into_data().ok()?;
            let message = PutScanRequest::decode(frames.split_off(5)).unwrap();
            (at % 2 == 0).then(|| piece(&message.scan.unwrap_or_default().data))
        });
    grpc(frames.chain(stream::iter([Ok(done())])))
}
