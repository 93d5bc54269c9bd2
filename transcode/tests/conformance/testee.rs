//! What the runner talks to: requests and responses on standard input and
//! output, each behind its length in four bytes.

use std::{
    io::{self, Read, Write},
    path::Path,
};

use prost::Message;
use prost_reflect::DescriptorPool;
use transcode::{MessageId, ReadOptions, Schema, WriteOptions};

/// `conformance.ConformanceRequest`, as far as it matters here.
#[derive(Clone, PartialEq, Message)]
struct Request {
    #[prost(oneof = "Payload", tags = "1, 2, 7, 8")]
    payload: Option<Payload>,
    #[prost(int32, tag = "3")]
    requested_output_format: i32,
    #[prost(string, tag = "4")]
    message_type: String,
    #[prost(int32, tag = "5")]
    test_category: i32,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum Payload {
    #[prost(bytes, tag = "1")]
    Protobuf(Vec<u8>),
    // Some cases are about texts that are not UTF-8.
    #[prost(bytes, tag = "2")]
    Json(Vec<u8>),
    #[prost(bytes, tag = "7")]
    Jspb(Vec<u8>),
    #[prost(bytes, tag = "8")]
    Text(Vec<u8>),
}

/// `conformance.ConformanceResponse`.
#[derive(Clone, PartialEq, Message)]
struct Response {
    #[prost(oneof = "Outcome", tags = "1, 3, 4, 5, 6")]
    outcome: Option<Outcome>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum Outcome {
    #[prost(string, tag = "1")]
    ParseError(String),
    #[prost(bytes, tag = "3")]
    Protobuf(Vec<u8>),
    #[prost(bytes, tag = "4")]
    Json(Vec<u8>),
    #[prost(string, tag = "5")]
    Skipped(String),
    #[prost(string, tag = "6")]
    SerializeError(String),
}

/// `WireFormat` and `TestCategory`.
const PROTOBUF: i32 = 1;
const JSON: i32 = 2;
const IGNORE_UNKNOWN: i32 = 3;

/// Answers until the runner closes its end.
pub(super) fn serve(protos: &Path) {
    let schema = schema(protos);
    let (mut input, mut output) = (io::stdin().lock(), io::stdout().lock());
    let mut len = [0; 4];
    while input.read_exact(&mut len).is_ok() {
        let mut request = vec![0; u32::from_le_bytes(len) as usize];
        input.read_exact(&mut request).unwrap();
        let outcome = answer(&schema, Request::decode(request.as_slice()).unwrap());
        let response = Response { outcome: Some(outcome) }.encode_to_vec();
        output.write_all(&u32::try_from(response.len()).unwrap().to_le_bytes()).unwrap();
        output.write_all(&response).unwrap();
        output.flush().unwrap();
    }
}

fn schema(protos: &Path) -> Schema {
    let files = ["test_messages_proto2.proto", "test_messages_proto3.proto"];
    let files = files.map(|file| format!("conformance/messages/{file}"));
    let set = protox::compile(files, [protos]).unwrap();
    Schema::compile(&DescriptorPool::from_file_descriptor_set(set).unwrap()).unwrap()
}

fn answer(schema: &Schema, request: Request) -> Outcome {
    let Some(message) = schema.message(&request.message_type) else {
        return Outcome::Skipped("prost-reflect does not read this type".to_owned());
    };
    let options = ReadOptions {
        ignore_unknown: request.test_category == IGNORE_UNKNOWN,
        ..ReadOptions::default()
    };
    let to = request.requested_output_format;
    match (request.payload, to) {
        (Some(Payload::Protobuf(wire)), JSON) => print(schema, message, &wire, Outcome::ParseError),
        (Some(Payload::Json(json)), PROTOBUF | JSON) => {
            let mut wire = Vec::new();
            match schema.to_wire(message, &json, &options, &mut wire) {
                Err(error) => Outcome::ParseError(error.to_string()),
                Ok(()) if to == PROTOBUF => Outcome::Protobuf(wire),
                Ok(()) => print(schema, message, &wire, Outcome::SerializeError),
            }
        }
        (Some(Payload::Protobuf(_)), PROTOBUF) => {
            Outcome::Skipped("the codec has JSON on one side".to_owned())
        }
        _ => Outcome::Skipped("neither ProtoJSON nor protobuf".to_owned()),
    }
}

fn print(
    schema: &Schema,
    message: MessageId,
    wire: &[u8],
    otherwise: fn(String) -> Outcome,
) -> Outcome {
    let mut json = Vec::new();
    match schema.to_json(message, wire, &WriteOptions::default(), &mut json) {
        Ok(()) => Outcome::Json(json),
        Err(error) if is_malformed(&error) => otherwise(error.to_string()),
        Err(error) => Outcome::SerializeError(error.to_string()),
    }
}

/// The runner tells apart what is no message and what has no JSON.
fn is_malformed(error: &transcode::WireError) -> bool {
    matches!(error.problem, transcode::WireProblem::Malformed | transcode::WireProblem::Utf8)
}
