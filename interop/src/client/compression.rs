//! Compression, message by message and in both directions.

use mesh::compression::{Encoding, Pack};
use tokio_stream::iter;
use tonic::{Code, Request};

use super::{Failure, Peer, check, equal, size, zeros};
use crate::proto::{
    BoolValue, ResponseParameters, SimpleRequest, StreamingInputCallRequest,
    StreamingOutputCallRequest,
};

const UNARY_RESPONSE: usize = 314_159;

/// A message that says whether it is sent packed, and whether it is.
fn sent<T>(message: T, packed: bool) -> Request<T> {
    let mut request = Request::new(message);
    if packed {
        // What every implementation knows.
        request.extensions_mut().insert(Pack::all().with(Encoding::Gzip));
    }
    request
}

fn unary(expect_compressed: bool) -> SimpleRequest {
    SimpleRequest {
        expect_compressed: Some(BoolValue { value: expect_compressed }),
        response_size: 314_159,
        payload: zeros(271_828),
        ..SimpleRequest::default()
    }
}

pub(super) async fn client_unary(peer: &Peer) -> Result<(), Failure> {
    let mut client = peer.client();
    let probe = client.unary_call(sent(unary(true), false)).await;
    refused(probe.err().map(|status| status.code()))?;
    for packed in [true, false] {
        let response = client.unary_call(sent(unary(packed), packed)).await?.into_inner();
        equal("the payload's size", &size(response.payload), &UNARY_RESPONSE)?;
    }
    Ok(())
}

pub(super) async fn server_unary(peer: &Peer) -> Result<(), Failure> {
    let (mut client, watched) = peer.watched();
    for packed in [true, false] {
        let request = SimpleRequest {
            response_compressed: Some(BoolValue { value: packed }),
            response_size: 314_159,
            payload: zeros(271_828),
            ..SimpleRequest::default()
        };
        let response = client.unary_call(request).await?.into_inner();
        equal("the payload's size", &size(response.payload), &UNARY_RESPONSE)?;
        equal("the compressed flag", &watched.packed(), &Some(packed))?;
    }
    Ok(())
}

fn streamed(bytes: usize, expect_compressed: bool) -> StreamingInputCallRequest {
    StreamingInputCallRequest {
        payload: zeros(bytes),
        expect_compressed: Some(BoolValue { value: expect_compressed }),
    }
}

pub(super) async fn client_streaming(peer: &Peer) -> Result<(), Failure> {
    let mut client = peer.client();
    let probe = client.streaming_input_call(iter([streamed(27_182, true)])).await;
    refused(probe.err().map(|status| status.code()))?;

    let messages = [streamed(27_182, true), streamed(45_904, false)];
    let mut request = Request::new(iter(messages));
    request.extensions_mut().insert(Pack::all().with(Encoding::Gzip).only(|number| number == 0));
    let response = client.streaming_input_call(request).await?.into_inner();
    equal("the sum", &response.aggregated_payload_size, &73_086)
}

pub(super) async fn server_streaming(peer: &Peer) -> Result<(), Failure> {
    let (mut client, watched) = peer.watched();
    let asked = [(31_415, true), (92_653, false)];
    let request = StreamingOutputCallRequest {
        response_parameters: asked.map(|(size, packed)| parameters(size, packed)).to_vec(),
        ..StreamingOutputCallRequest::default()
    };
    let mut responses = client.streaming_output_call(request).await?.into_inner();
    for (bytes, packed) in asked {
        let found = responses.message().await?.map(|response| size(response.payload));
        equal("the payload's size", &found, &usize::try_from(bytes).ok())?;
        equal("the compressed flag", &watched.packed(), &Some(packed))?;
    }
    check(responses.message().await?.is_none(), "there should be two answers")
}

fn parameters(size: i32, packed: bool) -> ResponseParameters {
    let compressed = Some(BoolValue { value: packed });
    ResponseParameters { size, compressed, ..ResponseParameters::default() }
}

/// A server that looks at the flag refuses a message that lies about it.
fn refused(code: Option<Code>) -> Result<(), Failure> {
    equal("the probe's status", &code, &Some(Code::InvalidArgument))
}
