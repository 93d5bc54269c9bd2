//! What others are told, in the transaction in which it happens.

use durable::{Expected, NewEvent, Tx, time};
use titan::inventory::v1 as proto;

use crate::domain::{Product, Reservation, Stock, reservation::State};

pub(super) async fn offered(tx: &mut Tx, it: &Product) -> Result<(), durable::Error> {
    let event = NewEvent::of(&proto::ProductCreated {
        product: it.id.to_string(),
        title: it.title.as_str().to_owned(),
        price: Some(it.price.money().clone().into()),
        seller: it.seller.clone(),
    });
    append(tx, it.id.as_str(), Expected::NoStream, event).await
}

pub(super) async fn revised(tx: &mut Tx, it: &Product) -> Result<(), durable::Error> {
    let event = NewEvent::of(&proto::ProductChanged {
        product: it.id.to_string(),
        title: it.title.as_str().to_owned(),
        price: Some(it.price.money().clone().into()),
        update_time: Some(time::to_proto(it.updated)),
    });
    append(tx, it.id.as_str(), Expected::Exists, event).await
}

pub(super) async fn received(tx: &mut Tx, it: &Stock, quantity: i64) -> Result<(), durable::Error> {
    let (product, available) = (it.product.to_string(), it.available);
    let event = NewEvent::of(&proto::StockReceived { product, quantity, available });
    append(tx, &it.product.stock(), Expected::Any, event).await
}

/// What a reservation has just become.
pub(super) async fn changed(tx: &mut Tx, it: &Reservation) -> Result<(), durable::Error> {
    let reservation = it.id.as_str().to_owned();
    let lines = it.lines.iter().map(Into::into).collect();
    let event = match it.state {
        State::Held { until } => {
            let expire_time = Some(time::to_proto(until));
            NewEvent::of(&proto::StockReserved { reservation, lines, expire_time })
        }
        State::Confirmed => NewEvent::of(&proto::ReservationConfirmed { reservation }),
        State::Committed => NewEvent::of(&proto::StockSold { reservation, lines }),
        State::Released => NewEvent::of(&proto::ReservationReleased { reservation, lines }),
        State::Expired => NewEvent::of(&proto::ReservationExpired { reservation, lines }),
    };
    // Each state is told by one event, so the stream counts as the row does.
    let expected = match it.version {
        1 => Expected::NoStream,
        version => Expected::Exact(version - 1),
    };
    append(tx, it.id.as_str(), expected, event).await
}

async fn append(
    tx: &mut Tx,
    stream: &str,
    expected: Expected,
    event: NewEvent,
) -> Result<(), durable::Error> {
    tx.append(stream, expected, vec![event]).await?;
    Ok(())
}
