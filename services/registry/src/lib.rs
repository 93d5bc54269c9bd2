//! The registry tells which instances of which application are alive. It holds
//! them in memory only: everyone repeats their registration, so after a restart
//! it knows the mesh again within one lease.

mod app;
mod config;
pub mod domain;
mod grpc;

pub use app::{Registry, View};
pub use config::Config;
use mesh::{Routes, proto::registry_service_server::RegistryServiceServer};

/// The registry's gRPC services, to be served beside [`Registry::keep`].
#[must_use]
pub fn service(registry: Registry) -> Routes {
    Routes::new().add(RegistryServiceServer::new(registry))
}
