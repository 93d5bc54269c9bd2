//! Payments and bookings as the contract tells of them.

use durable::time;
use titan::{
    money::v1::Money as WireMoney,
    payments::v1::{self as proto, booking::Kind as WireKind, payment::State as WireState},
};

use crate::{
    domain::{Money, Payment, State},
    provider::{Booking, Kind},
};

impl From<Payment> for proto::Payment {
    fn from(payment: Payment) -> Self {
        let state = match payment.state {
            State::Authorizing => WireState::Authorizing,
            State::Authorized => WireState::Authorized,
            State::Capturing => WireState::Capturing,
            State::Captured => WireState::Captured,
            State::Undoing => WireState::Undoing,
            State::Refunded => WireState::Refunded,
            State::Voided => WireState::Voided,
            State::Declined => WireState::Declined,
        };
        let amount = payment.terms.as_ref().map(|terms| terms.amount.clone());
        let part = |minor| {
            let amount = amount.as_ref().map(|amount| Money { minor, ..amount.clone() });
            amount.map(WireMoney::from)
        };
        proto::Payment {
            name: payment.id.as_str().to_owned(),
            captured: part(payment.captured),
            refunded: part(payment.refunded),
            amount: amount.clone().map(Into::into),
            customer: payment.terms.map(|terms| terms.customer).unwrap_or_default(),
            // Who holds a card's token could pay with it.
            card: String::new(),
            state: state.into(),
            decline_reason: payment.decline_reason,
            create_time: Some(time::to_proto(payment.created)),
            update_time: Some(time::to_proto(payment.updated)),
        }
    }
}

impl From<Money> for WireMoney {
    fn from(money: Money) -> Self {
        WireMoney { currency_code: money.currency, minor_units: money.minor }
    }
}

impl From<Booking> for proto::Booking {
    fn from(booking: Booking) -> Self {
        let kind = match booking.kind {
            Kind::Authorize => WireKind::Authorize,
            Kind::Capture => WireKind::Capture,
            Kind::Refund => WireKind::Refund,
            Kind::Release => WireKind::Release,
        };
        proto::Booking {
            key: booking.key,
            kind: kind.into(),
            amount: Some(booking.amount.into()),
            book_time: Some(time::to_proto(booking.at)),
        }
    }
}
