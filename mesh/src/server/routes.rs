//! The services of a process by name.

use std::{collections::HashMap, convert::Infallible, fmt, future::Future, pin::Pin};

use http::{Request, Response};
use tonic::{body::Body, server::NamedService};

use super::request::RequestBody;

/// A handler's answer under way.
pub(crate) type Answer = Pin<Box<dyn Future<Output = Response<Body>> + Send>>;

/// gRPC services that a process serves.
#[derive(Default)]
pub struct Routes {
    services: HashMap<&'static str, Box<dyn Service>>,
}

impl Routes {
    /// No services.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a service as tonic generates it. A service of the same name is
    /// replaced.
    #[must_use]
    #[expect(clippy::should_implement_trait, reason = "routes are added to, not summed")]
    pub fn add<S>(mut self, service: S) -> Self
    where
        S: tower::Service<Request<RequestBody>, Response = Response<Body>, Error = Infallible>
            + NamedService
            + Clone
            + Send
            + Sync
            + 'static,
        S::Future: Send + 'static,
    {
        self.services.insert(S::NAME, Box::new(service));
        self
    }

    /// Adds all services of others.
    #[must_use]
    pub fn merge(mut self, others: Self) -> Self {
        self.services.extend(others.services);
        self
    }

    /// Full names of the services.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.services.keys().copied()
    }

    /// Hands a request to its service; `None` when there is none.
    pub(crate) fn call(&self, service: &str, request: Request<RequestBody>) -> Option<Answer> {
        Some(self.services.get(service)?.call(request))
    }
}

impl fmt::Debug for Routes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.services.keys()).finish()
    }
}

/// A service with its type erased.
trait Service: Send + Sync {
    fn call(&self, request: Request<RequestBody>) -> Answer;
}

impl<S> Service for S
where
    S: tower::Service<Request<RequestBody>, Response = Response<Body>, Error = Infallible>
        + Clone
        + Send
        + Sync
        + 'static,
    S::Future: Send + 'static,
{
    fn call(&self, request: Request<RequestBody>) -> Answer {
        // Generated services are a few reference counts, and always ready.
        let mut service = self.clone();
        let answer = tower::Service::call(&mut service, request);
        Box::pin(async move { answer.await.unwrap_or_else(|never| match never {}) })
    }
}
