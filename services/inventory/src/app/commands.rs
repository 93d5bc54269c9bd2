//! Commands: what may be asked to happen, as plain values, and their way to their
//! handlers.

use durable::{
    Store,
    command::{self, Command, Handler, handler},
};
use prost::Message;
use titan::inventory::v1 as proto;
use tower::{ServiceBuilder, ServiceExt as _, util::BoxCloneSyncService};

use super::{Error, handlers::Decide};
use crate::domain::{
    Micros, Product, ProductId, ReservationId, product::Revision, reservation::Wish,
};

/// Offers a product.
#[derive(Clone, Debug)]
pub(crate) struct OfferProduct(pub(crate) Product);

/// Gives a product new values.
#[derive(Clone, Debug)]
pub(crate) struct ReviseProduct {
    pub(crate) product: ProductId,
    pub(crate) to: Revision,
    pub(crate) by: String,
    pub(crate) seen: String,
    pub(crate) at: Micros,
}

/// Takes in pieces that have arrived.
#[derive(Clone, Debug)]
pub(crate) struct ReceiveStock {
    pub(crate) product: ProductId,
    pub(crate) quantity: i64,
    pub(crate) by: String,
    pub(crate) at: Micros,
}

/// Wants something of a reservation.
#[derive(Clone, Debug)]
pub(crate) struct ChangeReservation {
    pub(crate) reservation: ReservationId,
    pub(crate) wish: Wish,
    pub(crate) at: Micros,
}

/// A command's way to its handler. The answer is a message of the contract, since
/// that is what is kept and given again when a call is repeated.
type Way<C, R> = BoxCloneSyncService<Command<C>, R, Error>;

/// The ways of all commands.
#[derive(Clone)]
pub(crate) struct Commands {
    offer: Way<OfferProduct, proto::Product>,
    revise: Way<ReviseProduct, proto::Product>,
    receive: Way<ReceiveStock, proto::Stock>,
    change: Way<ChangeReservation, proto::Reservation>,
}

impl Commands {
    pub(crate) fn new(store: &Store) -> Self {
        let (offer, revise) = (way(store), way(store));
        Self { offer, revise, receive: way(store), change: way(store) }
    }

    pub(crate) async fn offer(&self, it: Command<OfferProduct>) -> Result<proto::Product, Error> {
        self.offer.clone().oneshot(it).await
    }

    pub(crate) async fn revise(&self, it: Command<ReviseProduct>) -> Result<proto::Product, Error> {
        self.revise.clone().oneshot(it).await
    }

    pub(crate) async fn receive(&self, it: Command<ReceiveStock>) -> Result<proto::Stock, Error> {
        self.receive.clone().oneshot(it).await
    }

    pub(crate) async fn change(
        &self,
        it: Command<ChangeReservation>,
    ) -> Result<proto::Reservation, Error> {
        self.change.clone().oneshot(it).await
    }
}

fn way<C, R>(store: &Store) -> Way<C, R>
where
    C: Send + 'static,
    R: Message + Default + 'static,
    Decide: Handler<C, Answer = R, Error = Error>,
{
    // Outermost first.
    let way = ServiceBuilder::new()
        .layer(command::trace())
        .layer(command::transaction(store.clone()))
        // Within the transaction: an answer is kept when its effect is.
        .layer(command::idempotent())
        .service(handler(Decide));
    Way::new(way)
}
