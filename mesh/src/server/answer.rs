//! How an answer goes out: messages as the caller's window allows, then one
//! status, in trailers that the caller's limit of headers lets through.

use bytes::Bytes;
use h2::{Reason, SendStream, server::SendResponse};
use http::{HeaderMap, HeaderName, HeaderValue, Response, header};
use http_body::Body as _;
use tonic::{Code, Status, body::Body};

use super::{limits::MAX_TRAILER_BYTES, outcome::Outcome, payload::Payload};
use crate::{
    call,
    channel::{code_of, payload::send_data},
    status,
};

pub(super) const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");

/// The first message of an answer is handed to HTTP/2 without asking whether the
/// caller's window has room for it, if it is no larger than a frame: it waits
/// there for the window as it would wait here, and asking takes the connection's
/// lock twice more.
const SENT_UNASKED: usize = 16 << 10;

/// What tells a caller not to repeat its call (gRFC A6).
const PUSHBACK: HeaderName = HeaderName::from_static("grpc-retry-pushback-ms");
const NEVER: HeaderValue = HeaderValue::from_static("-1");

/// Forbids to repeat the call that is being handled when what failed is a call
/// that it made in turn, which has been repeated here.
pub(super) fn repeat_once(headers: &mut HeaderMap) {
    if call::current().is_some_and(|call| call.spent()) {
        headers.insert(PUSHBACK, NEVER);
    }
}

/// Why an answer was not sent to its end.
pub(super) enum Unsent {
    /// The caller has gone away.
    Gone,
    /// It has lasted long enough.
    Late(Status),
}

/// Sends messages and trailers as the caller's window allows.
pub(super) async fn send(
    mut body: Body,
    stream: &mut SendStream<Bytes>,
    sent: &mut Payload,
) -> Result<Code, Unsent> {
    let mut first = true;
    loop {
        let next = tokio::select! {
            biased;
            next = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)) => next,
            // A stream that has nothing to send must still notice.
            _ = std::future::poll_fn(|cx| stream.poll_reset(cx)) => return Err(Unsent::Gone),
        };
        let frame = match next {
            Some(Ok(frame)) => frame,
            Some(Err(status)) => {
                send_trailers(stream, trailers(&status));
                return Ok(status.code());
            }
            None => {
                stream.send_reset(Reason::INTERNAL_ERROR);
                return Ok(Code::Unknown);
            }
        };
        if let Some(data) = frame.data_ref() {
            sent.add(data);
        }
        match frame.into_data() {
            Ok(data) if first && data.len() <= SENT_UNASKED => {
                stream.send_data(data, false).map_err(|_| Unsent::Gone)?;
            }
            Ok(data) => send_data(stream, data).await.map_err(|_| Unsent::Gone)?,
            Err(frame) => {
                let trailers = frame.into_trailers().unwrap_or_default();
                let code = code_of(&trailers).unwrap_or(Code::Unknown);
                send_trailers(stream, trailers);
                return Ok(code);
            }
        }
        first = false;
    }
}

fn send_trailers(stream: &mut SendStream<Bytes>, mut trailers: HeaderMap) {
    shorten(&mut trailers);
    // An error means that the caller has gone away.
    let _ = stream.send_trailers(trailers);
}

fn trailers(status: &Status) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    if status.add_header(&mut trailers).is_err() {
        trailers.insert(Status::GRPC_STATUS, HeaderValue::from(status.code() as i32));
    }
    trailers
}

/// Ends an answer that has begun.
pub(super) fn end(stream: &mut SendStream<Bytes>, outcome: &mut Outcome<'_>, status: &Status) {
    outcome.decide(status.code());
    send_trailers(stream, trailers(status));
}

/// A status without a message before it: headers and trailers in one.
pub(super) fn refuse(
    respond: &mut SendResponse<Bytes>,
    outcome: &mut Outcome<'_>,
    status: &Status,
) {
    outcome.decide(status.code());
    let mut response = Response::new(());
    *response.version_mut() = http::Version::HTTP_2;
    *response.headers_mut() = trailers(status);
    shorten(response.headers_mut());
    response.headers_mut().insert(header::CONTENT_TYPE, GRPC);
    // An error means that the caller has gone away.
    let _ = respond.send_response(response, true);
}

/// Trailers over the limit of their reader reset the stream, and the status is
/// lost with them: first its text is cut, then everything but the status goes.
pub(super) fn shorten(trailers: &mut HeaderMap) {
    if size(trailers) <= MAX_TRAILER_BYTES {
        return;
    }
    if let Some(message) = trailers.get_mut(Status::GRPC_MESSAGE) {
        *message = cut(message);
    }
    if size(trailers) > MAX_TRAILER_BYTES {
        let kept: Vec<_> = [Status::GRPC_STATUS, Status::GRPC_MESSAGE, header::CONTENT_TYPE]
            .into_iter()
            .filter_map(|name| trailers.remove(&name).map(|value| (name, value)))
            .collect();
        tracing::warn!(bytes = size(trailers), "details of a status are too large to be sent");
        trailers.clear();
        trailers.extend(kept);
    }
}

/// As HTTP/2 counts it (RFC 9113 §6.5.2).
fn size(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 32).sum()
}

/// The first part of a percent-encoded message, cut between characters.
fn cut(message: &HeaderValue) -> HeaderValue {
    let bytes = message.as_bytes();
    let mut end = bytes.len().min(status::MAX_MESSAGE_BYTES);
    // Not within an escape, and not within the escapes of one character: those
    // of its later bytes are %80 to %BF.
    while let Some(escape) = (end.saturating_sub(2)..end).find(|at| bytes[*at] == b'%') {
        end = escape;
    }
    while bytes.get(end..end + 2).is_some_and(|next| {
        next[0] == b'%' && matches!(next[1], b'8' | b'9' | b'A' | b'B' | b'a' | b'b')
    }) {
        end = end.saturating_sub(3);
    }
    HeaderValue::from_bytes(&bytes[..end]).expect("a part of a header value is one")
}

#[cfg(test)]
mod tests {
    use tonic::metadata::MetadataValue;

    use super::*;

    fn sent(status: &Status) -> HeaderMap {
        let mut trailers = trailers(status);
        shorten(&mut trailers);
        assert!(size(&trailers) <= MAX_TRAILER_BYTES);
        trailers
    }

    #[test]
    fn a_status_of_usual_size_goes_as_it_is() {
        let mut status = Status::with_details(Code::Aborted, "redo", vec![1; 1_000].into());
        status.metadata_mut().insert("hint", MetadataValue::from_static("later"));
        let back = Status::from_header_map(&sent(&status)).unwrap();
        assert_eq!((back.code(), back.message()), (Code::Aborted, "redo"));
        assert_eq!(back.details().len(), 1_000);
        assert_eq!(back.metadata().get("hint").unwrap(), "later");
    }

    #[test]
    fn a_long_message_is_cut_between_characters() {
        for (text, pad) in [("x", 0), ("é", 0), ("é", 1), ("€", 0), ("€", 1), ("€", 2), ("𝄞", 3)]
        {
            let message = format!("{}{}", "p".repeat(pad), text.repeat(10_000));
            let back = Status::from_header_map(&sent(&Status::internal(message.clone()))).unwrap();
            assert_eq!(back.code(), Code::Internal);
            assert!(message.starts_with(back.message()), "{text} {pad}: {}", back.message());
            assert!(back.message().len() > 500, "{text} {pad}");
        }
    }

    #[test]
    fn the_status_survives_details_and_metadata_that_do_not() {
        let mut status = Status::with_details(Code::NotFound, "gone", vec![1; 20_000].into());
        status.metadata_mut().insert("hint", "h".repeat(9_000).parse().unwrap());
        let back = Status::from_header_map(&sent(&status)).unwrap();
        assert_eq!((back.code(), back.message()), (Code::NotFound, "gone"));
        assert!(back.details().is_empty());
    }
}
