//! The server side of a call, and the life of a process that serves: bind,
//! serve, drain.
//!
//! HTTP/2 is driven by the `h2` crate directly; a call that waits is a task of its
//! own. Draining has phases: health says NOT_SERVING and the registry forgets the
//! instance; after a moment in which callers learn of it, GOAWAY; then calls end,
//! or are cut when the time is up, and what was cut is reported.

mod admit;
mod answer;
mod connection;
mod guard;
mod handle;
mod head;
mod limits;
mod outcome;
pub(crate) mod overload;
pub(crate) mod payload;
pub(crate) mod request;
mod routes;

use std::{
    collections::BTreeSet,
    fmt, io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use futures_util::{
    FutureExt as _,
    future::{self, BoxFuture},
};
use tokio::{
    sync::{Notify, watch},
    task::JoinSet,
};
use tonic_health::{ServingStatus, server::HealthReporter};

pub(crate) use self::limits::Limits;
use self::{overload::Overload, routes::Table};
pub use self::{request::RequestBody, routes::Routes};
use crate::{
    app::App,
    call,
    contract::{Access, ContractError, Contracts},
    drain::Drain,
    identity::{MeshKey, Verifier},
    member::{Member, Served},
    reflection,
    workers::{self, Workers},
};

/// For what still runs when every call has ended or was cut: a turn of its loop
/// is all that a worker needs to end.
const LAST_WORK: Duration = Duration::from_millis(100);

/// What every connection and call of a server uses.
pub(crate) struct Shared {
    pub(crate) routes: Table,
    pub(crate) limits: Limits,
    pub(crate) trace_ratio: f64,
    pub(crate) mesh_key: Option<Arc<MeshKey>>,
    pub(crate) verifier: Option<Verifier>,
    /// Absent when overload control is off.
    pub(crate) overload: Option<Arc<Overload>>,
    in_flight: AtomicUsize,
    idle: Notify,
    /// Turns true when calls are to end.
    draining: watch::Sender<bool>,
}

impl Shared {
    async fn until_idle(&self) {
        loop {
            let mut idle = std::pin::pin!(self.idle.notified());
            idle.as_mut().enable();
            if self.in_flight.load(Relaxed) == 0 {
                return;
            }
            idle.await;
        }
    }
}

/// Counts a call from its start to its drop.
#[derive(Debug)]
struct InFlight<'a>(&'a Shared);

impl<'a> InFlight<'a> {
    fn begin(shared: &'a Shared) -> Self {
        shared.in_flight.fetch_add(1, Relaxed);
        Self(shared)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        if self.0.in_flight.fetch_sub(1, Relaxed) == 1 {
            self.0.idle.notify_waiters();
        }
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("routes", &self.routes).finish_non_exhaustive()
    }
}

/// Why a process cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The port cannot be had.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address that was asked for.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// The threads that serve cannot be had.
    #[error("cannot start the workers")]
    Workers(#[source] io::Error),
    /// A contract that the mesh cannot carry out.
    #[error(transparent)]
    Contract(#[from] ContractError),
    /// A service without its contract.
    #[error(
        "{0} is served, but no contract tells who may call it; pass its descriptors to `contracts`"
    )]
    Unknown(&'static str),
    /// The descriptors cannot be indexed for reflection.
    #[error("the descriptors cannot be indexed")]
    Reflection(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// A server while it is put together.
#[must_use = "a server serves when `until` is awaited"]
pub struct Server {
    app: App,
    descriptor_sets: Vec<&'static [u8]>,
    foreign: Vec<(&'static str, Access)>,
    routes: Routes,
    tasks: Vec<(&'static str, BoxFuture<'static, ()>)>,
    listening: Option<tokio::sync::oneshot::Sender<SocketAddr>>,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("routes", &self.routes).finish_non_exhaustive()
    }
}

impl Server {
    pub(crate) fn new(app: App) -> Self {
        Self {
            app,
            descriptor_sets: vec![crate::DESCRIPTORS],
            foreign: Vec::new(),
            routes: Routes::new(),
            tasks: Vec::new(),
            listening: None,
        }
    }

    /// The contracts of what is served and called: an encoded
    /// `FileDescriptorSet` with its imports.
    pub fn contracts(mut self, descriptor_set: &'static [u8]) -> Self {
        self.descriptor_sets.push(descriptor_set);
        self
    }

    /// Says who may call a service whose contract was written elsewhere and has no
    /// access rule, so that nobody could; its descriptors go to [`contracts`] like
    /// all others. A rule of the contract stands.
    ///
    /// [`contracts`]: Self::contracts
    pub fn foreign(mut self, service: &'static str, access: Access) -> Self {
        self.foreign.push((service, access));
        self
    }

    /// Serves these too.
    pub fn routes(mut self, routes: Routes) -> Self {
        self.routes = self.routes.merge(routes);
        self
    }

    /// Runs a future while the process serves, such as a consumer of a feed. It
    /// is dropped when the last call has ended, so it must be safe to cancel. One
    /// that would rather finish what it began [holds](crate::drain::hold) the process.
    pub fn task(
        mut self,
        name: &'static str,
        future: impl Future<Output = ()> + Send + 'static,
    ) -> Self {
        self.tasks.push((name, Box::pin(future)));
        self
    }

    /// Tells the bound address once it is known.
    pub(crate) fn tell(mut self, listening: tokio::sync::oneshot::Sender<SocketAddr>) -> Self {
        self.listening = Some(listening);
        self
    }

    /// Serves until `stop` completes, then drains. Returns when the last call
    /// has ended or was cut.
    ///
    /// # Errors
    /// A port that cannot be had, or a contract that cannot be carried out, both
    /// before anything is served.
    pub async fn until(mut self, stop: impl Future<Output = ()>) -> Result<(), ServeError> {
        let contracts = self.compile()?;
        let workers = Workers::watched(self.app.workers(), named(contracts.clone()));
        let workers = workers.map_err(ServeError::Workers)?;
        let (listener, address) = self.app.bind(self.app.listen())?;
        let mut member = Member::new(&self.app, address, self.served())?;
        let (reporter, shared) = self.share(&contracts).await?;

        // Ends with this future: a port must not outlive its server.
        let connection = {
            let shared = shared.clone();
            move |stream, peer| connection::serve(shared.clone(), stream, peer)
        };
        let most = shared.limits.max_connections;
        let mut draining = shared.draining.subscribe();
        let connections = workers.serve(listener, most, connection, drained(&mut draining));
        let mut connections = Box::pin(connections.fuse());
        let mut background = JoinSet::new();
        let drain = Drain::new();
        for (name, task) in std::mem::take(&mut self.tasks) {
            let ending = drain.clone();
            background.spawn(drain.scope(call::detached(async move {
                task.await;
                if !ending.is_asked() {
                    tracing::warn!(task = name, "a task of the server has ended");
                }
            })));
        }
        member.ready();
        if let Some(listening) = self.listening.take() {
            // Nobody may want to know.
            let _ = listening.send(address);
        }
        let leaving = async {
            stop.await;
            drain.ask();
            for name in shared.routes.names().chain([""]) {
                reporter.set_service_status(name, ServingStatus::NotServing).await;
            }
            member.leave().await;
        };
        tokio::select! {
            () = leaving => {}
            () = &mut connections => {}
        }
        drain.ask();
        shared.draining.send_replace(true);
        Self::finish(&shared, connections, &drain).await;
        let held = workers.end(LAST_WORK).await;
        if held > 0 {
            tracing::warn!(workers = held, "workers that compute without an end were left behind");
        }
        drop(background);
        self.app.flush_telemetry().await;
        Ok(())
    }

    fn compile(&self) -> Result<Arc<Contracts>, ServeError> {
        let mut contracts = Contracts::load(&self.descriptor_sets)?;
        for (service, access) in &self.foreign {
            if !contracts.admit(service, access) {
                return Err(ServeError::Unknown(service));
            }
        }
        // Methods that were known before keep their records, and their counts.
        let contracts = Arc::new(self.app.contracts().load().extended(&contracts));
        self.app.contracts().store(contracts.clone());
        let served: BTreeSet<&str> =
            contracts.methods().map(|method| method.service.as_str()).collect();
        match self.routes.names().find(|name| !served.contains(name)) {
            Some(name) => Err(ServeError::Unknown(name)),
            None => Ok(contracts),
        }
    }

    /// Adds what every process serves: health and reflection.
    async fn share(
        &mut self,
        contracts: &Contracts,
    ) -> Result<(HealthReporter, Arc<Shared>), ServeError> {
        let (reporter, health) = tonic_health::server::health_reporter();
        for name in self.routes.names() {
            reporter.set_service_status(name, ServingStatus::Serving).await;
        }
        let sets = [&self.descriptor_sets[..], &reflection::STANDARD_DESCRIPTORS].concat();
        let names = self.routes.names().chain(reflection::STANDARD_SERVICES);
        let index = reflection::Index::build(&sets, names)
            .map_err(|error| ServeError::Reflection(error.into()))?;
        let index = Arc::new(index);
        let routes = std::mem::take(&mut self.routes)
            .add(health)
            .add(reflection::v1(index.clone()))
            .add(reflection::v1alpha(index));
        let shared = Arc::new(Shared {
            routes: routes.compile(contracts),
            limits: self.app.limits().clone(),
            trace_ratio: self.app.trace_ratio(),
            mesh_key: self.app.mesh_key().cloned(),
            verifier: self.app.verifier().cloned(),
            overload: self.app.overload().cloned(),
            in_flight: AtomicUsize::new(0),
            idle: Notify::new(),
            draining: watch::Sender::new(false),
        });
        Ok((reporter, shared))
    }

    fn served(&self) -> Served {
        let mut hash = ring::digest::Context::new(&ring::digest::SHA256);
        for set in &self.descriptor_sets {
            hash.update(set);
        }
        let hash = hash.finish();
        Served {
            services: self.routes.names().map(str::to_owned).collect(),
            descriptor_hash: hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect(),
        }
    }

    async fn finish(shared: &Shared, connections: impl Future<Output = ()>, drain: &Drain) {
        let limit = shared.limits.drain_timeout;
        // A connection ends when it has sent what it holds.
        let ended = future::join3(shared.until_idle(), connections, drain.released());
        match tokio::time::timeout(limit, ended).await {
            Ok(((), (), ())) => tracing::info!("drained"),
            Err(_) => {
                let (cut, tasks) = (shared.in_flight.load(Relaxed), drain.is_held());
                tracing::warn!(cut, tasks, "drain timed out; calls or tasks were cut");
            }
        }
    }
}

/// Finds the path of the method whose record has an address.
fn named(contracts: Arc<Contracts>) -> impl Fn(usize) -> Option<String> {
    move |address| {
        let mut methods = contracts.methods();
        methods.find(|method| workers::address(method) == address).map(|method| method.path.clone())
    }
}

/// Returns when the process drains.
async fn drained(draining: &mut watch::Receiver<bool>) {
    // An error means that the server itself is gone.
    let _ = draining.wait_for(|drain| *drain).await;
}
