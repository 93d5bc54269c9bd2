//! A call whose messages are known at run time only.

use anyhow::Context as _;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::{Buf as _, BufMut as _};
use mesh::Channel;
use prost::Message as _;
use prost_reflect::{DynamicMessage, MessageDescriptor, MethodDescriptor};
use tonic::{
    Request, Status, Streaming,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    metadata::{AsciiMetadataKey, BinaryMetadataKey, BinaryMetadataValue, MetadataMap},
};

use crate::failure::Refused;

/// Bytes of one response. A person at a terminal asked for it; this is only a
/// guard against a server gone wrong.
const MAX_ANSWER_BYTES: usize = 64 * 1024 * 1024;

/// The responses of a call, one after the other.
#[derive(Debug)]
pub(crate) struct Answers(Streaming<DynamicMessage>);

impl Answers {
    /// The next response; `None` after the last one.
    ///
    /// # Errors
    /// The status that the call ended with, when that was not OK.
    pub(crate) async fn next(&mut self) -> anyhow::Result<Option<DynamicMessage>> {
        Ok(self.0.message().await.map_err(Refused)?)
    }
}

/// Makes a call. On the wire a unary call is a stream of one message each way,
/// so all four kinds of methods are called alike.
///
/// # Errors
/// Headers that cannot be sent, or the status by which the call was refused.
pub(crate) async fn call(
    channel: Channel,
    method: &MethodDescriptor,
    requests: Vec<DynamicMessage>,
    headers: &[(String, String)],
) -> anyhow::Result<Answers> {
    let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
    let path = path.parse().context("the method's name cannot be called")?;
    let mut request = Request::new(tokio_stream::iter(requests));
    for (key, value) in headers {
        insert(request.metadata_mut(), key, value).with_context(|| format!("header {key}"))?;
    }
    let mut grpc = tonic::client::Grpc::new(channel).max_decoding_message_size(MAX_ANSWER_BYTES);
    grpc.ready().await.map_err(Refused)?;
    let answer = grpc.streaming(request, path, Dynamic(method.output())).await;
    Ok(Answers(answer.map_err(Refused)?.into_inner()))
}

fn insert(headers: &mut MetadataMap, key: &str, value: &str) -> anyhow::Result<()> {
    if key.ends_with("-bin") {
        let bytes = STANDARD.decode(value).context("a value of a -bin header is base64")?;
        let key: BinaryMetadataKey = key.parse()?;
        headers.append_bin(key, BinaryMetadataValue::from_bytes(&bytes));
    } else {
        let key: AsciiMetadataKey = key.parse()?;
        headers.append(key, value.parse()?);
    }
    Ok(())
}

/// Sends any message, receives messages of one type.
struct Dynamic(MessageDescriptor);

impl Codec for Dynamic {
    type Encode = DynamicMessage;
    type Decode = DynamicMessage;
    type Encoder = Outgoing;
    type Decoder = Incoming;

    fn encoder(&mut self) -> Outgoing {
        Outgoing
    }

    fn decoder(&mut self) -> Incoming {
        Incoming(self.0.clone())
    }
}

struct Outgoing;

impl Encoder for Outgoing {
    type Item = DynamicMessage;
    type Error = Status;

    fn encode(&mut self, message: DynamicMessage, into: &mut EncodeBuf<'_>) -> Result<(), Status> {
        into.put(message.encode_to_vec().as_slice());
        Ok(())
    }
}

struct Incoming(MessageDescriptor);

impl Decoder for Incoming {
    type Item = DynamicMessage;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<DynamicMessage>, Status> {
        let bytes = from.copy_to_bytes(from.remaining());
        DynamicMessage::decode(self.0.clone(), bytes)
            .map(Some)
            .map_err(|error| Status::internal(format!("the response cannot be read: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binary_headers_are_given_in_base64() {
        let mut headers = MetadataMap::new();
        insert(&mut headers, "x-trace-bin", "AQI=").unwrap();
        insert(&mut headers, "x-plain", "a: b").unwrap();
        assert_eq!(headers.get_bin("x-trace-bin").unwrap().to_bytes().unwrap().as_ref(), [1, 2]);
        assert_eq!(headers.get("x-plain").unwrap(), "a: b");
        assert!(insert(&mut headers, "x-bin", "not base64!").is_err());
        assert!(insert(&mut headers, "no spaces", "x").is_err());
    }
}
