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

use super::{failure, outcome::Outcome, permit::Permit};
use crate::{
    compression::{self, Unpacker},
    status,
};

/// The messages of a response as they come.
#[derive(Debug)]
pub struct ResponseBody {
    stream: RecvStream,
    stage: Stage,
    incoming: Incoming,
    deadline: Option<Instant>,
    /// Made when the body is first waited for: most bodies are complete before.
    timer: Option<Pin<Box<Sleep>>>,
    outcome: Outcome,
    permit: Permit,
    _upload: Option<Upload>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Data,
    Trailers,
    Done,
}

/// How messages come in.
#[derive(Debug)]
pub(crate) enum Incoming {
    /// As the caller asked for them: it unpacks itself.
    Callers,
    /// As they are; the limit that they would be unpacked to.
    Plain(usize),
    Packed(Box<Unpacker>),
}

impl Incoming {
    /// By the response's headers; `limit` when it is the mesh that unpacks.
    ///
    /// # Errors
    /// INTERNAL when the server packs with what it was not offered.
    pub(crate) fn of(headers: &mut HeaderMap, limit: Option<usize>) -> Result<Self, Status> {
        let Some(limit) = limit else {
            return Ok(Self::Callers);
        };
        match compression::encoding(headers) {
            Ok(None) => Ok(Self::Plain(limit)),
            Ok(encoding) => {
                // The caller's codec must not look for what is gone.
                headers.remove(compression::ENCODING);
                Ok(Self::Packed(Box::new(Unpacker::of_response(encoding, limit))))
            }
            Err(unknown) => {
                let message = unknown.message().to_owned();
                Err(status::refuse(Code::Internal, "UNKNOWN_COMPRESSION", message))
            }
        }
    }

    /// What of a frame can be handed on; `None` when more must come.
    fn accept(&mut self, frame: Frame<Bytes>) -> Result<Option<Frame<Bytes>>, Status> {
        let Self::Packed(unpacker) = self else {
            return Ok(Some(frame));
        };
        match frame.into_data() {
            Ok(data) => Ok(unpacker.push(data, |_| Ok(()))?.map(Frame::data)),
            Err(trailers) if unpacker.complete() => Ok(Some(trailers)),
            Err(_) => Err(unpacker.truncated()),
        }
    }
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
        incoming: Incoming,
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
            incoming,
            deadline,
            timer: None,
            outcome,
            permit,
            _upload: upload,
        }
    }

    /// Tells of each message, in order, whether it came packed; of none when the
    /// caller unpacks itself.
    pub fn watch_packing(&mut self, watch: impl FnMut(bool) + Send + Sync + 'static) {
        if let Incoming::Plain(limit) = self.incoming {
            self.incoming = Incoming::Packed(Box::new(Unpacker::of_response(None, limit)));
        }
        if let Incoming::Packed(unpacker) = &mut self.incoming {
            unpacker.watch(Box::new(watch));
        }
    }

    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(deadline) = self.deadline else {
            return Poll::Pending;
        };
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        timer.as_mut().poll(cx)
    }

    /// The stream has ended, with a status or, as no gRPC server does it, without.
    /// Changes nothing when the headers had one.
    fn end(&mut self, code: Option<Code>) {
        let now = Instant::now();
        self.outcome.decide_at(code.unwrap_or(Code::Unknown), now);
        match code {
            Some(code) => self.permit.ended(code, now),
            None => self.permit.cut_short(now),
        }
    }

    fn fail(&mut self, status: Status) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        self.stage = Stage::Done;
        self.outcome.decide(status.code());
        Poll::Ready(Some(Err(status)))
    }

    fn fail_with(&mut self, error: &h2::Error) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        // A server that keeps the deadline too may be quicker to cancel.
        let now = Instant::now();
        self.permit.broke(error, now);
        let late = self.deadline.is_some_and(|deadline| deadline <= now);
        self.fail(if late { failure::deadline_exceeded() } else { failure::from_h2(error) })
    }

    fn poll_stream(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, h2::Error>>> {
        if self.stage == Stage::Data {
            match ready!(self.stream.poll_data(cx)) {
                Some(Ok(data)) => {
                    self.outcome.received(&data);
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
        loop {
            let frame = match self.poll_stream(cx) {
                Poll::Ready(Some(Ok(frame))) => frame,
                Poll::Ready(Some(Err(error))) => return self.fail_with(&error),
                Poll::Ready(None) => {
                    self.end(None);
                    return Poll::Ready(None);
                }
                Poll::Pending => match self.poll_deadline(cx) {
                    Poll::Ready(()) => return self.fail(failure::deadline_exceeded()),
                    Poll::Pending => return Poll::Pending,
                },
            };
            match self.incoming.accept(frame) {
                Ok(None) => {}
                Ok(Some(frame)) => {
                    if let Some(trailers) = frame.trailers_ref() {
                        self.end(code_of(trailers));
                    }
                    return Poll::Ready(Some(Ok(frame)));
                }
                Err(status) => return self.fail(status),
            }
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
    // Trailers are few: to compare each is less work than to hash the name.
    let (_, status) = headers.iter().find(|(name, _)| name.as_str() == "grpc-status")?;
    Some(Code::from_bytes(status.as_bytes()))
}
