//! Products, stock and reservations as the contract tells of them.

use durable::time;
use titan::{
    inventory::v1::{self as proto, reservation::State as WireState},
    money::v1::Money as WireMoney,
};

use crate::domain::{
    Money, Product, Reservation, Stock,
    reservation::{Line, State},
};

impl From<Money> for WireMoney {
    fn from(money: Money) -> Self {
        WireMoney { currency_code: money.currency, minor_units: money.minor }
    }
}

impl From<Product> for proto::Product {
    fn from(product: Product) -> Self {
        proto::Product {
            name: product.id.to_string(),
            title: product.title.as_str().to_owned(),
            price: Some(product.price.money().clone().into()),
            create_time: Some(time::to_proto(product.created)),
            update_time: Some(time::to_proto(product.updated)),
            etag: product.etag(),
            seller: product.seller,
        }
    }
}

impl From<Stock> for proto::Stock {
    fn from(stock: Stock) -> Self {
        proto::Stock {
            name: stock.product.stock(),
            product: stock.product.to_string(),
            on_hand: stock.available + stock.reserved,
            reserved: stock.reserved,
            available: stock.available,
            sold: stock.sold,
            received: stock.received,
            update_time: (stock.updated > 0).then(|| time::to_proto(stock.updated)),
        }
    }
}

impl From<&Line> for proto::ReservationLine {
    fn from(line: &Line) -> Self {
        proto::ReservationLine { product: line.product.to_string(), quantity: line.quantity }
    }
}

impl From<Reservation> for proto::Reservation {
    fn from(reservation: Reservation) -> Self {
        let (state, until) = match reservation.state {
            State::Held { until } => (WireState::Held, Some(until)),
            State::Confirmed => (WireState::Confirmed, None),
            State::Committed => (WireState::Committed, None),
            State::Released => (WireState::Released, None),
            State::Expired => (WireState::Expired, None),
        };
        proto::Reservation {
            name: reservation.id.as_str().to_owned(),
            lines: reservation.lines.iter().map(Into::into).collect(),
            ttl: None,
            state: state.into(),
            expire_time: until.map(time::to_proto),
            create_time: Some(time::to_proto(reservation.created)),
            update_time: Some(time::to_proto(reservation.updated)),
        }
    }
}
