//! Where batches come from: a feed service over whatever carries gRPC.

use futures_util::{StreamExt as _, future::BoxFuture, stream::BoxStream};
use mesh::proto::{
    ReportProgressRequest, SubscribeRequest, SubscribeResponse,
    feed_service_client::FeedServiceClient,
};
use tonic::{
    Status,
    body::Body,
    client::GrpcService,
    codegen::{Body as HttpBody, Bytes, StdError},
};

/// What a consumer needs of a channel: `mesh::Channel`, or in a test the
/// generated server itself.
pub trait Transport:
    GrpcService<
        Body,
        Future: Send,
        ResponseBody: HttpBody<Data = Bytes, Error: Into<StdError> + Send> + Send + 'static,
    > + Clone
    + Send
    + Sync
    + 'static
{
}

impl<T> Transport for T where
    T: GrpcService<
            Body,
            Future: Send,
            ResponseBody: HttpBody<Data = Bytes, Error: Into<StdError> + Send> + Send + 'static,
        > + Clone
        + Send
        + Sync
        + 'static
{
}

pub(super) type Responses = BoxStream<'static, Result<SubscribeResponse, Status>>;

/// A feed whose transport is forgotten, so that a consumer has no type parameter.
pub(super) trait Source: Send + Sync {
    fn open(&self, request: SubscribeRequest) -> BoxFuture<'_, Result<Responses, Status>>;
    fn report(&self, request: ReportProgressRequest) -> BoxFuture<'_, Result<(), Status>>;
}

impl<T: Transport> Source for FeedServiceClient<T> {
    fn open(&self, request: SubscribeRequest) -> BoxFuture<'_, Result<Responses, Status>> {
        let mut client = self.clone();
        Box::pin(async move { Ok(client.subscribe(request).await?.into_inner().boxed()) })
    }

    fn report(&self, request: ReportProgressRequest) -> BoxFuture<'_, Result<(), Status>> {
        let mut client = self.clone();
        Box::pin(async move { client.report_progress(request).await.map(drop) })
    }
}
