//! The accounts service is the bank: whose money lies where, and how it came
//! there.

mod app;
mod config;
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
use titan::accounts::v1::{
    accounts_service_server::AccountsServiceServer,
    transfers_service_server::TransfersServiceServer,
};
use uuid::Uuid;

use domain::{Account, Transfer};
use store::{Accounts, Entries};

pub use config::Config;
pub use store::MIGRATIONS;

/// The bank on a store that was opened with [`MIGRATIONS`]. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Bank {
    store: Store,
    accounts: Repository<Account>,
    transfers: Repository<Transfer>,
    list: Projector<Accounts>,
    entries: Projector<Entries>,
    worker: Worker,
    sagas: Sagas,
}

/// What the steps of a transfer change.
#[derive(Clone, Debug)]
pub(crate) struct Books {
    store: Store,
    accounts: Repository<Account>,
    transfers: Repository<Transfer>,
}

impl Bank {
    /// Makes the tables of its read models when there are none.
    ///
    /// # Errors
    /// When the database cannot be reached or refuses them.
    pub async fn open(store: Store) -> Result<Self, Error> {
        let list = Projector::open(&store, Accounts).await?;
        let entries = Projector::open(&store, Entries).await?;
        let accounts = Repository::new(store.clone()).project(&list);
        let transfers = Repository::new(store.clone());
        let worker = Worker::new(store.clone());
        let books = Books {
            store: store.clone(),
            accounts: accounts.clone(),
            transfers: transfers.clone(),
        };
        let sagas = Sagas::new(store.clone(), &worker).define(app::definition(books));
        Ok(Bank { store, accounts, transfers, list, entries, worker, sagas })
    }

    /// What the service serves: its contracts, the feed of what happened, and to
    /// operators its sagas, tasks and events.
    pub fn routes(&self, config: &Config) -> Routes {
        let feed = Feed::new(self.store.clone()).heartbeat(config.feed_heartbeat);
        let commands = app::Commands::new(self);
        let grpc = grpc::Grpc { commands, bank: self.clone(), clock: time::now, ids: Uuid::now_v7 };
        Routes::new()
            .add(AccountsServiceServer::new(grpc.clone()))
            .add(TransfersServiceServer::new(grpc))
            .add(saga::server(self.store.clone()))
            .add(task::server(self.store.clone()))
            .merge(feed.into_routes())
    }

    /// The table that accounts are listed from, to be made anew or looked after.
    pub fn list(&self) -> &Projector<impl Projection + use<>> {
        &self.list
    }

    /// The tables of the statements, to be made anew or looked after.
    pub fn statements(&self) -> &Projector<impl Projection + use<>> {
        &self.entries
    }

    /// Keeps lists and statements up to date until dropped, at any point without
    /// harm. To run beside [`Bank::routes`], in every replica.
    pub async fn project(self) {
        tokio::join!(self.list.run(), self.entries.run());
    }

    /// Moves the money of transfers until dropped, at any point without harm. To
    /// run beside [`Bank::routes`], in every replica.
    pub async fn transfer(self) {
        self.worker.run().await;
    }
}
