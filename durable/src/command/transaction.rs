//! One transaction for each command: begun before the handler, committed after
//! its answer, rolled back when it refuses, fails, panics or is dropped.

use std::{
    mem,
    task::{Context, Poll},
};

use futures_util::future::BoxFuture;
use tower::{Layer, Service};

use super::{Command, Done, Work};
use crate::{Error, Store};

/// Runs commands in transactions of a store.
#[must_use]
pub fn transaction(store: Store) -> TransactionLayer {
    TransactionLayer(store)
}

/// See [`transaction()`].
#[derive(Clone, Debug)]
pub struct TransactionLayer(Store);

/// See [`transaction()`].
#[derive(Clone, Debug)]
pub struct Transaction<S> {
    store: Store,
    inner: S,
}

impl<S> Layer<S> for TransactionLayer {
    type Service = Transaction<S>;

    fn layer(&self, inner: S) -> Transaction<S> {
        Transaction { store: self.0.clone(), inner }
    }
}

impl<C, R, S> Service<Command<C>> for Transaction<S>
where
    C: Send + 'static,
    R: Send + 'static,
    S: Service<Work<C>, Response = Done<R>, Error: From<Error> + Send, Future: Send>
        + Clone
        + Send
        + 'static,
{
    type Response = R;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<R, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, command: Command<C>) -> Self::Future {
        let store = self.store.clone();
        let clone = self.inner.clone();
        // The one that was ready is used; its clone has yet to become so.
        let mut inner = mem::replace(&mut self.inner, clone);
        Box::pin(async move {
            let Command { body, caller, key } = command;
            let tx = store.begin().await?;
            let Done { answer, tx } = inner.call(Work { body, caller, key, tx }).await?;
            tx.commit().await?;
            Ok(answer)
        })
    }
}
