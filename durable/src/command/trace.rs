//! The outermost layer: a span for each command, and a line for each refusal.

use std::{
    any::type_name,
    fmt::Display,
    task::{Context, Poll},
};

use futures_util::future::BoxFuture;
use tower::{Layer, Service};
use tracing::Instrument as _;

use super::Command;

/// Traces commands by the name of their type.
#[must_use]
pub fn trace() -> TraceLayer {
    TraceLayer(())
}

/// See [`trace()`].
#[derive(Clone, Copy, Debug)]
pub struct TraceLayer(());

/// See [`trace()`].
#[derive(Clone, Debug)]
pub struct Trace<S>(S);

impl<S> Layer<S> for TraceLayer {
    type Service = Trace<S>;

    fn layer(&self, inner: S) -> Trace<S> {
        Trace(inner)
    }
}

impl<C, S> Service<Command<C>> for Trace<S>
where
    S: Service<Command<C>, Future: Send + 'static, Error: Display>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<S::Response, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, command: Command<C>) -> Self::Future {
        let path = type_name::<C>();
        let name = path.rsplit("::").next().unwrap_or(path);
        let span = tracing::info_span!("command", name, caller = command.caller.actor());
        let answer = span.in_scope(|| self.0.call(command));
        let logged = async move {
            let answer = answer.await;
            if let Err(error) = &answer {
                tracing::debug!(%error, "refused");
            }
            answer
        };
        Box::pin(logged.instrument(span))
    }
}
