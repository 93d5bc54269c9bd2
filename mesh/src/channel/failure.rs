//! How an attempt failed: as which status, and whether the server may have seen
//! the request.

use std::time::Duration;

use h2::Reason;
use http::{HeaderMap, HeaderName};
use tonic::{Code, Status};

use crate::status;

/// How long a server asks to be left alone, in milliseconds (gRFC A6).
const PUSHBACK: HeaderName = HeaderName::from_static("grpc-retry-pushback-ms");

/// Stands in a refusal that a server of the mesh gives before it looks at the
/// message. gRPC has no word for it: the code RESOURCE_EXHAUSTED proves nothing.
pub(crate) const UNPROCESSED: &str = "titan-unprocessed";

/// Whether a failed request may have been processed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    /// It never left this process.
    No,
    /// The peer said that it did not look at it: REFUSED_STREAM, or a GOAWAY
    /// whose last stream is before it.
    Refused,
    /// The peer turned it away before it looked at the message, since it has too
    /// much to do.
    TurnedAway,
    /// It may have been processed.
    Maybe,
    /// There was nobody to send it to, and waiting for somebody was in vain.
    Nowhere,
}

/// A failed attempt.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) status: Status,
    pub(crate) sent: Sent,
    pub(crate) pushback: Pushback,
}

/// What a failing server says about repetition (gRFC A6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pushback {
    /// Nothing.
    Silent,
    /// Not before this time has passed.
    After(Duration),
    /// Never: it is negative or cannot be read.
    Never,
}

impl Failure {
    pub(crate) fn new(status: Status, sent: Sent) -> Self {
        Self { status, sent, pushback: Pushback::Silent }
    }

    /// The server refused by status before its first message. It may have
    /// begun to work, unless it says that it has not.
    pub(crate) fn declared(headers: &mut HeaderMap) -> Self {
        // Taken out: it speaks of this hop, and a handler that passes the status
        // on has begun to work.
        let unprocessed = headers.remove(UNPROCESSED).is_some();
        let status = Status::from_header_map(headers);
        Self {
            status: status.unwrap_or_else(|| Status::unknown("the status is unreadable")),
            sent: if unprocessed { Sent::TurnedAway } else { Sent::Maybe },
            pushback: pushback(headers),
        }
    }

    /// The stream could not be opened.
    pub(crate) fn unsent(error: &h2::Error) -> Self {
        Self::new(from_h2(error), Sent::No)
    }

    /// The stream ended without a response.
    pub(crate) fn of_stream(error: &h2::Error) -> Self {
        let refused = error.is_remote()
            && (error.is_go_away() || error.reason() == Some(Reason::REFUSED_STREAM));
        Self::new(from_h2(error), if refused { Sent::Refused } else { Sent::Maybe })
    }
}

fn pushback(headers: &HeaderMap) -> Pushback {
    let Some(value) = headers.get(PUSHBACK) else {
        return Pushback::Silent;
    };
    let millis = value.to_str().ok().and_then(|text| text.parse().ok());
    millis.map_or(Pushback::Never, |millis| Pushback::After(Duration::from_millis(millis)))
}

/// The status of an HTTP/2 failure, by the table of gRPC over HTTP/2 ("Errors").
pub(crate) fn from_h2(error: &h2::Error) -> Status {
    let code = match error.reason() {
        Some(Reason::CANCEL) => Code::Cancelled,
        Some(Reason::ENHANCE_YOUR_CALM) => Code::ResourceExhausted,
        Some(Reason::INADEQUATE_SECURITY) => Code::PermissionDenied,
        Some(Reason::REFUSED_STREAM) => Code::Unavailable,
        Some(_) if error.is_reset() => Code::Internal,
        // The connection is gone, whatever took it.
        _ => Code::Unavailable,
    };
    status::refuse(code, "TRANSPORT", format!("the connection failed: {error}"))
}

pub(crate) fn deadline_exceeded() -> Status {
    status::refuse(Code::DeadlineExceeded, "DEADLINE", "the call's deadline has passed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_of_a_reset_becomes_its_code() {
        for (reason, code) in [
            (Reason::CANCEL, Code::Cancelled),
            (Reason::ENHANCE_YOUR_CALM, Code::ResourceExhausted),
            (Reason::INADEQUATE_SECURITY, Code::PermissionDenied),
            (Reason::REFUSED_STREAM, Code::Unavailable),
        ] {
            assert_eq!(from_h2(&reason.into()).code(), code, "{reason:?}");
        }
    }

    #[test]
    fn an_error_of_our_own_proves_nothing_about_the_peer() {
        let failure = Failure::of_stream(&Reason::REFUSED_STREAM.into());
        assert_eq!(failure.sent, Sent::Maybe);
    }
}
