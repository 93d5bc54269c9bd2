//! A streamed `google.api.HttpBody` as the body of a response: message by message,
//! as fast as the client reads. It ends well only when the service has said that
//! it did: any other end is an error to the connection, which cuts HTTP/1.1
//! before its last chunk and resets the stream of HTTP/2.

use std::{
    fmt::Display,
    ops::Range,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf as _, Bytes};
use http_body::{Body as HttpBody, Frame};
use mesh::ResponseBody;
use tonic::Status;
use transcode::bind::Opener;

use super::messages::Messages;

/// A download that has begun.
#[derive(Debug)]
pub(super) struct Download {
    /// Nothing when the client has what it asked for, which cancels the call.
    messages: Option<Messages<ResponseBody>>,
    opener: Opener,
    /// Content that has come and was not sent.
    data: Bytes,
    /// How much there is in all, when the service says so.
    length: Option<u64>,
    /// Content up to the end of `data`.
    come: u64,
    /// What of it is sent; without a length, to its end.
    part: Range<u64>,
    /// Why it is about to be cut.
    broken: Option<Status>,
}

impl Download {
    /// `data` is the content of the first message.
    pub(super) fn new(
        messages: Messages<ResponseBody>,
        opener: Opener,
        data: Bytes,
        length: Option<u64>,
    ) -> Download {
        let (come, part) = (data.len() as u64, 0..length.unwrap_or(u64::MAX));
        Download { messages: Some(messages), opener, data, length, come, part, broken: None }
    }

    /// What the service says of its length.
    pub(super) fn length(&self) -> Option<u64> {
        self.length
    }

    /// The same download, but for what is not in `part`.
    pub(super) fn only(self, part: Range<u64>) -> Download {
        Download { part, ..self }
    }

    /// Data that may be sent; the last of it not before the service has ended the
    /// stream, or the client would take a broken one for complete.
    fn sendable(&mut self) -> Option<Bytes> {
        let start = self.come - self.data.len() as u64;
        let skipped = self.part.start.saturating_sub(start).min(self.data.len() as u64);
        self.data.advance(index(skipped));
        if self.data.is_empty() {
            return None;
        }
        if self.come >= self.part.end {
            if self.length == Some(self.part.end) && self.messages.is_some() {
                return None;
            }
            // Nobody waits for what follows.
            self.messages = None;
            self.data.truncate(self.data.len() - index(self.come - self.part.end));
            self.come = self.part.end;
        }
        Some(std::mem::take(&mut self.data))
    }

    /// Takes in what comes next.
    fn poll_more(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Status>> {
        let Some(messages) = &mut self.messages else { return Poll::Ready(Ok(())) };
        let message = ready!(messages.poll_next(context))?;
        let Some(message) = message else {
            self.messages = None;
            let is_whole = self.length.is_none_or(|length| length == self.come);
            return Poll::Ready(if is_whole { Ok(()) } else { Err(malformed(&"it is short")) });
        };
        let content = self.opener.open(&message).map_err(|error| malformed(&error))?.data;
        let content = message.slice(content);
        self.come += content.len() as u64;
        if self.length.is_some_and(|length| self.come > length) {
            return Poll::Ready(Err(malformed(&"it is longer than it says")));
        }
        // What is held back is complete, so nothing but emptiness can follow it.
        if !content.is_empty() {
            self.data = content;
        }
        Poll::Ready(Ok(()))
    }
}

/// A part of a buffer is counted by the buffer's own index.
fn index(count: u64) -> usize {
    usize::try_from(count).expect("it is at most the length of a buffer")
}

pub(super) fn malformed(why: &dyn Display) -> Status {
    Status::internal(format!("the download contradicts its contract: {why}"))
}

impl HttpBody for Download {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        loop {
            if let Some(status) = self.broken.take() {
                return Poll::Ready(Some(Err(status)));
            }
            if let Some(data) = self.sendable() {
                return Poll::Ready(Some(Ok(Frame::data(data))));
            }
            if self.messages.is_none() {
                return Poll::Ready(None);
            }
            if let Err(status) = ready!(self.poll_more(context)) {
                let (code, message) = (status.code(), status.message());
                tracing::warn!(?code, message, "a download was cut");
                // What was held back must not follow the error.
                (self.messages, self.data, self.broken) = (None, Bytes::new(), Some(status));
                // The connection throws away what it has not written when it learns
                // of an error: it gets a turn to write what came before.
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.messages.is_none() && self.data.is_empty() && self.broken.is_none()
    }
}
