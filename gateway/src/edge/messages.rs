//! The messages of a streamed answer, one by one, up to a status: a stream that
//! ends without one has not ended.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf as _, Bytes, BytesMut};
use http::{HeaderMap, Response};
use http_body::Body;
use tonic::Status;

use super::frame::{PREFIX_BYTES, accepted, broken, refusal};

/// Largest message of a stream: it is held as a whole, for each client at once,
/// and services send no larger ones by default.
const MAX_MESSAGE_BYTES: usize = 4 << 20;

/// A streamed answer.
#[derive(Debug)]
pub(super) struct Messages<B> {
    body: B,
    /// What has come of messages that were not handed on.
    received: BytesMut,
    /// Whether the headers had the status already.
    trailers_only: bool,
    /// Whether it has ended well.
    ended: bool,
}

impl<B: Body<Data = Bytes, Error = Status> + Unpin> Messages<B> {
    /// Opens an answer: its metadata, and its messages.
    ///
    /// # Errors
    /// A refusal that stands in the headers.
    pub(super) fn open(response: Response<B>) -> Result<(HeaderMap, Messages<B>), Status> {
        let (head, body) = response.into_parts();
        accepted(&head)?;
        let trailers_only = head.headers.contains_key("grpc-status");
        let messages = Messages { body, received: BytesMut::new(), trailers_only, ended: false };
        Ok((head.headers, messages))
    }

    /// The next message; nothing, from then on, when the service has ended the
    /// stream well.
    ///
    /// # Errors
    /// The service's refusal, or what is wrong with its answer.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Status> {
        std::future::poll_fn(|context| self.poll_next(context)).await
    }

    pub(super) fn poll_next(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<Option<Bytes>, Status>> {
        while !self.ended {
            if let Some(message) = self.complete()? {
                return Poll::Ready(Ok(Some(message)));
            }
            match ready!(Pin::new(&mut self.body).poll_frame(context)).transpose()? {
                Some(frame) => match frame.into_data() {
                    Ok(data) => self.received.extend_from_slice(&data),
                    Err(frame) => {
                        let trailers = frame.into_trailers().unwrap_or_default();
                        self.end(Some(&trailers))?;
                    }
                },
                None => self.end(None)?,
            }
        }
        Poll::Ready(Ok(None))
    }

    fn complete(&mut self) -> Result<Option<Bytes>, Status> {
        let Some(mut prefix) = self.received.get(..PREFIX_BYTES) else { return Ok(None) };
        let flag = prefix.get_u8();
        let length = prefix.get_u32() as usize;
        // The mesh has unpacked what the service has packed as it was offered.
        if flag != 0 {
            return Err(broken("a message is compressed, and nothing says how"));
        }
        if length > MAX_MESSAGE_BYTES {
            return Err(broken("a message of the service's answer is too large"));
        }
        if self.received.len() - PREFIX_BYTES < length {
            self.received.reserve(length);
            return Ok(None);
        }
        self.received.advance(PREFIX_BYTES);
        Ok(Some(self.received.split_to(length).freeze()))
    }

    fn end(&mut self, trailers: Option<&HeaderMap>) -> Result<(), Status> {
        if let Some(status) = trailers.and_then(refusal) {
            return Err(status);
        }
        let has_status = trailers.is_some_and(|trailers| trailers.contains_key("grpc-status"));
        if !has_status && !self.trailers_only {
            return Err(broken("the service's answer ends without a status"));
        }
        if !self.received.is_empty() {
            return Err(broken("the service's answer ends within a message"));
        }
        self.ended = true;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::StreamBody;
    use tonic::Code;

    use super::*;

    type Frame = Result<http_body::Frame<Bytes>, Status>;

    fn data(bytes: &'static [u8]) -> Frame {
        Ok(http_body::Frame::data(Bytes::from_static(bytes)))
    }

    fn trailers(status: &'static str) -> Frame {
        let status = ("grpc-status".parse().unwrap(), status.parse().unwrap());
        Ok(http_body::Frame::trailers(HeaderMap::from_iter([status])))
    }

    /// What comes, and how it ends.
    async fn read(frames: Vec<Frame>) -> (Vec<Bytes>, Code) {
        let body = StreamBody::new(futures_util::stream::iter(frames));
        let (_, mut messages) = Messages::open(Response::new(body)).unwrap();
        let mut read = Vec::new();
        loop {
            match messages.next().await {
                Ok(Some(message)) => read.push(message),
                Ok(None) => return (read, Code::Ok),
                Err(status) => return (read, status.code()),
            }
        }
    }

    #[tokio::test]
    async fn messages_come_in_any_pieces() {
        let whole = b"\0\0\0\0\x02ab\0\0\0\0\0\0\0\0\0\x01c";
        for size in 1..=whole.len() {
            let frames = whole.chunks(size).map(data).chain([trailers("0")]);
            let (read, code) = read(frames.collect()).await;
            assert_eq!((read, code), (vec!["ab".into(), "".into(), "c".into()], Code::Ok));
        }
    }

    #[tokio::test]
    async fn a_stream_that_does_not_end_well_has_failed() {
        let cases: Vec<(Vec<Frame>, Code)> = vec![
            (vec![data(b"\0\0\0\0\x01a")], Code::Internal),
            (vec![data(b"\0\0\0\0\x01a"), trailers("14")], Code::Unavailable),
            (vec![data(b"\0\0\0\0\x01a\0"), trailers("0")], Code::Internal),
            (vec![data(b"\0\0\0\0\x01a"), data(b"\x01\0\0\0\0")], Code::Internal),
            (vec![data(b"\0\0\0\0\x01a"), data(b"\0\x01\0\0\0")], Code::Internal),
            (vec![data(b"\0\0\0\0\x01a"), Err(Status::aborted(""))], Code::Aborted),
        ];
        for (at, (frames, code)) in cases.into_iter().enumerate() {
            assert_eq!(read(frames).await, (vec!["a".into()], code), "case {at}");
        }
        let refused = Response::builder().header("grpc-status", "5");
        let body = StreamBody::new(futures_util::stream::iter(Vec::<Frame>::new()));
        assert_eq!(Messages::open(refused.body(body).unwrap()).unwrap_err().code(), Code::NotFound);
    }
}
