//! Refusals: their code and message, and what is not implemented.

use tokio_stream::iter;
use tonic::{Code, Status};

use super::{Failure, Peer, equal};
use crate::proto::{EchoStatus, Empty, SimpleRequest, StreamingOutputCallRequest};

/// Blanks, line ends, and characters in and beyond the Basic Multilingual Plane.
const SPECIAL: &str =
    "\t\ntest with whitespace\r\nand Unicode BMP \u{263a} and non-BMP \u{1f608}\t\n";

pub(super) async fn code_and_message(peer: &Peer) -> Result<(), Failure> {
    let message = "test status message";
    refused_with(unary(peer, message).await.as_ref(), message)?;
    let request = StreamingOutputCallRequest {
        response_status: Some(asked(message)),
        ..StreamingOutputCallRequest::default()
    };
    let refused = match peer.client().full_duplex_call(iter([request])).await {
        Ok(responses) => responses.into_inner().message().await.err(),
        Err(status) => Some(status),
    };
    refused_with(refused.as_ref(), message)
}

pub(super) async fn special_message(peer: &Peer) -> Result<(), Failure> {
    refused_with(unary(peer, SPECIAL).await.as_ref(), SPECIAL)
}

pub(super) async fn unimplemented_method(peer: &Peer) -> Result<(), Failure> {
    let refused = peer.client().unimplemented_call(Empty {}).await.err();
    equal("the status", &refused.map(|status| status.code()), &Some(Code::Unimplemented))
}

pub(super) async fn unimplemented_service(peer: &Peer) -> Result<(), Failure> {
    let refused = peer.unimplemented().unimplemented_call(Empty {}).await.err();
    equal("the status", &refused.map(|status| status.code()), &Some(Code::Unimplemented))
}

fn asked(message: &str) -> EchoStatus {
    EchoStatus { code: Code::Unknown as i32, message: message.to_owned() }
}

async fn unary(peer: &Peer, message: &str) -> Option<Status> {
    let request =
        SimpleRequest { response_status: Some(asked(message)), ..SimpleRequest::default() };
    peer.client().unary_call(request).await.err()
}

fn refused_with(refused: Option<&Status>, message: &str) -> Result<(), Failure> {
    let found = refused.map(|status| (status.code(), status.message()));
    equal("the status", &found, &Some((Code::Unknown, message)))
}
