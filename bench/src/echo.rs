//! What is called: a service that answers with what it is sent, so that only the
//! way of the call is measured, and a message of exactly the wanted size.

// Generated documentation is the contract's own.
#![allow(missing_docs, clippy::pedantic, unreachable_pub)]

use bytes::Bytes;
use prost::Message as _;
use tonic::{Request, Response, Status};

tonic::include_proto!("titan.bench.v1");

/// Contracts of this package, with their imports.
pub(crate) const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// Who asks; passes the rules of the contract.
const KEY: &str = "benches/echo";

/// A request that is `size` bytes long on the wire, as its answer is.
pub(crate) fn request(size: usize) -> EchoRequest {
    let mut request = EchoRequest { key: KEY.to_owned(), payload: Bytes::new() };
    let mut padding = size.saturating_sub(request.encoded_len());
    while request.encoded_len() != size && padding > 0 {
        request.payload = Bytes::from(vec![b'.'; padding]);
        padding -= 1;
    }
    request
}

/// Answers from what it was asked.
#[derive(Clone, Debug)]
pub(crate) struct Echo;

fn back(key: String, payload: Bytes) -> Result<Response<EchoResponse>, Status> {
    Ok(Response::new(EchoResponse { key, payload }))
}

#[tonic::async_trait]
impl echo_service_server::EchoService for Echo {
    async fn echo(&self, request: Request<EchoRequest>) -> Result<Response<EchoResponse>, Status> {
        let EchoRequest { key, payload } = request.into_inner();
        back(key, payload)
    }

    async fn echo_without_deadline(
        &self,
        request: Request<EchoRequest>,
    ) -> Result<Response<EchoResponse>, Status> {
        self.echo(request).await
    }

    async fn echo_unchecked(
        &self,
        request: Request<UncheckedRequest>,
    ) -> Result<Response<EchoResponse>, Status> {
        let UncheckedRequest { key, payload } = request.into_inner();
        back(key, payload)
    }

    async fn echo_public(
        &self,
        request: Request<EchoRequest>,
    ) -> Result<Response<EchoResponse>, Status> {
        self.echo(request).await
    }

    async fn echo_once(
        &self,
        request: Request<EchoRequest>,
    ) -> Result<Response<EchoResponse>, Status> {
        self.echo(request).await
    }
}
