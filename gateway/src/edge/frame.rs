//! One gRPC message on the wire: a flag, four bytes of length, the message
//! (gRPC over HTTP/2, "Length-Prefixed-Message").

use bytes::{Buf as _, Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, StatusCode, response::Parts};
use http_body::Body;
use http_body_util::BodyExt as _;
use tonic::{Code, Status};

use crate::error::code_of_http;

/// Flag and length.
pub(super) const PREFIX_BYTES: usize = 5;

/// Largest response message. Four times what a service accepts by default, and
/// the edge holds it twice: as it came, and as JSON.
const MAX_RESPONSE_BYTES: usize = 16 << 20;

/// A frame whose message is appended next, about so long.
pub(super) fn begin(message_bytes: usize) -> Vec<u8> {
    // Tags and lengths are a few bytes more than the text that they come from.
    let mut frame = Vec::with_capacity(PREFIX_BYTES + message_bytes + 64);
    frame.extend_from_slice(&[0; PREFIX_BYTES]);
    frame
}

/// The message in a frame that [`begin`] began.
pub(super) fn message(frame: &[u8]) -> &[u8] {
    &frame[PREFIX_BYTES..]
}

/// Fills in the length of what was appended.
pub(super) fn finish(frame: Vec<u8>) -> Bytes {
    finish_before(frame, 0)
}

/// Fills in the length of a message of which so many bytes follow elsewhere.
pub(super) fn finish_before(mut frame: Vec<u8>, following: usize) -> Bytes {
    let length = frame.len() - PREFIX_BYTES + following;
    let length = u32::try_from(length).expect("requests are bounded far below 4 GiB");
    frame[1..PREFIX_BYTES].copy_from_slice(&length.to_be_bytes());
    frame.into()
}

/// Reads the message of a unary call's answer.
///
/// # Errors
/// The service's own refusal, or what is wrong with its answer.
pub(super) async fn read_unary<B>(head: &Parts, body: &mut B) -> Result<Bytes, Status>
where
    B: Body<Data = Bytes, Error = Status> + Unpin,
{
    accepted(head)?;
    let mut received = Received::default();
    let mut trailers = None;
    while let Some(frame) = body.frame().await {
        match frame?.into_data() {
            Ok(data) => received.add(data)?,
            Err(frame) => trailers = frame.into_trailers().ok(),
        }
    }
    let trailers = trailers.ok_or_else(|| broken("the service's answer ends without a status"))?;
    if code(&trailers).is_none() {
        return Err(broken("the service's answer has no status"));
    }
    if let Some(status) = refusal(&trailers) {
        return Err(status);
    }
    one_message(received.into_bytes())
}

/// Whether an answer's head promises an answer.
pub(super) fn accepted(head: &Parts) -> Result<(), Status> {
    if head.status != StatusCode::OK {
        let message = format!("the service answered HTTP {}", head.status.as_u16());
        return Err(Status::new(code_of_http(head.status), message));
    }
    // Trailers-only: the whole answer is in the headers.
    refusal(&head.headers).map_or(Ok(()), Err)
}

/// What has arrived of an answer: mostly one piece, which is not copied.
#[derive(Default)]
struct Received {
    first: Bytes,
    all: BytesMut,
}

impl Received {
    fn add(&mut self, data: Bytes) -> Result<(), Status> {
        if self.first.len().max(self.all.len()) + data.len() > MAX_RESPONSE_BYTES {
            return Err(broken("the service's answer is too large"));
        }
        if self.first.is_empty() {
            self.first = data;
        } else {
            if self.all.is_empty() {
                self.all.extend_from_slice(&self.first);
            }
            self.all.extend_from_slice(&data);
        }
        Ok(())
    }

    fn into_bytes(self) -> Bytes {
        if self.all.is_empty() { self.first } else { self.all.freeze() }
    }
}

/// The status in headers or trailers, unless it is OK.
pub(super) fn refusal(headers: &HeaderMap) -> Option<Status> {
    // What most answers say is told without reading the rest of them.
    if code(headers).is_none_or(|code| code == "0") {
        return None;
    }
    Status::from_header_map(headers).filter(|status| status.code() != Code::Ok)
}

/// The value of `grpc-status`. Headers and trailers are few: to compare each is
/// less work than to hash the name.
fn code(headers: &HeaderMap) -> Option<&HeaderValue> {
    headers.iter().find(|(name, _)| name.as_str() == "grpc-status").map(|(_, code)| code)
}

fn one_message(mut received: Bytes) -> Result<Bytes, Status> {
    if received.len() < PREFIX_BYTES {
        return Err(broken("the service's answer has no message"));
    }
    let flag = received.get_u8();
    let length = received.get_u32() as usize;
    // The mesh has unpacked what the service has packed as it was offered.
    if flag != 0 {
        return Err(broken("the service's answer is compressed, and nothing says how"));
    }
    if received.len() != length {
        return Err(broken("the service's answer is not one message"));
    }
    Ok(received)
}

pub(super) fn broken(what: &str) -> Status {
    Status::internal(what)
}

#[cfg(test)]
mod tests {
    use http::Response;
    use http_body_util::{Full, StreamBody};

    use super::*;

    type Frame = Result<http_body::Frame<Bytes>, Status>;

    fn data(bytes: &'static [u8]) -> Frame {
        Ok(http_body::Frame::data(Bytes::from_static(bytes)))
    }

    fn trailers(status: &'static str) -> Frame {
        let mut map = HeaderMap::new();
        map.insert("grpc-status", status.parse().unwrap());
        Ok(http_body::Frame::trailers(map))
    }

    async fn read(frames: Vec<Frame>) -> Result<Bytes, Code> {
        let mut body = StreamBody::new(futures_util::stream::iter(frames));
        let (head, ()) = Response::new(()).into_parts();
        read_unary(&head, &mut body).await.map_err(|status| status.code())
    }

    #[tokio::test]
    async fn a_message_comes_in_any_number_of_pieces() {
        let whole = vec![data(b"\0\0\0\0\x02ab"), trailers("0")];
        assert_eq!(read(whole).await, Ok(Bytes::from_static(b"ab")));
        let pieces = vec![data(b"\0\0"), data(b"\0\0"), data(b"\x02a"), data(b"b"), trailers("0")];
        assert_eq!(read(pieces).await, Ok(Bytes::from_static(b"ab")));
        assert_eq!(read(vec![data(&[0; 5]), trailers("0")]).await, Ok(Bytes::new()));
    }

    #[test]
    fn a_message_is_appended_to_its_frame() {
        let mut frame = begin(2);
        frame.extend_from_slice(b"ab");
        assert_eq!(message(&frame), b"ab");
        assert_eq!(finish(frame), Bytes::from_static(b"\0\0\0\0\x02ab"));
        assert_eq!(finish(begin(0)), Bytes::from_static(b"\0\0\0\0\0"));
    }

    #[tokio::test]
    async fn an_answer_that_is_not_one_message_with_a_status_is_an_error() {
        let cases: Vec<(Vec<Frame>, Code)> = vec![
            (vec![], Code::Internal),
            (vec![data(&[0; 5])], Code::Internal),
            (vec![trailers("0")], Code::Internal),
            (vec![data(b"\x01\0\0\0\0"), trailers("0")], Code::Internal),
            (vec![data(b"\0\0\0\0\x02a"), trailers("0")], Code::Internal),
            (vec![data(&[0; 10]), trailers("0")], Code::Internal),
            (vec![trailers("5")], Code::NotFound),
            (vec![data(&[0; 5]), trailers("7")], Code::PermissionDenied),
            (vec![data(&[0; 5]), trailers("x")], Code::Unknown),
            (vec![Err(Status::deadline_exceeded("late"))], Code::DeadlineExceeded),
        ];
        for (at, (frames, code)) in cases.into_iter().enumerate() {
            assert_eq!(read(frames).await, Err(code), "case {at}");
        }
        let large = (0..17).map(|_| Ok(http_body::Frame::data(Bytes::from(vec![0; 1 << 20]))));
        assert_eq!(read(large.collect()).await, Err(Code::Internal));
    }

    #[tokio::test]
    async fn an_answer_that_is_not_grpc_maps_by_its_http_status() {
        let mut body = Full::new(Bytes::from_static(b"<html>")).map_err(|never| match never {});
        let (mut head, ()) = Response::new(()).into_parts();
        head.status = StatusCode::BAD_GATEWAY;
        let refused = read_unary(&head, &mut body).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unavailable);
    }
}
