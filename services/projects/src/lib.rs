//! The projects service owns a project from its first day to its archive.

mod app;
mod config;
pub mod domain;
mod grpc;
mod store;

use durable::{Store, feed::Feed};
use mesh::Routes;
use titan::projects::v1::projects_service_server::ProjectsServiceServer;
use uuid::Uuid;

pub use config::Config;
pub use store::MIGRATIONS;

/// What the service serves from a store that was opened with [`MIGRATIONS`]: its
/// contract, and the feed of what happened to projects.
pub fn routes(store: Store, config: &Config) -> Routes {
    let feed = Feed::new(store.clone()).heartbeat(config.feed_heartbeat);
    let commands = app::Commands::new(&store);
    let projects = store::Projects::new(store);
    let grpc = grpc::Grpc { commands, projects, clock: durable::time::now, ids: Uuid::now_v7 };
    Routes::new().add(ProjectsServiceServer::new(grpc)).merge(feed.into_routes())
}
