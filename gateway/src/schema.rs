//! What the edge knows of the applications behind it, as one immutable snapshot:
//! their descriptors, who serves which service, and the HTTP rules. A snapshot
//! is built beside the one in use and replaces it at once, or is refused and
//! changes nothing; a call keeps the snapshot that it began with.

mod etag;
pub mod policy;
mod route;
pub mod source;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, OnceLock},
    time::Duration,
};

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::uri::PathAndQuery;
use mesh::Channel;
use prost_reflect::{DescriptorPool, MethodDescriptor};
use thiserror::Error;
use transcode::{
    CompileError, Schema,
    route::Path,
    routes::{Found, RouteError, Routes},
};

pub use policy::{Access, Policy};
pub use route::{Route, Target};
pub(crate) use route::{body_field, is_served, shown_field};
pub use source::Source;

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
    /// A rule that does not follow google/api/http.proto, or that answers to the
    /// requests of another one.
    #[error(transparent)]
    Route(#[from] RouteError),
    /// A type that the codec cannot carry.
    #[error(transparent)]
    Codec(#[from] CompileError),
}

/// A method as the edge calls it.
#[derive(Debug)]
pub struct Rpc {
    /// Application that serves it.
    pub app: Arc<str>,
    /// Path of the call: `/titan.projects.v1.ProjectsService/GetProject`.
    pub path: PathAndQuery,
    /// Its descriptor.
    pub method: MethodDescriptor,
    /// Its access rule and deadline.
    pub policy: Policy,
    /// Whether many messages go in.
    pub(crate) takes_stream: bool,
    /// Whether many messages come out.
    pub(crate) gives_stream: bool,
    /// How long a REST call of it may take.
    pub(crate) allowance: Option<Duration>,
    /// The way to the application, once it was called by this snapshot.
    pub(crate) channel: OnceLock<Channel>,
}

impl Rpc {
    fn new(app: &Arc<str>, method: MethodDescriptor) -> Rpc {
        let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
        let policy = Policy::of(&method);
        let (takes_stream, gives_stream) =
            (method.is_client_streaming(), method.is_server_streaming());
        Rpc {
            app: app.clone(),
            path: path.parse().expect("names of methods are paths"),
            allowance: policy::allowance(policy.deadline, !takes_stream && !gives_stream),
            policy,
            method,
            takes_stream,
            gives_stream,
            channel: OnceLock::new(),
        }
    }

    /// Whether one message goes in and one comes out.
    #[must_use]
    pub fn is_unary(&self) -> bool {
        !self.takes_stream && !self.gives_stream
    }
}

/// An immutable view of all contracts.
#[derive(Debug)]
pub struct Snapshot {
    pool: DescriptorPool,
    files: BTreeMap<String, Bytes>,
    services: BTreeMap<String, Arc<str>>,
    rpcs: HashMap<String, Arc<Rpc>>,
    codec: Arc<Schema>,
    routes: Routes<Target>,
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
        let codec = Arc::new(Schema::compile(&pool)?);
        let mut snapshot = Snapshot {
            files: files.into_iter().map(|(name, file)| (name, file.bytes)).collect(),
            rpcs: HashMap::new(),
            routes: Routes::new(codec.clone()),
            codec,
            pool,
            services,
        };
        for field in snapshot.codec.hidden_names() {
            tracing::warn!(field, "its name is another field's JSON name, which is found by it");
        }
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

    /// How messages become JSON, and back.
    #[must_use]
    pub fn codec(&self) -> &Schema {
        &self.codec
    }

    /// All HTTP rules, by service and in the order of the contract.
    #[must_use]
    pub fn routes(&self) -> &[Route] {
        self.routes.all()
    }

    /// Finds the rule for a request.
    #[must_use]
    pub fn find<'s>(&'s self, method: &str, path: Path<'s>) -> Found<'s, Target> {
        self.routes.find(method, path)
    }

    fn add_service(&mut self, service: &str, app: &Arc<str>) -> Result<(), SchemaError> {
        // A registration may name services whose contract the application keeps
        // to itself; there is nothing to route to.
        let Some(service) = self.pool.get_service_by_name(service) else { return Ok(()) };
        for method in service.methods() {
            let rpc = Arc::new(Rpc::new(app, method));
            let target = |binding: &_| Target::new(&self.codec, &rpc, binding);
            self.routes.add(&rpc.method, &[], target)?;
            self.rpcs.insert(rpc.path.as_str().to_owned(), rpc);
        }
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
