//! The orders service owns an order from its placing to its end.

mod app;
mod config;
mod contract;
pub mod domain;
mod grpc;
mod store;

use durable::{
    Error, Store,
    aggregate::Repository,
    feed::Feed,
    projection::{Projection, Projector},
    saga::{self, Sagas},
    task::{self, Worker},
    time,
};
use mesh::Routes;
use titan::orders::v1::orders_service_server::OrdersServiceServer;
use uuid::Uuid;

pub use app::Shop;
pub use config::Config;
pub use store::MIGRATIONS;

/// The service on a store that was opened with [`MIGRATIONS`]. Clones are the
/// same service.
#[derive(Clone)]
pub struct Orders {
    grpc: grpc::Grpc,
    feed: Feed,
    orders: Projector<store::Orders>,
    worker: Worker,
}

impl Orders {
    /// `shop` leads to the services that orders are made of.
    ///
    /// # Errors
    /// When the database cannot be reached or refuses the tables of the read
    /// model.
    pub async fn open(store: Store, shop: Shop, config: &Config) -> Result<Self, Error> {
        let feed = Feed::new(store.clone()).heartbeat(config.feed_heartbeat);
        let projector = Projector::open(&store, store::Orders).await?;
        let repository = Repository::new(store.clone()).project(&projector);
        let worker = Worker::new(store.clone());
        let undo = saga::Retry { attempts: config.undo_attempts, ..saga::Retry::UNDO };
        let place_order = app::place_order(shop.clone(), repository.clone(), time::now, undo);
        let sagas = Sagas::new(store.clone(), &worker).define(place_order);
        let decide = app::Decide { store: store.clone(), orders: repository, sagas };
        let commands = app::Commands::new(&store, shop, decide);
        let grpc = grpc::Grpc { commands, store, clock: time::now, ids: Uuid::now_v7 };
        Ok(Orders { grpc, feed, orders: projector, worker })
    }

    /// What it serves: its contract, the feed of what happened to orders, and to
    /// operators its sagas, tasks and events.
    pub fn routes(&self) -> Routes {
        Routes::new()
            .add(OrdersServiceServer::new(self.grpc.clone()))
            .add(saga::server(self.grpc.store.clone()))
            .add(task::server(self.grpc.store.clone()))
            .merge(self.feed.clone().into_routes())
    }

    /// The tables that orders are listed from, to be made anew or looked after.
    pub fn read_model(&self) -> &Projector<impl Projection + use<>> {
        &self.orders
    }

    /// Places the orders that were confirmed, and keeps the read model, until it
    /// is dropped, at any point without harm. To run beside what is served, in
    /// every replica; those of a replica that died are taken over by the others.
    pub async fn work(self) {
        tokio::join!(self.worker.run(), self.orders.run());
    }
}
