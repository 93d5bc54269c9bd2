//! Refuses what is wrong in itself, before a transaction is begun for it.

use std::task::{Context, Poll};

use futures_util::future::{Either, Ready, ready};
use tower::{Layer, Service};

use super::Command;

/// A command that can be wrong whatever the state is. What the contract says of
/// single fields has been checked before; this is for rules across them.
pub trait Validate {
    /// Why it is wrong.
    type Error;

    /// Checks it.
    ///
    /// # Errors
    /// Why it is wrong.
    fn validate(&self) -> Result<(), Self::Error>;
}

/// Validates commands.
#[must_use]
pub fn validate() -> ValidateLayer {
    ValidateLayer(())
}

/// See [`validate()`].
#[derive(Clone, Copy, Debug)]
pub struct ValidateLayer(());

/// See [`validate()`].
#[derive(Clone, Debug)]
pub struct Validated<S>(S);

impl<S> Layer<S> for ValidateLayer {
    type Service = Validated<S>;

    fn layer(&self, inner: S) -> Validated<S> {
        Validated(inner)
    }
}

impl<C, S> Service<Command<C>> for Validated<S>
where
    C: Validate,
    S: Service<Command<C>, Error: From<C::Error>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Either<Ready<Result<S::Response, S::Error>>, S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, command: Command<C>) -> Self::Future {
        match command.body.validate() {
            Ok(()) => Either::Right(self.0.call(command)),
            Err(error) => Either::Left(ready(Err(error.into()))),
        }
    }
}
