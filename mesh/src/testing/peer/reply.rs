//! What a misbehaving server does with one call.

use std::{future, time::Duration};

use bytes::{BufMut as _, Bytes, BytesMut};
use h2::{Reason, server::SendResponse};
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use tokio::sync::mpsc;
use tonic::{Code, Status};

use super::pump::Order;
use crate::testing::recorder::{End, Served};

const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");
/// What was handed to HTTP/2 has been written after this time: with paused time
/// it passes when nothing else can happen.
const WRITTEN: Duration = Duration::from_millis(1);

/// What a [`Peer`](super::Peer) does with one call.
#[derive(Clone, Debug)]
pub struct Reply {
    after: Duration,
    act: Act,
}

#[derive(Clone, Debug)]
enum Act {
    Message(Bytes),
    MessageWithoutStatus(Bytes),
    Status(Box<Status>),
    Http(StatusCode, HeaderValue),
    LongHeaders(usize),
    Reset(Reason, Before),
    GoAway(u32, Reason),
    Garbage,
    StopReading,
    Close,
    Never,
}

/// What is sent before a reset.
#[derive(Clone, Copy, Debug)]
enum Before {
    Nothing,
    Headers,
    Bytes(usize),
}

impl Reply {
    fn of(act: Act) -> Self {
        Self { after: Duration::ZERO, act }
    }

    /// This, once so much time has passed since the call arrived.
    #[must_use]
    pub fn after(mut self, time: Duration) -> Self {
        self.after = time;
        self
    }

    /// One message and the status OK, as it should be.
    #[must_use]
    pub fn message(message: &impl prost::Message) -> Self {
        Self::of(Act::Message(framed(message)))
    }

    /// One message, and the end of the stream without a status.
    #[must_use]
    pub fn message_without_status(message: &impl prost::Message) -> Self {
        Self::of(Act::MessageWithoutStatus(framed(message)))
    }

    /// A status in the headers, before any message, with its details and metadata.
    #[must_use]
    pub fn status(status: Status) -> Self {
        Self::of(Act::Status(Box::new(status)))
    }

    /// No answer at all.
    #[must_use]
    pub fn never() -> Self {
        Self::of(Act::Never)
    }

    /// RST_STREAM with REFUSED_STREAM: proof that the call was not processed.
    #[must_use]
    pub fn refused_stream() -> Self {
        Self::reset(Reason::REFUSED_STREAM.into())
    }

    /// RST_STREAM with this HTTP/2 error code, before any header.
    #[must_use]
    pub fn reset(code: u32) -> Self {
        Self::of(Act::Reset(code.into(), Before::Nothing))
    }

    /// Headers, then RST_STREAM with this HTTP/2 error code.
    #[must_use]
    pub fn reset_after_headers(code: u32) -> Self {
        Self::of(Act::Reset(code.into(), Before::Headers))
    }

    /// Headers and so many bytes of a message that is twice as long, then
    /// RST_STREAM with this HTTP/2 error code.
    #[must_use]
    pub fn reset_after_bytes(code: u32, bytes: usize) -> Self {
        Self::of(Act::Reset(code.into(), Before::Bytes(bytes)))
    }

    /// GOAWAY with this last stream and HTTP/2 error code, then the end of the
    /// connection. A client's streams are 1, 3, 5…: streams above the last one are
    /// proven unprocessed, so 0 disowns them all.
    #[must_use]
    pub fn go_away(last_stream: u32, code: u32) -> Self {
        Self::of(Act::GoAway(last_stream, code.into()))
    }

    /// An HTTP answer of something that speaks no gRPC, such as a proxy's page.
    ///
    /// # Panics
    /// When the status or the type cannot stand in a response.
    #[must_use]
    pub fn http(status: u16, content_type: &str) -> Self {
        let status = StatusCode::from_u16(status).expect("a test states a status");
        let content_type = HeaderValue::from_str(content_type).expect("a test states a type");
        Self::of(Act::Http(status, content_type))
    }

    /// A status OK whose metadata has so many bytes.
    #[must_use]
    pub fn long_headers(bytes: usize) -> Self {
        Self::of(Act::LongHeaders(bytes))
    }

    /// Bytes that are no HTTP/2 frame.
    #[must_use]
    pub fn garbage() -> Self {
        Self::of(Act::Garbage)
    }

    /// The peer reads nothing more from this connection, and does not answer.
    #[must_use]
    pub fn stop_reading() -> Self {
        Self::of(Act::StopReading)
    }

    /// The connection ends without a word.
    #[must_use]
    pub fn close() -> Self {
        Self::of(Act::Close)
    }

    /// Returns when there is nothing more to do for the call.
    pub(super) async fn give(
        self,
        respond: &mut SendResponse<Bytes>,
        orders: &mpsc::UnboundedSender<Order>,
        served: &mut Served,
    ) {
        if !self.after.is_zero() {
            tokio::select! {
                biased;
                () = gone(respond) => return,
                () = tokio::time::sleep(self.after) => {}
            }
        }
        if let Some(end) = self.act.end() {
            served.end(end);
        }
        match self.act {
            Act::Message(message) => answer(respond, message, true),
            Act::MessageWithoutStatus(message) => answer(respond, message, false),
            Act::Status(status) => {
                let mut headers = HeaderMap::new();
                status.add_header(&mut headers).expect("a test's status can be sent");
                last(respond, StatusCode::OK, GRPC, headers);
            }
            Act::Http(status, content_type) => {
                last(respond, status, content_type, HeaderMap::new());
            }
            Act::LongHeaders(bytes) => {
                let mut headers = ok();
                let long = HeaderValue::from_str(&"x".repeat(bytes)).expect("letters");
                headers.insert("long", long);
                last(respond, StatusCode::OK, GRPC, headers);
            }
            Act::Reset(reason, before) => reset(respond, reason, before).await,
            Act::GoAway(last_stream, reason) => {
                order(orders, Order::Send(go_away(last_stream, reason))).await;
                order(orders, Order::Close).await;
                future::pending().await
            }
            Act::Garbage => {
                order(orders, Order::Send(vec![0xff; 64])).await;
                future::pending().await
            }
            Act::StopReading => {
                order(orders, Order::StopReading).await;
                future::pending().await
            }
            Act::Close => {
                order(orders, Order::Close).await;
                future::pending().await
            }
            Act::Never => {
                // The record is dropped after that: the call was cancelled.
                gone(respond).await;
            }
        }
    }
}

impl Act {
    /// What is remembered of it; `None` for what has no end of its own.
    fn end(&self) -> Option<End> {
        match self {
            Self::Message(_) => Some(End::Answered(Code::Ok)),
            Self::Status(status) => Some(End::Answered(status.code())),
            Self::Never => None,
            _ => Some(End::Misbehaved),
        }
    }
}

/// Until the caller is gone.
async fn gone(respond: &mut SendResponse<Bytes>) {
    // An error means that the connection is gone, and the caller with it.
    let _ = future::poll_fn(|cx| respond.poll_reset(cx)).await;
}

/// Has something done to the connection; the stream itself is not ended.
async fn order(orders: &mpsc::UnboundedSender<Order>, order: Order) {
    tokio::time::sleep(WRITTEN).await;
    // An error means that the connection is gone.
    let _ = orders.send(order);
}

fn framed(message: &impl prost::Message) -> Bytes {
    let length = message.encoded_len();
    let mut framed = BytesMut::with_capacity(length + 5);
    framed.put_u8(0);
    framed.put_u32(u32::try_from(length).expect("a test's message is short"));
    message.encode(&mut framed).expect("it was made as long as needed");
    framed.freeze()
}

fn ok() -> HeaderMap {
    HeaderMap::from_iter([(http::HeaderName::from_static("grpc-status"), HeaderValue::from(0))])
}

fn head(status: StatusCode, content_type: HeaderValue, headers: HeaderMap) -> Response<()> {
    let mut head = Response::new(());
    *head.status_mut() = status;
    *head.headers_mut() = headers;
    head.headers_mut().insert(header::CONTENT_TYPE, content_type);
    head
}

fn last(
    respond: &mut SendResponse<Bytes>,
    status: StatusCode,
    content_type: HeaderValue,
    headers: HeaderMap,
) {
    // An error means that the caller is gone; so it is below.
    let _ = respond.send_response(head(status, content_type, headers), true);
}

fn answer(respond: &mut SendResponse<Bytes>, message: Bytes, with_status: bool) {
    let head = head(StatusCode::OK, GRPC, HeaderMap::new());
    if let Ok(mut stream) = respond.send_response(head, false) {
        let _ = stream.send_data(message, !with_status);
        if with_status {
            let _ = stream.send_trailers(ok());
        }
    }
}

async fn reset(respond: &mut SendResponse<Bytes>, reason: Reason, before: Before) {
    let bytes = match before {
        Before::Nothing => {
            respond.send_reset(reason);
            return;
        }
        Before::Headers => 0,
        Before::Bytes(bytes) => bytes,
    };
    let head = head(StatusCode::OK, GRPC, HeaderMap::new());
    let Ok(mut stream) = respond.send_response(head, false) else {
        return;
    };
    if bytes > 0 {
        let mut begun = BytesMut::zeroed(bytes);
        let announced = u32::try_from(2 * bytes).expect("a test's message is short");
        let prefix = [&[0][..], &announced.to_be_bytes()].concat();
        let shown = prefix.len().min(bytes);
        begun[..shown].copy_from_slice(&prefix[..shown]);
        let _ = stream.send_data(begun.freeze(), false);
    }
    tokio::time::sleep(WRITTEN).await;
    stream.send_reset(reason);
}

/// A GOAWAY frame (RFC 9113, section 6.8).
fn go_away(last_stream: u32, reason: Reason) -> Vec<u8> {
    let header = [0, 0, 8, 0x07, 0, 0, 0, 0, 0];
    let code: u32 = reason.into();
    [&header[..], &last_stream.to_be_bytes(), &code.to_be_bytes()].concat()
}
