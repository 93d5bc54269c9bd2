//! How the events of an order stand in the log.

use durable::{Error, Event as Logged, NewEvent, aggregate::Aggregate, time};
use prost_types::Timestamp;
use titan::orders::v1::{self as proto, order_event::Event as Message};

use crate::domain::{Event, Fact, Micros, Order, OrderId};

impl Aggregate for Order {
    type Event = Event;

    fn begin(first: &Event) -> Option<Self> {
        Order::begin(first)
    }

    fn evolve(&mut self, event: &Event) {
        Order::evolve(self, event);
    }

    fn encode(event: &Event) -> NewEvent {
        match from_domain(event) {
            Message::Placed(it) => NewEvent::of(&it),
            Message::Confirmed(it) => NewEvent::of(&it),
            Message::CancellationRequested(it) => NewEvent::of(&it),
            Message::Completed(it) => NewEvent::of(&it),
            Message::Cancelled(it) => NewEvent::of(&it),
        }
    }

    fn decode(event: &Logged) -> Result<Option<Event>, Error> {
        Ok(message(event)?.map(|it| to_domain(it, event.time)))
    }
}

/// The message of an event; `None` for a type that no order has.
pub(crate) fn message(event: &Logged) -> Result<Option<Message>, Error> {
    if let Some(it) = event.decode()? {
        return Ok(Some(Message::Placed(it)));
    }
    if let Some(it) = event.decode()? {
        return Ok(Some(Message::Confirmed(it)));
    }
    if let Some(it) = event.decode()? {
        return Ok(Some(Message::CancellationRequested(it)));
    }
    if let Some(it) = event.decode()? {
        return Ok(Some(Message::Completed(it)));
    }
    Ok(event.decode()?.map(Message::Cancelled))
}

fn from_domain(event: &Event) -> Message {
    let order = event.order.to_string();
    let update_time = Some(time::to_proto(event.at));
    match event.fact.clone() {
        Fact::Placed(placed) => Message::Placed(proto::OrderPlaced {
            order,
            customer: placed.customer.to_string(),
            lines: placed.items.into_iter().map(Into::into).collect(),
            total: Some(placed.total.into()),
            card: placed.card,
            shipping_address: Some(placed.address.into()),
            update_time,
        }),
        Fact::Confirmed => Message::Confirmed(proto::OrderConfirmed { order, update_time }),
        Fact::CancellationRequested { detail } => {
            let it = proto::OrderCancellationRequested { order, detail, update_time };
            Message::CancellationRequested(it)
        }
        Fact::Completed => Message::Completed(proto::OrderCompleted { order, update_time }),
        Fact::Cancelled { reason, detail } => {
            let reason = proto::CancelReason::from(reason).into();
            Message::Cancelled(proto::OrderCancelled { order, reason, detail, update_time })
        }
    }
}

/// `logged` is when it was appended, should it not say itself when it happened.
fn to_domain(message: Message, logged: Micros) -> Event {
    let event = |order: String, at: Option<Timestamp>, fact| {
        let at = at.as_ref().and_then(time::from_proto).unwrap_or(logged);
        Event { order: OrderId::stored(order), at, fact }
    };
    match message {
        Message::Placed(it) => {
            let (order, at) = (it.order.clone(), it.update_time);
            event(order, at, Fact::Placed(it.into()))
        }
        Message::Confirmed(it) => event(it.order, it.update_time, Fact::Confirmed),
        Message::CancellationRequested(it) => {
            let fact = Fact::CancellationRequested { detail: it.detail };
            event(it.order, it.update_time, fact)
        }
        Message::Completed(it) => event(it.order, it.update_time, Fact::Completed),
        Message::Cancelled(it) => {
            let (reason, at) = (it.reason().into(), it.update_time);
            event(it.order, at, Fact::Cancelled { reason, detail: it.detail })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Address, Currency, Item, Money, Placed, ProductId, Reason, UserId};

    fn facts() -> [Fact; 5] {
        let eur = |units| Money { currency: Currency::parse("EUR").unwrap(), units };
        let (product, title) = (ProductId::named("products/tea"), "Tea".to_owned());
        let item = Item { product, title, quantity: 2, unit_price: eur(350), line_total: eur(700) };
        let address = Address {
            recipient: "Ada".into(),
            lines: vec!["Street 1".into(), "Door 2".into()],
            postal_code: "10115".into(),
            locality: "Berlin".into(),
            region_code: "DE".into(),
        };
        let (customer, card) = (UserId::new("ada"), "card-ok".to_owned());
        [
            Fact::Placed(Placed { customer, items: vec![item], total: eur(700), card, address }),
            Fact::Confirmed,
            Fact::CancellationRequested { detail: "no".into() },
            Fact::Completed,
            Fact::Cancelled { reason: Reason::OutOfStock, detail: "none left".into() },
        ]
    }

    #[test]
    fn what_happened_reads_as_it_was_written() {
        for fact in facts() {
            let event = Event { order: OrderId::stored("orders/1".into()), at: 1_234_567, fact };
            assert_eq!(to_domain(from_domain(&event), 9), event);
        }
    }
}
