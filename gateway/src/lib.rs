//! The edge: one port that speaks REST and gRPC for everything behind it, driven
//! by descriptors that it fetches while it runs. It holds no business rule and no
//! word about any one service.
//!
//! [`Gateway::bind`] opens the port, [`Gateway::until`] serves. Beneath them,
//! [`schema`] is what is known of the applications, with the rules and codecs of
//! the crate `transcode`, and [`error`] is how the edge refuses.

mod config;
mod discovery;
mod docs;
mod edge;
pub mod error;
pub mod openapi;
mod readiness;
pub mod schema;

use std::net::SocketAddr;

use mesh::{App, Instances, Member, ServeError, Workers};
use tokio::{net::TcpListener, sync::watch};

pub use config::Config;
pub use readiness::{Application, Readiness, Report};

use crate::{discovery::Discovery, edge::Edge, schema::Live};

/// An edge with an open port.
#[derive(Debug)]
#[must_use = "an edge serves when `until` is awaited"]
pub struct Gateway {
    app: App,
    config: Config,
    listener: TcpListener,
    workers: Workers,
    address: SocketAddr,
    member: Member,
    live: Live,
    readiness: Readiness,
}

impl Gateway {
    /// Opens the edge's port and its admin port, and starts its workers, by
    /// setting `workers` one for each core.
    ///
    /// # Errors
    /// When a port or a thread cannot be had.
    pub fn bind(app: App, config: Config) -> Result<Gateway, ServeError> {
        let (listener, address) = mesh::listen(config.listen)?;
        let member = app.join(address)?;
        let workers = Workers::start(app.workers()).map_err(ServeError::Workers)?;
        let (live, readiness) = (Live::default(), Readiness::default());
        Ok(Gateway { app, config, listener, workers, address, member, live, readiness })
    }

    /// The address it serves at.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it knows of the applications.
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        self.readiness.clone()
    }

    /// Serves until `stop` completes; then accepts nothing more and returns when
    /// the last request has ended, or was cut after `drain_timeout`.
    pub async fn until(self, stop: impl Future<Output = ()>) {
        let Gateway { app, config, listener, workers, mut member, live, readiness, .. } = self;
        let discovery = Discovery::new(app.clone(), live.clone(), readiness.clone());
        // Kept until the end, or the watch would be over at once.
        let (_fixed, named) = watch::channel(discovery::fixed(&config.applications));
        let instances: watch::Receiver<Instances> =
            app.registry().map_or(named, mesh::Registry::instances);
        let edge = Edge::new(app.clone(), &config, live, readiness.clone());
        let stop = async {
            let mut stop = std::pin::pin!(stop);
            tokio::select! {
                () = readiness.ready() => {
                    member.ready();
                    stop.await;
                }
                () = &mut stop => {}
            }
            // Whoever sends requests here learns of the end before it comes.
            readiness.drain();
            member.leave().await;
        };
        tokio::select! {
            () = edge.serve(workers, listener, stop) => {}
            () = discovery.run(instances) => {}
        }
        app.flush_telemetry().await;
    }
}
