//! What each command does in its transaction.

use durable::{
    Store, Tx,
    aggregate::{Recorded, Repository},
    command::Handler,
    saga::{self, Direction, Sagas},
};
use titan::orders::v1 as proto;

use super::{
    Error, answer,
    ask::Asked,
    commands::{CancelOrder, ConfirmOrder},
    events,
};
use crate::domain::{
    Order, OrderId, Placed, State,
    order::{self, Refusal},
};

/// Handles the commands of orders.
#[derive(Clone, Debug)]
pub(crate) struct Decide {
    pub(crate) store: Store,
    pub(crate) orders: Repository<Order>,
    pub(crate) sagas: Sagas,
}

impl Handler<Asked> for Decide {
    type Answer = proto::Order;
    type Error = Error;

    async fn handle(&self, tx: &mut Tx, asked: Asked) -> Result<proto::Order, Error> {
        let Asked { command, offers } = asked;
        let offers = offers.map_err(Refusal::NoProduct)?;
        let (items, total) = order::price(&command.wishes, &offers)?;
        let (customer, card, address) = (command.customer, command.card, command.address);
        let placed = Placed { customer, items, total, card, address };
        let id = command.order;
        tx.correlate(id.as_str());
        let event = Order::place(id.clone(), placed, command.at);
        Ok(answer(self.orders.create_in(tx, id.as_str(), vec![event]).await?))
    }
}

impl Handler<ConfirmOrder> for Decide {
    type Answer = proto::Order;
    type Error = Error;

    /// The saga that places the order begins when this commits. Its id is the
    /// order's, so there is never a second one.
    async fn handle(&self, tx: &mut Tx, it: ConfirmOrder) -> Result<proto::Order, Error> {
        let id = it.order;
        tx.correlate(id.as_str());
        let confirm =
            |order: &Recorded<Order>| events(order.state.confirm(order.version, &it.intent));
        let order = self.orders.update_in(tx, id.as_str(), confirm).await?;
        if order.state.state == State::Processing {
            let data = proto::PlaceOrder::from(&order.state);
            self.sagas.start(tx, id.as_str(), &data).await?;
        }
        Ok(answer(order))
    }
}

impl Handler<CancelOrder> for Decide {
    type Answer = proto::Order;
    type Error = Error;

    async fn handle(&self, tx: &mut Tx, it: CancelOrder) -> Result<proto::Order, Error> {
        let id = it.order;
        tx.correlate(id.as_str());
        let known = self.orders.load_in(tx, id.as_str()).await?.ok_or(Refusal::NoOrder)?;
        if known.state.state == State::Processing {
            // The saga before the order, as the saga itself locks them.
            self.turn_back(tx, &id, &it.detail).await?;
        }
        let cancel = |order: &Recorded<Order>| {
            events(order.state.cancel(order.version, &it.intent, &it.detail))
        };
        Ok(answer(self.orders.update_in(tx, id.as_str(), cancel).await?))
    }
}

impl Decide {
    /// Has the order's saga undo what it has done. One that is doing so already
    /// needs no asking.
    async fn turn_back(&self, tx: &mut Tx, id: &OrderId, why: &str) -> Result<(), Error> {
        match saga::cancel_in(tx, id.as_str(), why).await {
            Ok(()) => Ok(()),
            Err(saga::Refused::Store(error)) => Err(error.into()),
            Err(saga::Refused::NoWayBack(_)) => match saga::get(&self.store, id.as_str()).await? {
                Some(saga) if saga.direction == Direction::Undo => Ok(()),
                _ => Err(Refusal::TooLate.into()),
            },
            Err(_) => Err(Refusal::TooLate.into()),
        }
    }
}
