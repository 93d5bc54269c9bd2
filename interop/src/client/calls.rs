//! The four kinds of calls, with large messages and with none.

use tokio::sync::mpsc;
use tokio_stream::{iter, wrappers::ReceiverStream};

use super::{Failure, Peer, check, equal, size, zeros};
use crate::proto::{
    Empty, ResponseParameters, SimpleRequest, StreamingInputCallRequest, StreamingOutputCallRequest,
};

/// Bytes of the payloads that the streaming cases send, and ask for.
const SENT: [usize; 4] = [27_182, 8, 1_828, 45_904];
const ASKED: [i32; 4] = [31_415, 9, 2_653, 58_979];

pub(super) async fn empty_unary(peer: &Peer) -> Result<(), Failure> {
    peer.client().empty_call(Empty {}).await?;
    Ok(())
}

pub(super) async fn large_unary(peer: &Peer) -> Result<(), Failure> {
    let request = SimpleRequest {
        response_size: 314_159,
        payload: zeros(271_828),
        ..SimpleRequest::default()
    };
    let response = peer.client().unary_call(request).await?.into_inner();
    let payload = response.payload.unwrap_or_default();
    equal("the payload's size", &payload.body.len(), &314_159)?;
    check(payload.body.iter().all(|byte| *byte == 0), "the payload should be zeros")
}

pub(super) async fn client_streaming(peer: &Peer) -> Result<(), Failure> {
    let requests = SENT
        .map(|size| StreamingInputCallRequest { payload: zeros(size), expect_compressed: None });
    let response = peer.client().streaming_input_call(iter(requests)).await?.into_inner();
    equal("the sum", &response.aggregated_payload_size, &74_922)
}

pub(super) async fn server_streaming(peer: &Peer) -> Result<(), Failure> {
    let request = StreamingOutputCallRequest {
        response_parameters: ASKED.map(asked).to_vec(),
        ..StreamingOutputCallRequest::default()
    };
    let mut responses = peer.client().streaming_output_call(request).await?.into_inner();
    for asked in ASKED {
        let response = responses.message().await?;
        let found = response.map(|response| size(response.payload));
        equal("the payload's size", &found, &usize::try_from(asked).ok())?;
    }
    check(responses.message().await?.is_none(), "there should be four answers")
}

pub(super) async fn ping_pong(peer: &Peer) -> Result<(), Failure> {
    let (sender, requests) = mpsc::channel(1);
    let first = ping(SENT[0], ASKED[0]);
    // The channel has room for one, so this never waits.
    let _ = sender.send(first).await;
    let requests = ReceiverStream::new(requests);
    let mut responses = peer.client().full_duplex_call(requests).await?.into_inner();
    for (number, asked) in ASKED.into_iter().enumerate() {
        let response = responses.message().await?;
        let found = response.map(|response| size(response.payload));
        equal("the payload's size", &found, &usize::try_from(asked).ok())?;
        if let (Some(sent), Some(asked)) = (SENT.get(number + 1), ASKED.get(number + 1)) {
            let _ = sender.send(ping(*sent, *asked)).await;
        }
    }
    drop(sender);
    check(responses.message().await?.is_none(), "there should be four answers")
}

pub(super) async fn empty_stream(peer: &Peer) -> Result<(), Failure> {
    let mut responses = peer.client().full_duplex_call(iter([])).await?.into_inner();
    check(responses.message().await?.is_none(), "there should be no answer")
}

pub(super) fn ping(sent: usize, wanted: i32) -> StreamingOutputCallRequest {
    StreamingOutputCallRequest {
        response_parameters: vec![asked(wanted)],
        payload: zeros(sent),
        ..StreamingOutputCallRequest::default()
    }
}

fn asked(size: i32) -> ResponseParameters {
    ResponseParameters { size, ..ResponseParameters::default() }
}
