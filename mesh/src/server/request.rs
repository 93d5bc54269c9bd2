//! The body of a request on its way to the handler: frames are put together,
//! bounded, unpacked and checked against the contract's rules, so that a handler
//! sees only messages that are valid.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::{Arc, atomic::Ordering::Relaxed},
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use h2::RecvStream;
use http_body::{Body, Frame};
use tonic::{Code, Status};

use super::payload::Payload;
use crate::{
    call::Call,
    compression::{Encoding, Unpacker},
    contract::Method,
    status,
    validate::{Program, Rejection},
};

/// The messages of a request.
#[derive(Debug)]
pub struct RequestBody {
    stream: RecvStream,
    rules: Option<Arc<Program>>,
    unpacker: Unpacker,
    max_message: usize,
    payload: Payload,
    /// Is told how much has come.
    call: Option<Arc<Call>>,
    /// What came before the handler asked for it.
    arrived: Option<Bytes>,
    arrived_later: VecDeque<Bytes>,
    ended: bool,
}

impl RequestBody {
    pub(crate) fn new(stream: RecvStream, method: Option<&Method>, max_message: usize) -> Self {
        let unpacker = Unpacker::of_request(None, max_message);
        Self {
            stream,
            rules: method.and_then(|method| method.request.clone()),
            unpacker,
            max_message,
            payload: Payload::default(),
            call: None,
            arrived: None,
            arrived_later: VecDeque::new(),
            ended: false,
        }
    }

    /// Its messages are packed so; said before the first is read.
    pub(crate) fn packed_with(&mut self, encoding: Encoding) {
        self.unpacker = Unpacker::of_request(Some(encoding), self.max_message);
    }

    /// The call that it belongs to.
    pub(crate) fn belongs_to(&mut self, call: Arc<Call>) {
        self.call = Some(call);
    }

    /// Waits until the request has come as a whole, or has become larger than a
    /// message may be, so that who sends slowly holds no place among the calls
    /// at work. Nothing is unpacked. Tells whether it had to wait.
    pub(crate) async fn arrive(&mut self) -> Result<bool, Status> {
        let (mut bytes, mut waited) = (0, false);
        while bytes <= self.max_message && !self.stream.is_end_stream() {
            let chunk = std::future::poll_fn(|cx| {
                let chunk = self.poll_chunk(cx);
                waited |= chunk.is_pending();
                chunk
            });
            let Some(chunk) = chunk.await else {
                break;
            };
            let chunk = chunk?;
            bytes += chunk.len();
            // Most requests are one frame: no list is made for those.
            match &self.arrived {
                None => self.arrived = Some(chunk),
                Some(_) => self.arrived_later.push_back(chunk),
            }
        }
        Ok(waited)
    }

    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Status>>> {
        let gone = |error: h2::Error| Status::cancelled(error.to_string());
        let Some(chunk) = ready!(self.stream.poll_data(cx)) else {
            return Poll::Ready(None);
        };
        let chunk = chunk.map_err(gone)?;
        self.stream.flow_control().release_capacity(chunk.len()).map_err(gone)?;
        if let Some(call) = &self.call {
            self.payload.add(&chunk);
            call.received.store(self.payload.bytes(), Relaxed);
        }
        Poll::Ready(Some(Ok(chunk)))
    }

    /// Tells of each message, in order, whether it came packed; a handler only
    /// sees it unpacked.
    pub fn watch_packing(&mut self, watch: impl FnMut(bool) + Send + Sync + 'static) {
        self.unpacker.watch(Box::new(watch));
    }

    /// Whole messages of what has come, checked; `None` when more must come.
    fn messages(&mut self, chunk: Bytes) -> Result<Option<Bytes>, Status> {
        let rules = self.rules.as_deref();
        self.unpacker.push(chunk, |message| match rules {
            Some(rules) => rules.check(message).map_err(rejected),
            None => Ok(()),
        })
    }

    fn poll_messages(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Status>>> {
        loop {
            let arrived = self.arrived.take().or_else(|| self.arrived_later.pop_front());
            let chunk = match arrived {
                Some(chunk) => Some(Ok(chunk)),
                None => ready!(self.poll_chunk(cx)),
            };
            let Some(chunk) = chunk else {
                self.ended = true;
                if self.unpacker.complete() {
                    return Poll::Ready(None);
                }
                return Poll::Ready(Some(Err(self.unpacker.truncated())));
            };
            if let Some(messages) = self.messages(chunk?)? {
                return Poll::Ready(Some(Ok(messages)));
            }
        }
    }
}

fn rejected(rejection: Rejection) -> Status {
    match rejection {
        Rejection::Invalid(violations) => status::invalid(violations),
        Rejection::Malformed { .. } => {
            status::refuse(Code::InvalidArgument, "MALFORMED_REQUEST", rejection.to_string())
        }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let messages = ready!(self.poll_messages(cx));
        if matches!(messages, Some(Err(_))) {
            self.ended = true;
        }
        Poll::Ready(messages.map(|messages| messages.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.ended
            || (self.arrived.is_none()
                && self.arrived_later.is_empty()
                && self.unpacker.complete()
                && self.stream.is_end_stream())
    }
}
