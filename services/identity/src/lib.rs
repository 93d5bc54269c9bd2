//! Identity knows who may sign in, and proves to every other service who did:
//! users, passwords, sessions, and the keys that sign access tokens.

mod app;
mod config;
pub mod domain;
mod error;
mod grpc;
mod keys;
mod passwords;
mod store;

use grpc::Grpc;
use mesh::{Routes, proto::key_service_server::KeyServiceServer};
use titan::identity::v1::{
    discovery_service_server::DiscoveryServiceServer,
    sessions_service_server::SessionsServiceServer, users_service_server::UsersServiceServer,
};

pub use app::{Clock, Identity};
pub use config::{BootstrapAdmin, Config};
pub use error::Error;
pub use store::MIGRATIONS;

/// The gRPC services of identity, to be served beside [`Identity::keep`].
#[must_use]
pub fn routes(identity: Identity) -> Routes {
    let grpc = Grpc { identity };
    Routes::new()
        .add(UsersServiceServer::new(grpc.clone()))
        .add(SessionsServiceServer::new(grpc.clone()))
        .add(DiscoveryServiceServer::new(grpc.clone()))
        .add(KeyServiceServer::new(grpc))
}
