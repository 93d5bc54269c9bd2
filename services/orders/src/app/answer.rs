//! An order as the contract tells of it. Commands answer with it, since a
//! repeated call is given the very answer of the first.

use durable::{aggregate::Recorded, time};
use titan::orders::v1::{self as proto, CancelReason, order::State as Wire};

use crate::domain::{Etag, Order, Placed, State};

/// An order and its version, as callers read it.
pub(crate) fn answer(Recorded { state: order, version }: Recorded<Order>) -> proto::Order {
    let Order { id, placed, state, confirmed, created, updated } = order;
    let Placed { customer, items, total, card, address } = placed;
    // Named by the order from the moment somebody may make them.
    let belongs = |kind| if confirmed { format!("{kind}/{}", id.bare()) } else { String::new() };
    let (state, reason, detail) = match state {
        State::Placed => (Wire::Placed, CancelReason::Unspecified, String::new()),
        State::Processing => (Wire::Processing, CancelReason::Unspecified, String::new()),
        State::Cancelling { detail } => (Wire::Cancelling, CancelReason::Unspecified, detail),
        State::Completed => (Wire::Completed, CancelReason::Unspecified, String::new()),
        State::Cancelled { reason, detail } => (Wire::Cancelled, reason.into(), detail),
    };
    proto::Order {
        name: id.to_string(),
        customer: customer.to_string(),
        items: items.into_iter().map(Into::into).collect(),
        total: Some(total.into()),
        card,
        shipping_address: Some(address.into()),
        state: state.into(),
        cancel_reason: reason.into(),
        cancel_detail: detail,
        reservation: belongs("reservations"),
        payment: belongs("payments"),
        shipment: belongs("shipments"),
        create_time: Some(time::to_proto(created)),
        update_time: Some(time::to_proto(updated)),
        etag: Etag::of(version).to_string(),
    }
}
