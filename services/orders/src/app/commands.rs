//! Commands: what may be asked to happen, as plain values, and the layers that
//! each of them passes on its way to its handler.

use durable::{
    Store,
    command::{self, Authorize, Command, Handler, Validate, handler},
};
use titan::orders::v1 as proto;
use tower::{ServiceBuilder, ServiceExt as _, util::BoxCloneSyncService};

use super::{Error, Shop, ask::AskLayer, handlers::Decide, policy::Policy};
use crate::domain::{
    Address, Intent, Micros, OrderId, UserId,
    order::{self, Refusal, Wish},
};

/// Places an order.
#[derive(Clone, Debug)]
pub(crate) struct PlaceOrder {
    pub(crate) order: OrderId,
    pub(crate) customer: UserId,
    pub(crate) wishes: Vec<Wish>,
    pub(crate) card: String,
    pub(crate) address: Address,
    pub(crate) at: Micros,
}

/// Orders what was placed.
#[derive(Clone, Debug)]
pub(crate) struct ConfirmOrder {
    pub(crate) order: OrderId,
    pub(crate) intent: Intent,
}

/// Withdraws an order.
#[derive(Clone, Debug)]
pub(crate) struct CancelOrder {
    pub(crate) order: OrderId,
    pub(crate) intent: Intent,
    pub(crate) detail: String,
}

impl Validate for PlaceOrder {
    type Error = Refusal;

    fn validate(&self) -> Result<(), Refusal> {
        order::check(&self.wishes)
    }
}

/// A command's way to its handler. The answer is a message of the contract, since
/// that is what is kept and given again when a call is repeated.
type Way<C> = BoxCloneSyncService<Command<C>, proto::Order, Error>;

/// The ways of all commands.
#[derive(Clone)]
pub(crate) struct Commands {
    place: Way<PlaceOrder>,
    confirm: Way<ConfirmOrder>,
    cancel: Way<CancelOrder>,
}

impl Commands {
    pub(crate) fn new(store: &Store, shop: Shop, decide: Decide) -> Self {
        // Outermost first.
        let place = ServiceBuilder::new()
            // The span holds all that follows.
            .layer(command::trace())
            // Nobody is asked for a command that is wrong in itself. Who may place
            // an order, the contract has said: any user, in their own name.
            .layer(command::validate())
            // Before the transaction, which would be held for as long as it takes.
            .layer(AskLayer(shop))
            .layer(command::transaction(store.clone()))
            // Within it: an answer is kept when its effect is.
            .layer(command::idempotent())
            .service(handler(decide.clone()));
        Self {
            place: Way::new(place),
            confirm: change(store, decide.clone()),
            cancel: change(store, decide),
        }
    }

    pub(crate) async fn place(&self, it: Command<PlaceOrder>) -> Answer {
        self.place.clone().oneshot(it).await
    }

    pub(crate) async fn confirm(&self, it: Command<ConfirmOrder>) -> Answer {
        self.confirm.clone().oneshot(it).await
    }

    pub(crate) async fn cancel(&self, it: Command<CancelOrder>) -> Answer {
        self.cancel.clone().oneshot(it).await
    }
}

type Answer = Result<proto::Order, Error>;

/// The way of a command on an order that is there: nothing can be wrong with it
/// in itself, and nobody has to be asked.
fn change<C>(store: &Store, decide: Decide) -> Way<C>
where
    C: Send + Sync + 'static,
    Policy: Authorize<C, Error = Error>,
    Decide: Handler<C, Answer = proto::Order, Error = Error>,
{
    let way = ServiceBuilder::new()
        .layer(command::trace())
        // Before an answer is looked up that was meant for somebody else.
        .layer(command::authorize(Policy(store.clone())))
        .layer(command::transaction(store.clone()))
        .layer(command::idempotent())
        .service(handler(decide));
    Way::new(way)
}
