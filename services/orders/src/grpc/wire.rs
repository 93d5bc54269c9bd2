//! Between the wire and the domain: names, messages, and the one table from
//! errors to codes.

use durable::{Event, time};
use mesh::status::{self, Violation, field, refuse, refuse_resource};
use titan::orders::v1 as proto;
use tonic::{Code, Status};

use crate::{
    app::{Error, commands::PlaceOrder},
    domain::{
        Micros, OrderId, ProductId, UserId,
        order::{Refusal, Wish},
    },
    store,
};

const PRODUCT: &str = "inventory.titan/Product";

/// The order of a resource name. One that no order can bear is not found either:
/// the form of an id is nobody's business.
pub(super) fn order_id(name: &str) -> Result<OrderId, Status> {
    OrderId::parse(name).ok_or_else(|| Error::from(Refusal::NoOrder).into())
}

/// The command that a new order asks for, in the name of the user who calls.
pub(super) fn place_order(
    order: OrderId,
    wanted: proto::Order,
    at: Micros,
) -> Result<PlaceOrder, Status> {
    let customer = UserId::new(&mesh::call::caller().user()?.id);
    let wish =
        |it: proto::Item| Wish { product: ProductId::named(&it.product), quantity: it.quantity };
    Ok(PlaceOrder {
        order,
        customer,
        wishes: wanted.items.into_iter().map(wish).collect(),
        card: wanted.card,
        address: wanted.shipping_address.unwrap_or_default().into(),
        at,
    })
}

/// Something that happened to an order, as callers read it.
pub(super) fn order_event(event: Event) -> Result<proto::OrderEvent, Status> {
    Ok(proto::OrderEvent {
        version: event.version,
        position: event.position,
        time: Some(time::to_proto(event.time)),
        event: store::message(&event)?,
        actor: event.actor,
    })
}

/// The table from errors to codes.
impl From<Error> for Status {
    fn from(error: Error) -> Self {
        match error {
            Error::Refused(refusal) => refused(&refusal),
            Error::Inventory(status) => unanswered(&status),
            Error::Store(error) => error.into(),
        }
    }
}

fn refused(refusal: &Refusal) -> Status {
    let message = refusal.to_string();
    let (code, reason) = match refusal {
        Refusal::Items
        | Refusal::Quantity(_)
        | Refusal::Twice(_)
        | Refusal::Currencies(..)
        | Refusal::TooDear
        | Refusal::Free => return status::invalid(vec![violation(refusal, message)]),
        Refusal::NoProduct(product) => {
            let (code, reason) = (Code::NotFound, "PRODUCT_NOT_FOUND");
            return refuse_resource(code, reason, PRODUCT, product.to_string(), message);
        }
        Refusal::NoOrder => (Code::NotFound, "ORDER_NOT_FOUND"),
        Refusal::NotCustomer => (Code::PermissionDenied, "NOT_CUSTOMER"),
        Refusal::TooLate => (Code::FailedPrecondition, "ORDER_TOO_LATE"),
        Refusal::Cancelled => (Code::FailedPrecondition, "ORDER_CANCELLED"),
        Refusal::NotProcessing => (Code::FailedPrecondition, "ORDER_NOT_PROCESSING"),
        Refusal::Stale => (Code::Aborted, "ETAG_MISMATCH"),
    };
    refuse(code, reason, message)
}

/// The part of the request at fault.
fn violation(refusal: &Refusal, message: String) -> Violation {
    match refusal {
        Refusal::Quantity(place) => {
            field(format!("order.items[{place}].quantity"), "int64.range", message)
        }
        Refusal::Twice(place) => {
            field(format!("order.items[{place}].product"), "repeated.unique", message)
        }
        Refusal::Items => field("order.items", "repeated.min_items", message),
        _ => field("order.items", "order.total", message),
    }
}

/// Whether the call may be repeated is passed on as the inventory service said
/// it; anything else that it said was not meant for our caller.
fn unanswered(status: &Status) -> Status {
    match status.code() {
        code @ (Code::Unavailable | Code::DeadlineExceeded | Code::ResourceExhausted) => {
            Status::with_details(code, status.message(), status.details().to_vec().into())
        }
        _ => status::internal(status),
    }
}
