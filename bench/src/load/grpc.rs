//! Unary calls through generated stubs, over each kind of channel.
//!
//! Several connections are several channels, each with a connection of its own,
//! over which the workers are dealt out: that is how tonic is told so, and the
//! mesh's `App::endpoint` opens a channel of its own each time, too.

use std::sync::Arc;

use bytes::Bytes;
use tonic::body::Body;

use super::{measure, of_worker};
use crate::{
    args::{Load, Method},
    echo::{self, EchoRequest, UncheckedRequest, echo_service_client::EchoServiceClient},
    floor, serve,
};

pub(super) async fn mesh(options: &Load) -> anyhow::Result<()> {
    let own = [("log", "warn")];
    let app = mesh::App::new(serve::settings("bench", &own, &options.settings)?)?;
    app.know(echo::DESCRIPTORS)?;
    calls(options, (0..options.connections).map(|_| app.endpoint(&options.address))).await
}

pub(super) async fn tonic(options: &Load) -> anyhow::Result<()> {
    let url = format!("http://{}", options.address);
    let endpoint = tonic::transport::Endpoint::from_shared(url)?.tcp_nodelay(true);
    let mut channels = Vec::new();
    for _ in 0..options.connections {
        channels.push(endpoint.connect().await?);
    }
    calls(options, channels).await
}

pub(super) async fn h2(options: &Load) -> anyhow::Result<()> {
    let mut channels = Vec::new();
    for _ in 0..options.connections {
        channels.push(floor::connect(&options.address).await?);
    }
    calls(options, channels).await
}

async fn calls<C>(options: &Load, channels: impl IntoIterator<Item = C>) -> anyhow::Result<()>
where
    C: tonic::client::GrpcService<Body> + Clone + Send + Sync + 'static,
    C::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    C::Future: Send,
    C::ResponseBody: http_body::Body<Data = Bytes> + Send + 'static,
    <C::ResponseBody as http_body::Body>::Error:
        Into<Box<dyn std::error::Error + Send + Sync>> + Send,
{
    let channels: Arc<[C]> = channels.into_iter().collect();
    let (method, size) = (options.method, options.size);
    measure(options, move |worker, calls, mut pace| {
        let mut client = EchoServiceClient::new(of_worker(&channels, worker));
        // A message is cloned, not built, for every call: its text is one
        // allocation, its payload none, whatever carries it.
        let message = echo::request(size);
        async move {
            let mut latencies = Vec::with_capacity(calls);
            for _ in 0..calls {
                let started = pace.turn().await;
                call(&mut client, method, message.clone()).await?;
                latencies.push(started.elapsed());
            }
            Ok(latencies)
        }
    })
    .await
}

async fn call<C>(
    client: &mut EchoServiceClient<C>,
    method: Method,
    message: EchoRequest,
) -> Result<(), tonic::Status>
where
    C: tonic::client::GrpcService<Body>,
    C::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    C::ResponseBody: http_body::Body<Data = Bytes> + Send + 'static,
    <C::ResponseBody as http_body::Body>::Error:
        Into<Box<dyn std::error::Error + Send + Sync>> + Send,
{
    match method {
        Method::Echo => client.echo(message).await,
        Method::WithoutDeadline => client.echo_without_deadline(message).await,
        Method::Public => client.echo_public(message).await,
        Method::Once => client.echo_once(message).await,
        Method::Unchecked => {
            let EchoRequest { key, payload } = message;
            client.echo_unchecked(UncheckedRequest { key, payload }).await
        }
    }?;
    Ok(())
}
