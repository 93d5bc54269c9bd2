//! The body of a response: it ends the call. It holds the call's place on its
//! connection, watches the deadline to the last trailer, and tells the outcome.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use h2::RecvStream;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use tokio::{
    task::AbortHandle,
    time::{Instant, Sleep},
};
use tonic::{Code, Status};

use super::{endpoint::Permit, failure, outcome::Outcome};

/// The messages of a response as they come.
#[derive(Debug)]
pub struct ResponseBody {
    stream: RecvStream,
    stage: Stage,
    deadline: Option<Instant>,
    /// Made when the body is first waited for: most bodies are complete before.
    timer: Option<Pin<Box<Sleep>>>,
    outcome: Outcome,
    _permit: Permit,
    _upload: Option<Upload>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Data,
    Trailers,
    Done,
}

/// Ends the sending of a streamed request when the response is dropped.
#[derive(Debug)]
pub(crate) struct Upload(pub(crate) AbortHandle);

impl Drop for Upload {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl ResponseBody {
    pub(crate) fn new(
        stream: RecvStream,
        headers: &HeaderMap,
        deadline: Option<Instant>,
        mut outcome: Outcome,
        permit: Permit,
        upload: Option<Upload>,
    ) -> Self {
        // A refusal before the first message has its status in the headers.
        if let Some(code) = code_of(headers) {
            outcome.decide(code);
        }
        Self {
            stream,
            stage: Stage::Data,
            deadline,
            timer: None,
            outcome,
            _permit: permit,
            _upload: upload,
        }
    }

    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(deadline) = self.deadline else {
            return Poll::Pending;
        };
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        timer.as_mut().poll(cx)
    }

    fn fail(&mut self, status: Status) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        self.stage = Stage::Done;
        self.outcome.decide(status.code());
        Poll::Ready(Some(Err(status)))
    }

    fn fail_with(&mut self, error: &h2::Error) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        // A server that keeps the deadline too may be quicker to cancel.
        let late = self.deadline.is_some_and(|deadline| deadline <= Instant::now());
        self.fail(if late { failure::deadline_exceeded() } else { failure::from_h2(error) })
    }

    fn poll_stream(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, h2::Error>>> {
        if self.stage == Stage::Data {
            match ready!(self.stream.poll_data(cx)) {
                Some(Ok(data)) => {
                    self.stream.flow_control().release_capacity(data.len())?;
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => self.stage = Stage::Trailers,
            }
        }
        let trailers = ready!(self.stream.poll_trailers(cx))?;
        self.stage = Stage::Done;
        Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers))))
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.stage == Stage::Done {
            return Poll::Ready(None);
        }
        match self.poll_stream(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(trailers) = frame.trailers_ref() {
                    self.outcome.decide(code_of(trailers).unwrap_or(Code::Unknown));
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => self.fail_with(&error),
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending => match self.poll_deadline(cx) {
                Poll::Ready(()) => self.fail(failure::deadline_exceeded()),
                Poll::Pending => Poll::Pending,
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        self.stage == Stage::Done || self.stream.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

/// The code in `grpc-status`; a value that is no code is UNKNOWN.
pub(crate) fn code_of(headers: &HeaderMap) -> Option<Code> {
    Some(Code::from_bytes(headers.get("grpc-status")?.as_bytes()))
}
