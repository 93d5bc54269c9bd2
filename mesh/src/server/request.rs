//! The body of a request on its way to the handler: frames are put together,
//! bounded, unpacked and checked against the contract's rules, so that a handler
//! sees only messages that are valid.

use std::{
    io::Read as _,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use h2::RecvStream;
use http_body::{Body, Frame};
use tonic::{Code, Status};

use crate::{contract::Method, status, validate::Rejection};

/// Flag and length before each message (gRPC over HTTP/2, "Length-Prefixed-Message").
const PREFIX: usize = 5;

/// How request messages are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    Identity,
    Gzip,
}

/// The messages of a request.
#[derive(Debug)]
pub struct RequestBody {
    stream: RecvStream,
    method: Option<Arc<Method>>,
    encoding: Encoding,
    max_message: usize,
    /// What has come of a message that is not complete.
    partial: BytesMut,
    ended: bool,
}

impl RequestBody {
    pub(crate) fn new(
        stream: RecvStream,
        method: Option<Arc<Method>>,
        encoding: Encoding,
        max_message: usize,
    ) -> Self {
        Self { stream, method, encoding, max_message, partial: BytesMut::new(), ended: false }
    }

    /// Whole messages of what has come, checked; `None` when more must come.
    fn messages(&mut self, chunk: Bytes) -> Result<Option<Bytes>, Status> {
        // The usual case: a message is one frame of HTTP/2, and stays as it is.
        if self.partial.is_empty() && self.frame_length(&chunk)? == Some(chunk.len()) {
            return self.accept(chunk).map(Some);
        }
        self.partial.extend_from_slice(&chunk);
        let mut whole = BytesMut::new();
        while let Some(length) = self.frame_length(&self.partial)? {
            if self.partial.len() < length {
                break;
            }
            let message = self.partial.split_to(length).freeze();
            whole.extend_from_slice(&self.accept(message)?);
        }
        Ok((!whole.is_empty()).then(|| whole.freeze()))
    }

    /// Length of the first frame with its prefix, when the prefix is there.
    fn frame_length(&self, bytes: &[u8]) -> Result<Option<usize>, Status> {
        let Some(mut prefix) = bytes.get(..PREFIX) else {
            return Ok(None);
        };
        prefix.advance(1);
        let length = prefix.get_u32() as usize;
        if length > self.max_message {
            return Err(self.too_large());
        }
        Ok(Some(PREFIX + length))
    }

    fn accept(&self, frame: Bytes) -> Result<Bytes, Status> {
        let frame = match frame[0] {
            0 => frame,
            1 => self.unpack(&frame[PREFIX..])?,
            flag => return Err(malformed(format!("message flag {flag} is unknown"))),
        };
        if let Some(rules) = self.method.as_ref().and_then(|method| method.request.as_ref()) {
            rules.check(&frame[PREFIX..]).map_err(rejected)?;
        }
        Ok(frame)
    }

    /// The limit counts what comes out, or a small request could fill the memory.
    fn unpack(&self, packed: &[u8]) -> Result<Bytes, Status> {
        if self.encoding == Encoding::Identity {
            return Err(malformed("a message is compressed, but grpc-encoding names nothing"));
        }
        let mut message = Vec::new();
        let limit = self.max_message as u64 + 1;
        let unpacked = flate2::read::GzDecoder::new(packed).take(limit).read_to_end(&mut message);
        unpacked.map_err(|error| malformed(format!("a message does not decompress: {error}")))?;
        if message.len() > self.max_message {
            return Err(self.too_large());
        }
        let mut frame = BytesMut::with_capacity(PREFIX + message.len());
        frame.put_u8(0);
        frame.put_u32(u32::try_from(message.len()).map_err(|_| self.too_large())?);
        frame.extend_from_slice(&message);
        Ok(frame.freeze())
    }

    fn too_large(&self) -> Status {
        let message = format!("a message is larger than {} bytes", self.max_message);
        status::refuse(Code::ResourceExhausted, "MESSAGE_TOO_LARGE", message)
    }

    fn poll_messages(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Status>>> {
        loop {
            let Some(chunk) = ready!(self.stream.poll_data(cx)) else {
                self.ended = true;
                if self.partial.is_empty() {
                    return Poll::Ready(None);
                }
                return Poll::Ready(Some(Err(malformed("the request ends within a message"))));
            };
            let chunk = chunk.map_err(|error| Status::cancelled(error.to_string()))?;
            self.stream
                .flow_control()
                .release_capacity(chunk.len())
                .map_err(|error| Status::cancelled(error.to_string()))?;
            if let Some(messages) = self.messages(chunk)? {
                return Poll::Ready(Some(Ok(messages)));
            }
        }
    }
}

fn rejected(rejection: Rejection) -> Status {
    match rejection {
        Rejection::Invalid(violations) => status::invalid(violations),
        Rejection::Malformed { .. } => malformed(rejection.to_string()),
    }
}

fn malformed(message: impl Into<String>) -> Status {
    status::refuse(Code::InvalidArgument, "MALFORMED_REQUEST", message)
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
        self.ended || (self.partial.is_empty() && self.stream.is_end_stream())
    }
}
