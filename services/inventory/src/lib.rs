//! The inventory service owns what the shop sells, how many pieces there are, and
//! for whom they are set aside.

mod app;
mod config;
pub mod domain;
mod grpc;
mod store;

use durable::{Store, feed::Feed, task, time};
use mesh::Routes;
use titan::inventory::v1::{
    products_service_server::ProductsServiceServer,
    reservations_service_server::ReservationsServiceServer,
    stock_service_server::StockServiceServer,
};
use uuid::Uuid;

pub use app::{expire, expiring};
pub use config::Config;
pub use store::MIGRATIONS;

/// What the service serves from a store that was opened with [`MIGRATIONS`]: its
/// contracts, and the feed of what happened to products, stock and reservations.
pub fn routes(store: Store, config: &Config) -> Routes {
    let feed = Feed::new(store.clone()).heartbeat(config.feed_heartbeat);
    let commands = app::Commands::new(&store);
    let tasks = task::server(store.clone());
    let grpc = grpc::Grpc { commands, store, clock: time::now, ids: Uuid::now_v7 };
    Routes::new()
        .add(ProductsServiceServer::new(grpc.clone()))
        .add(StockServiceServer::new(grpc.clone()))
        .add(ReservationsServiceServer::new(grpc))
        .add(tasks)
        .merge(feed.into_routes())
}
