//! The services of a process by name, and the table that is compiled from them
//! and the contracts at start: one look-up by path gives all that a call needs.

use std::{
    any::Any,
    collections::HashMap,
    convert::Infallible,
    fmt,
    hash::{BuildHasherDefault, Hasher},
    sync::Arc,
};

use futures_util::future::BoxFuture;
use http::{Request, Response};
use tonic::{body::Body, server::NamedService};

use super::request::RequestBody;
use crate::contract::{Contracts, Method};

/// A handler's answer under way.
pub(crate) type Answer = BoxFuture<'static, Result<Response<Body>, Infallible>>;

/// gRPC services that a process serves.
#[derive(Default)]
pub struct Routes {
    services: HashMap<&'static str, Arc<dyn Service>>,
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
        self.services.insert(S::NAME, Arc::new(service));
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

    /// Joins services and contracts.
    pub(crate) fn compile(self, contracts: &Contracts) -> Table {
        let entry = |method: &Arc<Method>| Entry {
            service: self.services.get(method.service.as_str()).cloned(),
            method: method.clone(),
        };
        let methods =
            contracts.methods().map(|method| (method.path.as_str().into(), entry(method)));
        Table { methods: methods.collect(), services: self.services }
    }
}

impl fmt::Debug for Routes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.services.keys()).finish()
    }
}

/// What a process serves, by path.
pub(crate) struct Table {
    methods: HashMap<Box<str>, Entry, BuildHasherDefault<PathHasher>>,
    services: HashMap<&'static str, Arc<dyn Service>>,
}

struct Entry {
    method: Arc<Method>,
    /// `None` for a contract that another process serves.
    service: Option<Arc<dyn Service>>,
}

/// Where a path leads.
#[derive(Clone, Copy)]
pub(crate) struct Route<'a> {
    /// `None` when no contract knows the path.
    pub(crate) method: Option<&'a Arc<Method>>,
    /// `None` when this process does not serve it.
    pub(crate) service: Option<&'a dyn Service>,
}

impl Table {
    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.services.keys().copied()
    }

    pub(crate) fn route(&self, path: &str) -> Route<'_> {
        match self.methods.get(path) {
            Some(entry) => Route { method: Some(&entry.method), service: entry.service.as_deref() },
            // Health and reflection have no contract of the mesh.
            None => {
                let service = self.services.get(service_of(path)).map(AsRef::as_ref);
                Route { method: None, service }
            }
        }
    }
}

/// The service in a path such as `/titan.projects.v1.ProjectsService/GetProject`.
pub(super) fn service_of(path: &str) -> &str {
    path.split('/').nth(1).unwrap_or_default()
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.services.keys()).finish()
    }
}

/// Hashes the paths of a table whose keys are fixed at start, so that nobody can
/// choose keys that collide: eight bytes a step.
#[derive(Default)]
struct PathHasher(u64);

impl Hasher for PathHasher {
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.write_u64(u64::from_le_bytes(*word));
        }
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        self.write_u64(u64::from_le_bytes(last));
    }

    fn write_u8(&mut self, byte: u8) {
        self.write_u64(byte.into());
    }

    #[expect(clippy::cast_possible_truncation, reason = "both halves are taken")]
    fn write_u64(&mut self, word: u64) {
        // An odd number without a pattern: 2^64 by the golden ratio. A product
        // mixes upwards only, so its upper half is folded down.
        let product = u128::from(self.0 ^ word) * 0x9e37_79b9_7f4a_7c15;
        self.0 = (product as u64) ^ ((product >> 64) as u64);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// A service with its type erased.
pub(crate) trait Service: Send + Sync {
    /// Hands it a request.
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
        let mut answer = Some(tower::Service::call(&mut service, request));
        // Theirs are boxed already: no second box around them.
        match (&mut answer as &mut dyn Any).downcast_mut::<Option<Answer>>() {
            Some(boxed) => boxed.take().expect("it was put there"),
            None => Box::pin(answer.take().expect("it was put there")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_of_a_contract_has_its_route_and_nothing_else_has_one() {
        let contracts = Contracts::load(&[]).unwrap();
        let table = Routes::new().compile(&contracts);
        for method in contracts.methods() {
            let route = table.route(&method.path);
            assert!(Arc::ptr_eq(route.method.unwrap(), method), "{}", method.path);
        }
        for path in ["", "/", "/titan.mesh.v1.KeyService", "/titan.mesh.v1.KeyService/ListKey"] {
            assert!(table.route(path).method.is_none(), "{path}");
        }
    }

    #[test]
    fn paths_spread_over_the_table() {
        let hash = |path: &str| {
            let mut hasher = PathHasher::default();
            hasher.write(path.as_bytes());
            hasher.finish() % 1024
        };
        let paths = (0..512).map(|number| format!("/titan.shop.v1.Service{number}/Get"));
        let used: std::collections::HashSet<u64> = paths.map(|path| hash(&path)).collect();
        // 512 balls that fall at random into 1024 boxes hit 403 of them.
        assert!(used.len() > 350, "{}", used.len());
    }
}
