//! gRPC through the edge with tonic's client: frames untouched, trailers
//! included, and the edge's own services.

use std::net::SocketAddr;

use bytes::{Buf as _, BufMut as _, Bytes};
use mesh::{App, Channel, Settings};
use prost::Message as _;
use tokio_stream::StreamExt as _;
use tonic::{
    Code, Request, Status,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tonic_reflection::pb::v1alpha::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};

use crate::library::Setup;

/// Messages as they are.
#[derive(Clone, Copy, Debug, Default)]
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Raw;
    type Decoder = Raw;

    fn encoder(&mut self) -> Raw {
        Raw
    }

    fn decoder(&mut self) -> Raw {
        Raw
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, target: &mut EncodeBuf<'_>) -> Result<(), Status> {
        target.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, source: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        let length = source.remaining();
        Ok(Some(source.copy_to_bytes(length)))
    }
}

/// A client that knows nothing but the edge's address.
fn outside(address: SocketAddr) -> Channel {
    let app = App::new(Settings::from_pairs("outside", &[("log", "warn")])).unwrap();
    app.endpoint(&address.to_string())
}

async fn client(channel: Channel) -> tonic::client::Grpc<Channel> {
    let mut client = tonic::client::Grpc::new(channel);
    client.ready().await.unwrap();
    client
}

fn book(name: &str) -> Request<Bytes> {
    #[derive(Clone, PartialEq, prost::Message)]
    struct GetBookRequest {
        #[prost(string, tag = "1")]
        name: String,
    }
    Request::new(GetBookRequest { name: name.to_owned() }.encode_to_vec().into())
}

const GET_BOOK: &str = "/library.v1.LibraryService/GetBook";

async fn unary(
    setup: &Setup,
    path: &'static str,
    request: Request<Bytes>,
) -> Result<tonic::Response<Bytes>, Status> {
    let path = http::uri::PathAndQuery::from_static(path);
    client(outside(setup.address)).await.unary(request, path, Raw).await
}

#[tokio::test]
async fn a_unary_call_passes_with_its_metadata_and_trailers() {
    let setup = Setup::new().await;
    let mut request = book("shelves/1/books/2");
    request.metadata_mut().insert("custom", "c".parse().unwrap());
    request
        .metadata_mut()
        .insert_bin("raw-bin", tonic::metadata::MetadataValue::from_bytes(&[0, 255]));
    let response = unary(&setup, GET_BOOK, request).await.unwrap();
    assert_eq!(response.metadata().get("x-shelf").unwrap(), "7");
    assert_eq!(response.metadata().get("x-trailer").unwrap(), "end");
    assert!(response.metadata().get("titan-secret").is_none());
    assert!(response.get_ref().windows(17).any(|window| window == b"shelves/1/books/2"));
    assert_eq!(setup.seen("custom").as_deref(), Some("c"));
    assert_eq!(setup.seen("raw-bin").as_deref(), Some("AP8"));
}

#[tokio::test]
async fn refusals_pass_as_they_are() {
    use tonic_types::StatusExt as _;
    let setup = Setup::new().await;
    let status = unary(&setup, GET_BOOK, book("books/missing")).await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::NotFound, "no ✓ book"));
    assert_eq!(status.get_details_error_info().unwrap().reason, "BOOK_MISSING");
}

#[tokio::test]
async fn streams_pass_in_both_directions_frame_by_frame() {
    let setup = Setup::new().await;
    let path = http::uri::PathAndQuery::from_static("/library.v1.LibraryService/Chat");
    let (sender, receiver) = tokio::sync::mpsc::channel::<Bytes>(1);
    let token = setup.token();
    let mut request = Request::new(tokio_stream::wrappers::ReceiverStream::new(receiver));
    request.metadata_mut().insert("authorization", token.parse().unwrap());
    sender.send(Bytes::from_static(b"\x12\x01a")).await.unwrap();
    let mut client = client(outside(setup.address)).await;
    let mut answers = client.streaming(request, path, Raw).await.unwrap().into_inner();
    // Each answer comes before the next message is sent: nothing is held back.
    assert_eq!(answers.next().await.unwrap().unwrap(), b"\x12\x01a".as_ref());
    sender.send(Bytes::from_static(b"\x12\x01b")).await.unwrap();
    assert_eq!(answers.next().await.unwrap().unwrap(), b"\x12\x01b".as_ref());
    drop(sender);
    assert!(answers.next().await.is_none());
    assert_eq!(answers.trailers().await.unwrap().unwrap().get("x-trailer").unwrap(), "end");
}

#[tokio::test]
async fn what_is_not_exposed_is_unimplemented() {
    let setup = Setup::new().await;
    for path in [
        "/library.v1.OtherService/Get",
        "/library.v1.LibraryService/Nope",
        "/titan.mesh.v1.FeedService/Subscribe",
        "/titan.mesh.v1.KeyService/ListKeys",
        "/grpc.channelz.v1.Channelz/GetTopChannels",
        "/nothing",
    ] {
        let status = unary(&setup, path, Request::new(Bytes::new())).await.unwrap_err();
        assert_eq!(status.code(), Code::Unimplemented, "{path}");
    }
}

#[tokio::test]
async fn a_deadline_is_kept_on_the_way_through() {
    let setup = Setup::new().await;
    let mut request = book("books/slow");
    request.set_timeout(std::time::Duration::from_millis(50));
    let status = unary(&setup, GET_BOOK, request).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
}

#[tokio::test]
async fn access_rules_hold_for_grpc_too() {
    let setup = Setup::new().await;
    let delete = "/library.v1.LibraryService/DeleteBook";
    let status = unary(&setup, delete, book("books/1")).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    let mut request = book("books/1");
    request.metadata_mut().insert("authorization", setup.token().parse().unwrap());
    unary(&setup, delete, request).await.unwrap();
    // A process that proves its name to the edge is nobody behind it.
    let path = http::uri::PathAndQuery::from_static("/library.v1.LibraryService/CountBooks");
    let inside = setup.mesh.app("projects").endpoint(&setup.address.to_string());
    let counted = client(inside).await.unary(book(""), path, Raw).await;
    let code = counted.unwrap_err().code();
    assert!(matches!(code, Code::Unauthenticated | Code::PermissionDenied), "{code:?}");
}

#[tokio::test]
async fn grpc_needs_http2_and_grpc_web_is_not_grpc() {
    let setup = Setup::new().await;
    let headers = [("content-type", "application/grpc")];
    assert_eq!(setup.bare("POST", GET_BOOK, &headers, "x").await.status, 505);
    let headers = [("content-type", "application/grpc-web+proto")];
    assert_eq!(setup.bare("POST", GET_BOOK, &headers, "x").await.status, 404);
}

#[tokio::test]
async fn health_is_the_edges_own() {
    let setup = Setup::new().await;
    let mut client = HealthClient::new(outside(setup.address));
    let check = |service: &str| HealthCheckRequest { service: service.to_owned() };
    for service in ["", "library.v1.LibraryService"] {
        let answer = client.check(check(service)).await.unwrap().into_inner();
        assert_eq!(answer.status, 1, "{service}");
    }
    assert_eq!(client.check(check("nope")).await.unwrap_err().code(), Code::NotFound);
    let mut watch = client.watch(check("")).await.unwrap().into_inner();
    assert_eq!(watch.message().await.unwrap().unwrap().status, 1);
}

async fn reflect(setup: &Setup, question: MessageRequest) -> MessageResponse {
    let mut client = ServerReflectionClient::new(outside(setup.address));
    let request = ServerReflectionRequest { host: String::new(), message_request: Some(question) };
    let answers = client.server_reflection_info(tokio_stream::once(request)).await.unwrap();
    answers.into_inner().message().await.unwrap().unwrap().message_response.unwrap()
}

#[tokio::test]
async fn reflection_lists_everything_behind_the_edge() {
    let setup = Setup::new().await;
    match reflect(&setup, MessageRequest::ListServices(String::new())).await {
        MessageResponse::ListServicesResponse(list) => {
            let names: Vec<_> = list.service.iter().map(|service| service.name.as_str()).collect();
            assert_eq!(
                names,
                [
                    "grpc.health.v1.Health",
                    "grpc.reflection.v1.ServerReflection",
                    "grpc.reflection.v1alpha.ServerReflection",
                    "library.v1.LibraryService",
                ]
            );
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn reflection_answers_with_options_and_imports() {
    let setup = Setup::new().await;
    let symbols = [
        "library.v1.LibraryService",
        "library.v1.LibraryService.GetBook",
        "library.v1.Book",
        "library.v1.Book.title",
        "library.v1.Book.Genre",
        "grpc.health.v1.Health",
    ];
    for symbol in symbols {
        match reflect(&setup, MessageRequest::FileContainingSymbol(symbol.to_owned())).await {
            MessageResponse::FileDescriptorResponse(files) => {
                let mut pool = prost_reflect::DescriptorPool::new();
                let set = files.file_descriptor_proto.iter().flat_map(|file| {
                    let mut field = vec![0x0a];
                    prost::encoding::encode_varint(file.len() as u64, &mut field);
                    field.extend_from_slice(file);
                    field
                });
                let set: Vec<u8> = set.collect();
                pool.decode_file_descriptor_set(set.as_slice()).unwrap();
                let Some(service) = pool.get_service_by_name("library.v1.LibraryService") else {
                    continue;
                };
                let http = pool.get_extension_by_name("google.api.http").unwrap();
                let method = service.methods().find(|method| method.name() == "GetBook").unwrap();
                assert!(method.options().has_extension(&http), "{symbol}");
            }
            other => panic!("{symbol}: {other:?}"),
        }
    }
    let unknown = MessageRequest::FileContainingSymbol("library.v1.Nope".to_owned());
    assert!(matches!(reflect(&setup, unknown).await, MessageResponse::ErrorResponse(_)));
    let file = MessageRequest::FileByFilename("titan/mesh/v1/options.proto".to_owned());
    assert!(matches!(reflect(&setup, file).await, MessageResponse::FileDescriptorResponse(_)));
}

#[tokio::test]
async fn rest_is_served_over_http2_as_well() {
    let setup = Setup::new().await;
    let stream = tokio::net::TcpStream::connect(setup.address).await.unwrap();
    let (mut client, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let request = http::Request::get("http://edge/v1/books/1").body(()).unwrap();
    let (response, _) = client.send_request(request, true).unwrap();
    let response = response.await.unwrap();
    assert_eq!(response.status(), 200);
    let mut received = Vec::new();
    let mut body = response.into_body();
    while let Some(data) = body.data().await {
        received.extend_from_slice(&data.unwrap());
    }
    assert!(received.starts_with(b"{\"name\":\"books/1\""));
}
