//! The body of a REST request as the messages of a call that streams
//! `google.api.HttpBody`: each piece goes on as it comes, without being copied,
//! and no sooner than the service takes it. An upload that stops or breaks resets
//! the call, so that no service takes a part for the whole.

use std::{
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::StatusCode;
use http_body::{Body as HttpBody, Frame};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep};
use tonic::{Code, Status};
use transcode::bind::Pieces;

use super::frame;
use crate::error::Failure;

/// Largest piece that becomes one message; what comes in is mostly less. A service
/// holds a message as a whole, so this is what an upload costs it.
const PIECE_BYTES: usize = 64 << 10;

/// What comes in, in pieces.
#[derive(Debug)]
pub(super) struct Arriving {
    body: Incoming,
    /// Of a frame of the body, what has not become a piece.
    rest: Bytes,
    /// Longest wait for more.
    idle: Duration,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Arriving {
    pub(super) fn new(body: Incoming, idle: Duration) -> Arriving {
        Arriving { body, rest: Bytes::new(), idle, timer: None }
    }

    /// The next piece; an empty one at the end.
    ///
    /// # Errors
    /// When the body breaks off, or nothing comes for too long.
    pub(super) async fn piece(&mut self) -> Result<Bytes, Failure> {
        std::future::poll_fn(|context| self.poll_piece(context)).await
    }

    fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Result<Bytes, Failure>> {
        while self.rest.is_empty() {
            match Pin::new(&mut self.body).poll_frame(context) {
                // Trailers of a request mean nothing to a service.
                Poll::Ready(Some(Ok(frame))) => {
                    self.rest = frame.into_data().unwrap_or_default();
                    self.timer = None;
                }
                Poll::Ready(Some(Err(_))) => return Poll::Ready(Err(aborted())),
                Poll::Ready(None) => return Poll::Ready(Ok(Bytes::new())),
                Poll::Pending => {
                    let at = Instant::now() + self.idle;
                    let timer = || Box::pin(tokio::time::sleep_until(at));
                    ready!(self.timer.get_or_insert_with(timer).as_mut().poll(context));
                    return Poll::Ready(Err(late()));
                }
            }
        }
        let length = self.rest.len().min(PIECE_BYTES);
        Poll::Ready(Ok(self.rest.split_to(length)))
    }
}

/// Why an upload has failed, for who sees only that its call was reset.
pub(super) type Cause = Arc<OnceLock<Failure>>;

/// The request of the call.
#[derive(Debug)]
pub(super) struct Upload {
    /// The head of the first message.
    first: Option<Bytes>,
    /// Data whose head has gone out.
    data: Bytes,
    arriving: Arriving,
    pieces: Pieces,
    cause: Cause,
    ended: bool,
}

impl Upload {
    /// `first` is the head of the first message, with its prefix, `data` what
    /// follows it.
    pub(super) fn new(first: Bytes, data: Bytes, arriving: Arriving, pieces: Pieces) -> Upload {
        let (cause, ended) = (Cause::default(), false);
        Upload { first: Some(first), data, arriving, pieces, cause, ended }
    }

    pub(super) fn cause(&self) -> Cause {
        self.cause.clone()
    }

    fn fail(&mut self, failure: Failure) -> Status {
        self.ended = true;
        let status = failure.clone().into_status();
        // It fails once.
        let _ = self.cause.set(failure);
        status
    }
}

impl HttpBody for Upload {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(Frame::data(first))));
        }
        if !self.data.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut self.data)))));
        }
        if self.ended {
            return Poll::Ready(None);
        }
        let piece = match ready!(self.arriving.poll_piece(context)) {
            Ok(piece) => piece,
            Err(failure) => return Poll::Ready(Some(Err(self.fail(failure)))),
        };
        if piece.is_empty() {
            self.ended = true;
            return Poll::Ready(None);
        }
        let mut head = frame::begin(0);
        self.pieces.head(piece.len(), &mut head);
        let head = frame::finish_before(head, piece.len());
        self.data = piece;
        Poll::Ready(Some(Ok(Frame::data(head))))
    }
}

pub(super) fn aborted() -> Failure {
    Failure::new(Code::Cancelled, "BODY_ABORTED", "the body did not arrive")
}

pub(super) fn late() -> Failure {
    Failure::new(Code::DeadlineExceeded, "BODY_TIMEOUT", "the body is late")
        .with_http(StatusCode::REQUEST_TIMEOUT)
}
