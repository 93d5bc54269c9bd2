//! A process as a member of its mesh: its place in the registry, and the admin
//! port where probes and collectors ask.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::SystemTime,
};

use tokio::task::JoinSet;

use crate::{admin, app::App, call, proto::Instance, registrar, server::ServeError};

/// A process that serves. Its admin port closes, and its lease runs out, when
/// this is dropped.
#[derive(Debug)]
pub struct Member {
    app: App,
    instance: Instance,
    ready: Arc<AtomicBool>,
    /// Serves while it is held.
    _admin: JoinSet<()>,
    registration: JoinSet<()>,
}

/// What a process serves beside the services that every process has.
#[derive(Debug, Default)]
pub(crate) struct Served {
    pub(crate) services: Vec<String>,
    /// SHA-256 of the descriptor sets, in hex.
    pub(crate) descriptor_hash: String,
}

impl Member {
    pub(crate) fn new(app: &App, address: SocketAddr, served: Served) -> Result<Self, ServeError> {
        let (listener, admin_address) = app.bind(app.admin_listen())?;
        let ready = Arc::new(AtomicBool::new(false));
        let mut _admin = JoinSet::new();
        _admin.spawn(admin::serve(app.clone(), ready.clone(), listener));
        let instance = Instance {
            id: format!("{}-{:016x}", app.name(), fastrand::u64(..)),
            app: app.name().to_owned(),
            address: app.advertised(address),
            admin_address: app.advertised(admin_address),
            services: served.services,
            descriptor_hash: served.descriptor_hash,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            labels: Default::default(),
            start_time: Some(SystemTime::now().into()),
            pid: std::process::id(),
            zone: app.standpoint().zone.clone(),
            weight: Some(app.weight()),
        };
        Ok(Self { app: app.clone(), instance, ready, _admin, registration: JoinSet::new() })
    }

    /// Tells the registry and the probes that the process serves.
    pub fn ready(&mut self) {
        self.ready.store(true, Relaxed);
        if let Some(channel) = self.app.registry_channel() {
            let keeping = registrar::keep_registered(channel, self.instance.clone());
            self.registration.spawn(call::detached(keeping));
        }
        tracing::info!(
            address = self.instance.address,
            admin = self.instance.admin_address,
            instance = self.instance.id,
            "serving"
        );
    }

    /// Takes the process out of the registry, so that callers go elsewhere before
    /// any of their calls is refused. Returns when they have had time to learn
    /// of it.
    pub async fn leave(&mut self) {
        tracing::info!("draining");
        self.ready.store(false, Relaxed);
        self.registration.shutdown().await;
        if let Some(channel) = self.app.registry_channel() {
            registrar::leave(channel, self.instance.id.clone()).await;
        }
        // Also without a registry: health checks and probes tell callers too.
        tokio::time::sleep(self.app.limits().lame_duck).await;
    }
}
