//! What the edge knows of the applications behind it, as one immutable snapshot:
//! their descriptors, who serves which service, and the HTTP rules. A snapshot
//! is built beside the one in use and replaces it at once, or is refused and
//! changes nothing; a call keeps the snapshot that it began with.

pub mod binding;
mod etag;
pub mod policy;
pub mod source;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use arc_swap::ArcSwap;
use bytes::Bytes;
use prost_reflect::{DescriptorPool, MethodDescriptor};
use thiserror::Error;

pub use binding::{Binding, BindingError, Body};
pub(crate) use etag::Etag;
pub use policy::{Access, Policy};
pub use source::Source;

use crate::route::{Lookup, Path, Tree, Verb, tree};

/// Services that are the mesh's own business are never reachable from outside.
const HIDDEN: [&str; 2] = ["grpc.", "titan.mesh."];

/// Whether a service may be reached through the edge at all.
#[must_use]
pub fn is_exposed(service: &str) -> bool {
    !HIDDEN.iter().any(|prefix| service.starts_with(prefix))
}

/// Why a snapshot is refused.
#[derive(Debug, Error)]
pub enum SchemaError {
    /// A descriptor that cannot be decoded, or refers to what is not there.
    #[error("the descriptors of `{app}` cannot be used: {message}")]
    Descriptors {
        /// Application.
        app: String,
        /// What is wrong with them.
        message: String,
    },
    /// Two applications mean different things by the same file.
    #[error("`{file}` of `{later}` differs from that of `{earlier}`")]
    File {
        /// Path of the file.
        file: String,
        /// Application that has it already.
        earlier: String,
        /// Application that brings another one.
        later: String,
    },
    /// Two applications say that they serve the same service.
    #[error("service `{service}` is served by `{earlier}` and by `{later}`")]
    Service {
        /// Full name of the service.
        service: String,
        /// Application that has it already.
        earlier: String,
        /// Application that claims it as well.
        later: String,
    },
    /// A rule that does not follow google/api/http.proto.
    #[error("the HTTP rule of `{method}` {error}")]
    Binding {
        /// Full name of the method.
        method: String,
        /// What is wrong with it.
        error: BindingError,
    },
    /// Two rules answer to the same requests.
    #[error("`{earlier}` and `{later}` both answer to {verb} {template}")]
    Route {
        /// Full name of the method that has the requests already.
        earlier: String,
        /// Full name of the method that claims them as well.
        later: String,
        /// HTTP method.
        verb: Verb,
        /// Path template of the later one.
        template: String,
    },
}

/// A method as the edge calls it.
#[derive(Debug)]
pub struct Rpc {
    /// Application that serves it.
    pub app: Arc<str>,
    /// Path of the call: `/titan.projects.v1.ProjectsService/GetProject`.
    pub path: String,
    /// Its descriptor.
    pub method: MethodDescriptor,
    /// Its access rule and deadline.
    pub policy: Policy,
}

impl Rpc {
    /// Whether one message goes in and one comes out.
    #[must_use]
    pub fn is_unary(&self) -> bool {
        !self.method.is_client_streaming() && !self.method.is_server_streaming()
    }
}

/// One HTTP rule of one method.
#[derive(Debug)]
pub struct Route {
    /// The method that it calls.
    pub rpc: Arc<Rpc>,
    /// How requests map to it.
    pub binding: Binding,
    /// Where its request says which version it means.
    pub(crate) expects: Option<Etag>,
    /// Where its response says which version it shows.
    pub(crate) shows: Option<Etag>,
}

impl Route {
    fn new(rpc: Arc<Rpc>, binding: Binding) -> Route {
        let body = match &binding.body {
            Body::Field(field) => Some(field),
            Body::Whole | Body::None => None,
        };
        Route {
            expects: Etag::of_request(&rpc.method.input(), body),
            shows: Etag::of_response(&rpc.method.output(), binding.response_body.as_ref()),
            rpc,
            binding,
        }
    }
}

/// A request's route and what its path says.
#[derive(Debug)]
pub struct Matched {
    /// The route.
    pub route: Arc<Route>,
    /// Values of the template's variables, decoded, in their order.
    pub captures: Vec<String>,
}

/// What a path and a method lead to.
#[derive(Debug)]
pub enum Found {
    /// A rule.
    Route(Matched),
    /// Rules for other methods, which are these.
    NotAllowed(Vec<http::Method>),
    /// Nothing.
    Nothing,
}

/// An immutable view of all contracts.
#[derive(Debug)]
pub struct Snapshot {
    pool: DescriptorPool,
    files: BTreeMap<String, Bytes>,
    services: BTreeMap<String, Arc<str>>,
    rpcs: BTreeMap<String, Arc<Rpc>>,
    routes: Vec<Arc<Route>>,
    tree: Tree,
}

impl Snapshot {
    /// A snapshot of no application, which still knows the types of error
    /// details.
    #[must_use]
    pub fn empty() -> Snapshot {
        Snapshot::build(&[]).expect("the bundled descriptors are complete")
    }

    /// Builds a snapshot of these applications.
    ///
    /// # Errors
    /// When their contracts contradict each other or themselves; see
    /// [`SchemaError`].
    pub fn build(sources: &[Source]) -> Result<Snapshot, SchemaError> {
        let files = source::merge(sources)?;
        let pool = source::pool(&files, sources)?;
        let services = owners(sources)?;
        let mut snapshot = Snapshot {
            files: files.into_iter().map(|(name, file)| (name, file.bytes)).collect(),
            rpcs: BTreeMap::new(),
            routes: Vec::new(),
            tree: Tree::default(),
            pool,
            services,
        };
        for (service, app) in snapshot.services.clone() {
            snapshot.add_service(&service, &app)?;
        }
        Ok(snapshot)
    }

    /// All types.
    #[must_use]
    pub fn pool(&self) -> &DescriptorPool {
        &self.pool
    }

    /// The encoded `FileDescriptorProto` of a file, as its application sent it.
    #[must_use]
    pub fn file(&self, name: &str) -> Option<&Bytes> {
        self.files.get(name)
    }

    /// Exposed services and the applications that serve them.
    pub fn services(&self) -> impl Iterator<Item = (&str, &Arc<str>)> {
        self.services.iter().map(|(service, app)| (service.as_str(), app))
    }

    /// The application that serves a service, when it is exposed.
    #[must_use]
    pub fn owner(&self, service: &str) -> Option<&Arc<str>> {
        self.services.get(service)
    }

    /// A method by the path of its calls.
    #[must_use]
    pub fn rpc(&self, path: &str) -> Option<&Arc<Rpc>> {
        self.rpcs.get(path)
    }

    /// All HTTP rules, by service and in the order of the contract.
    #[must_use]
    pub fn routes(&self) -> &[Arc<Route>] {
        &self.routes
    }

    /// Finds the rule for a request.
    #[must_use]
    pub fn find(&self, method: &http::Method, path: &Path<'_>) -> Found {
        match self.tree.find(method, path) {
            Lookup::Found { rule, verb } => {
                let route = self.routes[rule].clone();
                let captures = tree::capture(&route.binding.template, path, verb);
                Found::Route(Matched { route, captures })
            }
            Lookup::NotAllowed(methods) => Found::NotAllowed(methods),
            Lookup::NotFound => Found::Nothing,
        }
    }

    fn add_service(&mut self, service: &str, app: &Arc<str>) -> Result<(), SchemaError> {
        // A registration may name services whose contract the application keeps
        // to itself; there is nothing to route to.
        let Some(service) = self.pool.get_service_by_name(service) else { return Ok(()) };
        for method in service.methods() {
            let rpc = Arc::new(Rpc {
                app: app.clone(),
                path: format!("/{}/{}", service.full_name(), method.name()),
                policy: Policy::of(&method),
                method,
            });
            for binding in binding::of(&rpc.method).map_err(|error| SchemaError::Binding {
                method: rpc.method.full_name().to_owned(),
                error,
            })? {
                self.add_route(Route::new(rpc.clone(), binding))?;
            }
            self.rpcs.insert(rpc.path.clone(), rpc);
        }
        Ok(())
    }

    fn add_route(&mut self, route: Route) -> Result<(), SchemaError> {
        let Binding { verb, template, .. } = &route.binding;
        self.tree.insert(verb, template, self.routes.len()).map_err(|earlier| {
            SchemaError::Route {
                earlier: self.routes[earlier].rpc.method.full_name().to_owned(),
                later: route.rpc.method.full_name().to_owned(),
                verb: verb.clone(),
                template: template.to_string(),
            }
        })?;
        self.routes.push(Arc::new(route));
        Ok(())
    }
}

fn owners(sources: &[Source]) -> Result<BTreeMap<String, Arc<str>>, SchemaError> {
    let mut owners: BTreeMap<String, Arc<str>> = BTreeMap::new();
    for source in sources {
        let app: Arc<str> = source.app().into();
        let exposed: BTreeSet<_> = source.services().filter(|name| is_exposed(name)).collect();
        for service in exposed {
            if let Some(earlier) = owners.insert(service.to_owned(), app.clone()) {
                return Err(SchemaError::Service {
                    service: service.to_owned(),
                    earlier: earlier.to_string(),
                    later: app.to_string(),
                });
            }
        }
    }
    Ok(owners)
}

/// The snapshot in use. Readers pay for one atomic load.
#[derive(Clone, Debug)]
pub struct Live {
    snapshot: Arc<ArcSwap<Snapshot>>,
}

impl Default for Live {
    fn default() -> Self {
        Live { snapshot: Arc::new(ArcSwap::from_pointee(Snapshot::empty())) }
    }
}

impl Live {
    /// The snapshot in use; the caller's copy does not change under it.
    #[must_use]
    pub fn get(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// Replaces the snapshot for all calls that begin from now on.
    pub fn set(&self, snapshot: Snapshot) {
        self.snapshot.store(Arc::new(snapshot));
    }
}
