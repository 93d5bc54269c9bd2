//! Refuses who may not give a command, before a transaction is begun for it and
//! before an answer is looked up that was meant for somebody else.

use std::{
    future::Future,
    mem,
    task::{Context, Poll},
};

use futures_util::future::BoxFuture;
use mesh::Caller;
use tower::{Layer, Service};

use super::Command;

/// Says who may give a command. The contract has said before who may call the
/// method at all; this is for what it cannot say: whose a thing is.
///
/// It runs before the transaction, so it may rest on what never changes, as the
/// owner of an order, and not on what another command could change meanwhile:
/// that is for the handler.
pub trait Authorize<C>: Clone + Send + Sync + 'static {
    /// Why the caller may not, or why that could not be found out.
    type Error: Send;

    /// Admits the caller or refuses them. A command on a thing that does not
    /// exist may be admitted: its handler will not find it either.
    ///
    /// # Errors
    /// Why not.
    fn authorize(
        &self,
        caller: &Caller,
        command: &C,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

/// Authorizes commands as `policy` says.
#[must_use]
pub fn authorize<P>(policy: P) -> AuthorizeLayer<P> {
    AuthorizeLayer(policy)
}

/// See [`authorize()`].
#[derive(Clone, Copy, Debug)]
pub struct AuthorizeLayer<P>(P);

/// See [`authorize()`].
#[derive(Clone, Debug)]
pub struct Authorized<P, S> {
    policy: P,
    inner: S,
}

impl<P: Clone, S> Layer<S> for AuthorizeLayer<P> {
    type Service = Authorized<P, S>;

    fn layer(&self, inner: S) -> Authorized<P, S> {
        Authorized { policy: self.0.clone(), inner }
    }
}

impl<C, P, S> Service<Command<C>> for Authorized<P, S>
where
    C: Send + Sync + 'static,
    P: Authorize<C>,
    S: Service<Command<C>, Error: From<P::Error>, Future: Send> + Clone + Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<S::Response, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, command: Command<C>) -> Self::Future {
        let policy = self.policy.clone();
        let clone = self.inner.clone();
        // The one that was ready is used; its clone has yet to become so.
        let mut inner = mem::replace(&mut self.inner, clone);
        Box::pin(async move {
            policy.authorize(&command.caller, &command.body).await?;
            inner.call(command).await
        })
    }
}
