//! Calls that end before their answer does.

use std::{pin::pin, time::Duration};

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request};

use super::{
    Failure, Peer,
    calls::{self, ping},
    check, equal, zeros,
};
use crate::proto::{StreamingInputCallRequest, StreamingOutputCallRequest};

pub(super) async fn after_begin(peer: &Peer) -> Result<(), Failure> {
    // With a connection at hand, the first look at a call sends its headers.
    calls::empty_unary(peer).await?;
    let (_open, requests) = mpsc::channel::<StreamingInputCallRequest>(1);
    let mut request = Request::new(ReceiverStream::new(requests));
    let cancellation = request.cancellation_handle();
    let mut client = peer.client();
    let mut call = pin!(client.streaming_input_call(request));
    tokio::select! {
        biased;
        ended = &mut call => return cancelled(ended.err().map(|status| status.code())),
        () = std::future::ready(()) => cancellation.cancel(),
    }
    cancelled(call.await.err().map(|status| status.code()))
}

pub(super) async fn after_first_response(peer: &Peer) -> Result<(), Failure> {
    let (sender, requests) = mpsc::channel(1);
    // The channel has room for one, so this never waits.
    let _ = sender.send(ping(27_182, 31_415)).await;
    let mut request = Request::new(ReceiverStream::new(requests));
    let cancellation = request.cancellation_handle();
    let mut responses = peer.client().full_duplex_call(request).await?.into_inner();
    check(responses.message().await?.is_some(), "there should be an answer")?;
    cancellation.cancel();
    cancelled(responses.message().await.err().map(|status| status.code()))
}

pub(super) async fn timeout_on_sleeping_server(peer: &Peer) -> Result<(), Failure> {
    // A connection takes longer than this call may: without one at hand it would tell
    // that nobody was reached, which the mesh prefers to "too late".
    calls::empty_unary(peer).await?;
    let (sender, requests) = mpsc::channel(1);
    let message = StreamingOutputCallRequest {
        payload: zeros(27_182),
        ..StreamingOutputCallRequest::default()
    };
    let _ = sender.send(message).await;
    let mut request = Request::new(ReceiverStream::new(requests));
    request.set_timeout(Duration::from_millis(1));
    let ended = match peer.client().full_duplex_call(request).await {
        Ok(responses) => responses.into_inner().message().await.err(),
        Err(status) => Some(status),
    };
    let code = ended.map(|status| status.code());
    equal("the status", &code, &Some(Code::DeadlineExceeded))
}

fn cancelled(code: Option<Code>) -> Result<(), Failure> {
    equal("the status", &code, &Some(Code::Cancelled))
}
