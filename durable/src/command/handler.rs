//! The innermost service: a handler written as an `async fn`.

use std::{
    future::Future,
    task::{Context, Poll},
};

use futures_util::future::BoxFuture;
use tower::Service;

use super::{Done, Work};
use crate::Tx;

/// Decides on a command and writes its effect.
pub trait Handler<C>: Clone + Send + Sync + 'static {
    /// What the caller is told; a message when the command is idempotent.
    type Answer: Send + 'static;
    /// Why the command was refused. Its transaction is rolled back.
    type Error: Send + 'static;

    /// Handles it. May be dropped at any point, which rolls back.
    fn handle(
        &self,
        tx: &mut Tx,
        command: C,
    ) -> impl Future<Output = Result<Self::Answer, Self::Error>> + Send;
}

/// A handler as a service, for the inside of a stack of layers.
#[must_use]
pub fn handler<H>(handler: H) -> HandlerService<H> {
    HandlerService(handler)
}

/// See [`handler()`].
#[derive(Clone, Debug)]
pub struct HandlerService<H>(H);

impl<C, H> Service<Work<C>> for HandlerService<H>
where
    C: Send + 'static,
    H: Handler<C>,
{
    type Response = Done<H::Answer>;
    type Error = H::Error;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, work: Work<C>) -> Self::Future {
        let handler = self.0.clone();
        Box::pin(async move {
            let Work { body, mut tx, .. } = work;
            let answer = handler.handle(&mut tx, body).await?;
            Ok(Done { answer, tx })
        })
    }
}
