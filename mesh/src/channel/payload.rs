//! The request of a call, so that it can be sent again: a message is encoded
//! once and every attempt sends the same bytes.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::Poll,
};

use bytes::Bytes;
use h2::SendStream;
use http_body::{Body as _, Frame};
use tonic::{Status, body::Body};

use crate::server::payload::Payload as Counter;

/// What a call sends.
pub(crate) enum Payload {
    /// One message, complete: every attempt sends it.
    Whole(Bytes),
    /// Messages that come over time: sent once.
    Stream(Box<Streamed>),
    /// A stream that an attempt has taken.
    Spent,
}

/// Frames that were looked at, and the rest.
pub(crate) struct Streamed {
    seen: VecDeque<Frame<Bytes>>,
    rest: Body,
    /// Bytes of the messages that were sent.
    pub(super) sent: Arc<AtomicU64>,
}

impl Payload {
    /// Looks at what is there without waiting: the body of a unary call is
    /// complete at once.
    pub(crate) async fn of(mut body: Body) -> Result<Self, Status> {
        // Two places in all, and mostly one is used: no queue yet.
        let (mut first, mut second) = (None, None);
        let complete = std::future::poll_fn(|cx| {
            loop {
                match Pin::new(&mut body).poll_frame(cx) {
                    Poll::Ready(Some(Ok(frame))) if first.is_none() => first = Some(frame),
                    Poll::Ready(Some(Ok(frame))) => {
                        second = Some(frame);
                        return Poll::Ready(Ok(false));
                    }
                    Poll::Ready(Some(Err(status))) => return Poll::Ready(Err(status)),
                    Poll::Ready(None) => return Poll::Ready(Ok(true)),
                    Poll::Pending => return Poll::Ready(Ok(false)),
                }
            }
        })
        .await?;
        if complete {
            let only = first.and_then(|frame| frame.into_data().ok());
            return Ok(Self::Whole(only.unwrap_or_default()));
        }
        let seen = first.into_iter().chain(second).collect();
        Ok(Self::Stream(Box::new(Streamed { seen, rest: body, sent: Arc::default() })))
    }

    /// What the next attempt sends; `None` when it was sent and cannot be again.
    pub(crate) fn take(&mut self) -> Option<Self> {
        match self {
            Self::Whole(bytes) => Some(Self::Whole(bytes.clone())),
            Self::Stream(_) => Some(std::mem::replace(self, Self::Spent)),
            Self::Spent => None,
        }
    }

    /// Gives back a payload of which nothing was sent.
    pub(crate) fn restore(&mut self, unsent: Self) {
        *self = unsent;
    }

    /// The message of a call that has one, with its prefix.
    pub(crate) fn message(&self) -> Option<&Bytes> {
        match self {
            Self::Whole(message) => Some(message),
            Self::Stream(_) | Self::Spent => None,
        }
    }

    pub(crate) fn repeatable(&self) -> bool {
        !matches!(self, Self::Spent)
    }
}

impl Streamed {
    /// Sends the frames as the peer's window allows. A failing body resets the
    /// stream, so that the server does not take its end for a regular one.
    pub(crate) async fn send(mut self, mut stream: SendStream<Bytes>) {
        let mut counter = Counter::default();
        loop {
            let frame = match self.seen.pop_front() {
                Some(frame) => Some(Ok(frame)),
                None => std::future::poll_fn(|cx| Pin::new(&mut self.rest).poll_frame(cx)).await,
            };
            match frame {
                Some(Ok(frame)) => {
                    let Ok(data) = frame.into_data() else {
                        continue;
                    };
                    counter.add(&data);
                    self.sent.store(counter.bytes(), Relaxed);
                    if send_data(&mut stream, data).await.is_err() {
                        return;
                    }
                }
                Some(Err(_)) => return stream.send_reset(h2::Reason::CANCEL),
                None => {
                    // An error means that the stream is gone, which the
                    // response tells.
                    let _ = stream.send_data(Bytes::new(), true);
                    return;
                }
            }
        }
    }
}

/// Sends bytes as the window allows; no end of stream.
pub(crate) async fn send_data(
    stream: &mut SendStream<Bytes>,
    mut data: Bytes,
) -> Result<(), h2::Error> {
    while !data.is_empty() {
        stream.reserve_capacity(data.len());
        let granted = std::future::poll_fn(|cx| stream.poll_capacity(cx)).await;
        // `None`: the stream has ended under us.
        let granted = granted.unwrap_or(Err(h2::Reason::CANCEL.into()))?;
        let part = data.split_to(granted.min(data.len()));
        stream.send_data(part, false)?;
    }
    Ok(())
}
