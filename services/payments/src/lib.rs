//! The payments service takes money from cards, through a provider, and gives it
//! back.

mod app;
mod config;
pub mod domain;
mod grpc;
pub mod provider;
mod store;

use std::sync::Arc;

use durable::{Store, feed::Feed, time};
use mesh::Routes;
use titan::payments::v1::payments_service_server::PaymentsServiceServer;

pub use app::{settle_lost, settling_lost};
pub use config::Config;
pub use provider::Provider;
pub use store::MIGRATIONS;

/// What the service serves from a store that was opened with [`MIGRATIONS`]: its
/// contract, and the feed of what happened to payments. `provider` is who holds
/// the cards.
pub fn routes(store: Store, provider: Arc<dyn Provider>, config: &Config) -> Routes {
    let feed = Feed::new(store.clone()).heartbeat(config.feed_heartbeat);
    let payments = app::Payments::new(store, provider, time::now);
    Routes::new().add(PaymentsServiceServer::new(grpc::Grpc { payments })).merge(feed.into_routes())
}
