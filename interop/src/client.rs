//! The cases: what is called, and what must come back.

mod calls;
mod cancel;
mod compression;
mod metadata;
pub mod soak;
mod status;
mod watched;

use clap::ValueEnum;
use mesh::{App, Channel};
use tonic::Status;

use self::watched::Watched;
use crate::proto::{
    Payload, test_service_client::TestServiceClient,
    unimplemented_service_client::UnimplementedServiceClient,
};

/// A case of the specification, by its name there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the specification describes them")]
pub enum Case {
    EmptyUnary,
    LargeUnary,
    ClientCompressedUnary,
    ServerCompressedUnary,
    ClientStreaming,
    ClientCompressedStreaming,
    ServerStreaming,
    ServerCompressedStreaming,
    PingPong,
    EmptyStream,
    CustomMetadata,
    StatusCodeAndMessage,
    SpecialStatusMessage,
    UnimplementedMethod,
    UnimplementedService,
    CancelAfterBegin,
    CancelAfterFirstResponse,
    TimeoutOnSleepingServer,
    RpcSoak,
    ChannelSoak,
}

/// How a server failed a case.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// A call failed that should not have.
    #[error("a call failed: {0}")]
    Call(#[from] Status),
    /// A call went another way than the specification says.
    #[error("{0}")]
    Mismatch(String),
}

/// A server under test.
#[derive(Clone, Debug)]
pub struct Peer {
    app: App,
    address: String,
    channel: Channel,
}

impl Peer {
    /// The server at an address; must be called within a runtime.
    #[must_use]
    pub fn at(app: &App, address: &str) -> Self {
        let channel = app.endpoint(address);
        Self { app: app.clone(), address: address.to_owned(), channel }
    }

    /// The same server over connections of its own.
    fn afresh(&self) -> Self {
        Self::at(&self.app, &self.address)
    }

    fn client(&self) -> TestServiceClient<Watched> {
        self.watched().0
    }

    fn watched(&self) -> (TestServiceClient<Watched>, Watched) {
        let watched = Watched::over(self.channel.clone());
        (TestServiceClient::new(watched.clone()), watched)
    }

    fn unimplemented(&self) -> UnimplementedServiceClient<Channel> {
        UnimplementedServiceClient::new(self.channel.clone())
    }
}

/// Runs a case; the soak cases by their plan.
///
/// # Errors
/// What the server did wrong.
pub async fn run(case: Case, peer: &Peer, plan: &soak::Plan) -> Result<(), Failure> {
    match case {
        Case::EmptyUnary => calls::empty_unary(peer).await,
        Case::LargeUnary => calls::large_unary(peer).await,
        Case::ClientStreaming => calls::client_streaming(peer).await,
        Case::ServerStreaming => calls::server_streaming(peer).await,
        Case::PingPong => calls::ping_pong(peer).await,
        Case::EmptyStream => calls::empty_stream(peer).await,
        Case::ClientCompressedUnary => compression::client_unary(peer).await,
        Case::ServerCompressedUnary => compression::server_unary(peer).await,
        Case::ClientCompressedStreaming => compression::client_streaming(peer).await,
        Case::ServerCompressedStreaming => compression::server_streaming(peer).await,
        Case::CustomMetadata => metadata::custom(peer).await,
        Case::StatusCodeAndMessage => status::code_and_message(peer).await,
        Case::SpecialStatusMessage => status::special_message(peer).await,
        Case::UnimplementedMethod => status::unimplemented_method(peer).await,
        Case::UnimplementedService => status::unimplemented_service(peer).await,
        Case::CancelAfterBegin => cancel::after_begin(peer).await,
        Case::CancelAfterFirstResponse => cancel::after_first_response(peer).await,
        Case::TimeoutOnSleepingServer => cancel::timeout_on_sleeping_server(peer).await,
        Case::RpcSoak => soak::run(peer, plan, false).await,
        Case::ChannelSoak => soak::run(peer, plan, true).await,
    }
}

fn check(holds: bool, otherwise: impl Into<String>) -> Result<(), Failure> {
    if holds { Ok(()) } else { Err(Failure::Mismatch(otherwise.into())) }
}

fn equal<T: PartialEq + std::fmt::Debug>(
    what: &str,
    found: &T,
    expected: &T,
) -> Result<(), Failure> {
    check(found == expected, format!("{what} should be {expected:?}, but is {found:?}"))
}

fn zeros(size: usize) -> Option<Payload> {
    Some(Payload { body: vec![0; size], ..Payload::default() })
}

fn size(payload: Option<Payload>) -> usize {
    payload.map_or(0, |payload| payload.body.len())
}
