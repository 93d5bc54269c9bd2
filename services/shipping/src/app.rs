//! The one command of this service and its way to the database.

mod answer;

use durable::{
    Store, Tx,
    command::{self, Command, Handler, handler},
};
use titan::shipping::v1 as proto;
use tower::{ServiceBuilder, ServiceExt as _, util::BoxCloneSyncService};

use crate::{
    domain::{Micros, Refusal, Shipment, ShipmentId, Wish},
    store,
};

/// Why a command or a query did not do what it says.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The domain said no.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] durable::Error),
}

/// Asks for something to happen to a shipment.
#[derive(Clone, Debug)]
pub(crate) struct ChangeShipment {
    pub(crate) shipment: ShipmentId,
    pub(crate) wish: Wish,
    pub(crate) at: Micros,
}

/// The way of the command. It answers with a message of the contract, since that
/// is what is kept and given again when a call is repeated.
#[derive(Clone)]
pub(crate) struct Commands(BoxCloneSyncService<Command<ChangeShipment>, proto::Shipment, Error>);

impl Commands {
    pub(crate) fn new(store: &Store) -> Self {
        // Outermost first.
        let way = ServiceBuilder::new()
            .layer(command::trace())
            .layer(command::transaction(store.clone()))
            // Within the transaction: an answer is kept when its effect is.
            .layer(command::idempotent())
            .service(handler(Follow));
        Self(BoxCloneSyncService::new(way))
    }

    pub(crate) async fn run(&self, it: Command<ChangeShipment>) -> Result<proto::Shipment, Error> {
        self.0.clone().oneshot(it).await
    }
}

#[derive(Clone, Debug)]
struct Follow;

impl Handler<ChangeShipment> for Follow {
    type Answer = proto::Shipment;
    type Error = Error;

    async fn handle(&self, tx: &mut Tx, it: ChangeShipment) -> Result<proto::Shipment, Error> {
        let known = store::lock(tx, &it.shipment).await?;
        let (shipment, event) = Shipment::follow(known, it.shipment, it.wish, it.at)?;
        if let Some(event) = event {
            store::save(tx, &shipment).await?;
            store::tell(tx, &shipment, event).await?;
        }
        Ok(shipment.into())
    }
}
