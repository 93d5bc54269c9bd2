//! The shipping service owns parcels from their packing to the carrier's door.

mod app;
mod config;
pub mod domain;
mod grpc;
mod store;

use durable::{Store, feed::Feed, time};
use mesh::Routes;
use titan::shipping::v1::shipments_service_server::ShipmentsServiceServer;
use uuid::Uuid;

pub use config::Config;
pub use store::MIGRATIONS;

/// What the service serves from a store that was opened with [`MIGRATIONS`]: its
/// contract, and the feed of what happened to shipments.
pub fn routes(store: Store, config: &Config) -> Routes {
    let feed = Feed::new(store.clone()).heartbeat(config.feed_heartbeat);
    let commands = app::Commands::new(&store);
    let grpc = grpc::Grpc { commands, store, clock: time::now, ids: Uuid::new_v4 };
    Routes::new().add(ShipmentsServiceServer::new(grpc)).merge(feed.into_routes())
}
