//! Metadata there and back, before the messages and after them.

use tokio_stream::iter;
use tonic::{
    Request,
    metadata::{BinaryMetadataValue, MetadataMap},
};

use super::{Failure, Peer, calls::ping, check, equal, zeros};
use crate::proto::SimpleRequest;

const INITIAL: &str = "x-grpc-test-echo-initial";
const INITIAL_VALUE: &str = "test_initial_metadata_value";
const TRAILING: &str = "x-grpc-test-echo-trailing-bin";
const TRAILING_VALUE: &[u8] = b"\xab\xab\xab";

fn with_metadata<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    let metadata = request.metadata_mut();
    metadata.insert(INITIAL, INITIAL_VALUE.parse().expect("it is ASCII"));
    metadata.insert_bin(TRAILING, BinaryMetadataValue::from_bytes(TRAILING_VALUE));
    request
}

pub(super) async fn custom(peer: &Peer) -> Result<(), Failure> {
    let (mut client, watched) = peer.watched();
    let request = SimpleRequest {
        response_size: 314_159,
        payload: zeros(271_828),
        ..SimpleRequest::default()
    };
    let response = client.unary_call(with_metadata(request)).await?;
    initial(&watched.headers())?;
    trailing(response.metadata())?;

    let requests = iter([ping(271_828, 314_159)]);
    let mut responses = client.full_duplex_call(with_metadata(requests)).await?.into_inner();
    check(responses.message().await?.is_some(), "there should be an answer")?;
    initial(&watched.headers())?;
    trailing(&responses.trailers().await?.unwrap_or_default())
}

fn initial(headers: &http::HeaderMap) -> Result<(), Failure> {
    let value = headers.get(INITIAL).map(|value| value.as_bytes());
    equal(INITIAL, &value, &Some(INITIAL_VALUE.as_bytes()))?;
    check(!headers.contains_key(TRAILING), "trailers should not come before the messages")
}

fn trailing(trailers: &MetadataMap) -> Result<(), Failure> {
    let value = trailers.get_bin(TRAILING).and_then(|value| value.to_bytes().ok());
    equal(TRAILING, &value.as_deref(), &Some(TRAILING_VALUE))
}
