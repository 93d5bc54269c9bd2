//! A process of the mesh: its settings, its identity, its way to the others.

mod config;

use std::{
    collections::HashMap,
    fmt,
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex},
};

use arc_swap::ArcSwap;
use tokio::runtime::Handle;

use self::config::Config;
use crate::{
    channel::{Channel, Common, subset::Standpoint},
    contract::Contracts,
    identity::{AUDIENCE, MeshKey, Verifier, process::Prover},
    member::{Member, Served},
    net::{Listener, Network, Tcp},
    proto::key_service_client::KeyServiceClient,
    resolver::{
        Listed, Resolver, View,
        fixed::{Fixed, Nothing},
        registry::Registry,
    },
    server::{
        Limits, ServeError, Server,
        overload::{self, Overload},
    },
    settings::{Settings, SettingsError},
    telemetry::{
        self, Telemetry,
        destinations::Destinations,
        page::{Format, Page},
    },
    workers,
};

/// Applications that `/endpoints` tells of: as many as have metrics.
const MAX_REPORTED: usize = 256;

/// A process of the mesh. Clones are the same process.
#[derive(Clone)]
pub struct App {
    inner: Arc<Inner>,
}

struct Inner {
    name: &'static str,
    listen: SocketAddr,
    admin_listen: SocketAddr,
    advertise: Option<String>,
    weight: u32,
    database: String,
    workers: usize,
    limits: Limits,
    overload: Option<Arc<Overload>>,
    telemetry: Telemetry,
    common: Common,
    mesh_key: Option<Arc<MeshKey>>,
    verifier: Option<Verifier>,
    /// The registry: how to reach it, and what it knows.
    registry: Option<(Channel, Registry)>,
    resolver: Box<dyn Resolver>,
    channels: Mutex<HashMap<String, Channel>>,
}

fn mesh_key(settings: &mut Settings) -> Option<MeshKey> {
    let path: PathBuf = settings.optional("mesh_key_file")?;
    match MeshKey::load(&path) {
        Ok(key) => Some(key),
        Err(error) => {
            settings.require("mesh_key_file", false, &format!("{}: {error}", path.display()));
            None
        }
    }
}

impl App {
    /// Reads the mesh's own settings, after a service has read its own, and
    /// starts logs and traces. Must be called within a runtime.
    ///
    /// # Errors
    /// Every mistake in the settings, the service's included.
    pub fn new(mut settings: Settings) -> Result<Self, SettingsError> {
        let mesh_key = mesh_key(&mut settings);
        Self::assemble(settings, mesh_key, Arc::new(Tcp), workers::default_count())
    }

    /// The same over another network than TCP: every connection that this process
    /// opens or accepts, its admin port's included, goes through `network`. Only
    /// the exporter of traces does not. By default one runtime serves it, the one
    /// that awaits: a network of another kind may belong to that.
    ///
    /// # Errors
    /// Those of [`App::new`].
    pub fn over(network: Arc<dyn Network>, mut settings: Settings) -> Result<Self, SettingsError> {
        let mesh_key = mesh_key(&mut settings);
        Self::assemble(settings, mesh_key, network, 0)
    }

    pub(crate) fn assemble(
        mut settings: Settings,
        mesh_key: Option<MeshKey>,
        network: Arc<dyn Network>,
        workers: usize,
    ) -> Result<Self, SettingsError> {
        let name = settings.app();
        let config = Config::read(&mut settings, workers);
        let limits = Limits::read(&mut settings);
        let overload = overload::Config::read(&mut settings);
        let telemetry_config = telemetry::Config::read(&mut settings);
        let telemetry = Telemetry::start(&telemetry_config);
        if let Err(error) = &telemetry {
            settings.require("otlp_endpoint", false, &error.to_string());
        }
        settings.finish()?;
        let telemetry = telemetry.expect("an error was a mistake in the settings");

        let mesh_key = mesh_key.map(Arc::new);
        let common = Common {
            contracts: Arc::new(ArcSwap::from_pointee(own_contracts())),
            prover: mesh_key.clone().map(|key| Arc::new(Prover::new(key, name))),
            trace_ratio: telemetry_config.ratio,
            max_message_bytes: limits.max_message_bytes,
            standpoint: Arc::new(config.standpoint),
            destinations: Destinations::default(),
            network,
            home: Handle::current(),
        };
        let registry = config.registry.map(|address| {
            let channel = Channel::open("registry", fixed(&address), common.clone());
            (channel.clone(), Registry::watch(channel))
        });
        let others: Box<dyn Resolver> = match &registry {
            Some((_, registry)) => Box::new(registry.clone()),
            None => Box::new(Nothing::default()),
        };
        let resolver = Box::new(Fixed::new(config.static_endpoints, others));
        let verifier = config.token_keys.map(|issuer| {
            let channel = Channel::open(&issuer, resolver.watch(&issuer), common.clone());
            let keys = Arc::new(KeyServiceClient::new(channel));
            Verifier::new(config.token_issuer, AUDIENCE, keys)
        });
        Ok(Self {
            inner: Arc::new(Inner {
                name,
                listen: config.listen,
                admin_listen: config.admin_listen,
                advertise: config.advertise,
                workers: config.workers,
                weight: config.weight,
                database: config.database,
                limits,
                overload: Overload::new(&overload),
                telemetry,
                common,
                mesh_key,
                verifier,
                registry,
                resolver,
                channels: Mutex::default(),
            }),
        })
    }

    /// The application's name, by which others open channels to it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.inner.name
    }

    /// Setting `database`: the URL of the application's own database.
    #[must_use]
    pub fn database(&self) -> &str {
        &self.inner.database
    }

    /// A channel to an application by its name. Channels to the same application
    /// share their connections.
    #[must_use]
    pub fn channel(&self, app: &str) -> Channel {
        let mut channels = self.inner.channels.lock().expect("nothing panics while it is held");
        let open = || {
            let _home = self.inner.common.home.enter();
            let view = self.inner.resolver.watch(app);
            Channel::open(app, view, self.inner.common.clone())
        };
        channels.entry(app.to_owned()).or_insert_with(open).clone()
    }

    /// A channel to one address.
    #[must_use]
    pub fn endpoint(&self, address: &str) -> Channel {
        Channel::open(address, fixed(address), self.inner.common.clone())
    }

    /// What the registry knows; `None` in a process without one.
    #[must_use]
    pub fn registry(&self) -> Option<&Registry> {
        self.inner.registry.as_ref().map(|(_, registry)| registry)
    }

    /// Makes the policies of contracts known to the channels of a process that
    /// calls but does not serve; [`Server::contracts`] does the same. What they say
    /// of a method counts from now on, whatever was known of it.
    ///
    /// # Errors
    /// A contract that the mesh cannot carry out.
    pub fn know(&self, descriptor_set: &[u8]) -> Result<(), crate::contract::ContractError> {
        let contracts = Contracts::load(&[descriptor_set])?;
        self.contracts().rcu(|known| known.renewed(&contracts));
        Ok(())
    }

    /// Makes a process that serves on its own, such as an edge, a member of the
    /// mesh: others find it at `address` once it says that it is ready.
    ///
    /// # Errors
    /// When the admin port cannot be had.
    pub fn join(&self, address: SocketAddr) -> Result<Member, ServeError> {
        Member::new(self, address, Served::default())
    }

    /// What the admin port tells at `/metrics`, in Prometheus' text format. Who asks
    /// for OpenMetrics there gets exemplars too.
    #[must_use]
    pub fn metrics(&self) -> String {
        self.metrics_as(Format::Prometheus)
    }

    pub(crate) fn metrics_as(&self, format: Format) -> String {
        let mut page = Page::new(format);
        telemetry::metrics::write(&mut page, &self.contracts().load(), self.destinations());
        if let Some(overload) = self.overload() {
            overload.page(&mut page);
        }
        workers::page(&mut page);
        crate::metrics::page(&mut page);
        page.finish()
    }

    /// What the admin port tells at `/endpoints`: the applications that this
    /// process calls by name, and their instances as it sees them, in JSON.
    #[must_use]
    pub fn endpoints(&self) -> String {
        let mut channels: Vec<Channel> = {
            let named = self.inner.channels.lock().expect("nothing panics while it is held");
            named.values().take(MAX_REPORTED).cloned().collect()
        };
        channels.extend(self.registry_channel());
        channels.sort_by(|a, b| a.app().cmp(b.app()));
        let reports: Vec<_> = channels.iter().map(Channel::report).collect();
        let page = serde_json::json!({ "destinations": reports });
        format!("{page:#}\n")
    }

    /// A server to put services in.
    pub fn serve(&self) -> Server {
        Server::new(self.clone())
    }

    /// Setting `workers`: how many threads, each with a runtime of its own, serve
    /// connections, by default one for each core; with 0 the runtime that awaits
    /// serves. [`Server::until`] starts them; a process that serves on its own
    /// does so with [`Workers::start`](crate::Workers::start).
    #[must_use]
    pub fn workers(&self) -> usize {
        self.inner.workers
    }

    pub(crate) fn listen(&self) -> SocketAddr {
        self.inner.listen
    }

    /// Listens on this process's network.
    pub(crate) fn bind(&self, address: SocketAddr) -> Result<(Listener, SocketAddr), ServeError> {
        let listen = || {
            let listener = self.inner.common.network.listen(address)?;
            let bound = listener.local_addr()?;
            Ok((listener, bound))
        };
        listen().map_err(|source| ServeError::Listen { address, source })
    }

    pub(crate) fn admin_listen(&self) -> SocketAddr {
        self.inner.admin_listen
    }

    /// The address that others are told: the bound one, or the port of it at the
    /// host that `advertise` names.
    pub(crate) fn advertised(&self, bound: SocketAddr) -> String {
        match &self.inner.advertise {
            Some(host) => format!("{host}:{}", bound.port()),
            None => bound.to_string(),
        }
    }

    /// This process's share of its callers' calls, in hundredths of an ordinary
    /// one.
    pub(crate) fn weight(&self) -> u32 {
        self.inner.weight
    }

    pub(crate) fn standpoint(&self) -> &Standpoint {
        &self.inner.common.standpoint
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.inner.limits
    }

    pub(crate) fn overload(&self) -> Option<&Arc<Overload>> {
        self.inner.overload.as_ref()
    }

    pub(crate) fn contracts(&self) -> &ArcSwap<Contracts> {
        &self.inner.common.contracts
    }

    fn destinations(&self) -> &Destinations {
        &self.inner.common.destinations
    }

    pub(crate) fn trace_ratio(&self) -> f64 {
        self.inner.common.trace_ratio
    }

    pub(crate) fn mesh_key(&self) -> Option<&Arc<MeshKey>> {
        self.inner.mesh_key.as_ref()
    }

    pub(crate) fn verifier(&self) -> Option<&Verifier> {
        self.inner.verifier.as_ref()
    }

    pub(crate) fn registry_channel(&self) -> Option<Channel> {
        self.inner.registry.as_ref().map(|(channel, _)| channel.clone())
    }

    /// Sends the spans that are not sent yet; a process that ends does so last.
    pub async fn flush_telemetry(&self) {
        self.inner.telemetry.flush().await;
    }
}

fn own_contracts() -> Contracts {
    Contracts::load(&[]).expect("the mesh's own contracts are checked by its tests")
}

fn fixed(address: &str) -> tokio::sync::watch::Receiver<View> {
    let view = View { known: true, instances: vec![Listed::at(address.to_owned())] };
    tokio::sync::watch::Sender::new(view).subscribe()
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App").field("name", &self.inner.name).finish_non_exhaustive()
    }
}
