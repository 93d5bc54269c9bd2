//! The saga that places a confirmed order: what it asks of the other services of
//! the shop, in which order, and how each of that is undone.
//!
//! Everything that it makes elsewhere bears the id of the order, so that nothing
//! is made twice, and nothing has to be remembered to undo it. A step that is
//! undone before it has arrived finds the note of its undoing, and is refused.

use durable::{
    Tx,
    aggregate::{Recorded, Repository},
    saga::{Definition, Failure, Instance, Refusal, Retry, Step, StepContext},
    task::HandlerError,
};
use titan::{
    inventory::v1::{
        BatchGetProductsRequest, CommitReservationRequest, ConfirmReservationRequest,
        CreateReservationRequest, ReleaseReservationRequest, Reservation, ReservationLine,
    },
    orders::v1::{OrderLine, PlaceOrder},
    payments::v1::{CapturePaymentRequest, CreatePaymentRequest, Payment, RefundPaymentRequest},
    shipping::v1::{
        CancelShipmentRequest, CreateShipmentRequest, HandOverShipmentRequest, Shipment,
        ShipmentLine,
    },
};

use super::{Shop, events};
use crate::domain::{Micros, Order, OrderId, Placed, Reason};

const PRICE_CHANGED: &str = "PRICE_CHANGED";

/// The definition. A change of its steps is a new version. `undo` is how often
/// and after which waits an undoing is tried.
pub(crate) fn place_order(
    shop: Shop,
    orders: Repository<Order>,
    clock: fn() -> Micros,
    undo: Retry,
) -> Definition<PlaceOrder, Shop> {
    let abandoned = orders.clone();
    Definition::new("place-order", 1, shop)
        .step("validate", Step::run(validate).without_undo("it only asks"))
        .step("reserve", Step::run(reserve).undo(release).undo_retry(undo))
        .step("authorize", Step::run(authorize).undo(refund).undo_retry(undo))
        .step("capture", Step::run(capture).without_undo("refunding the payment undoes it"))
        .step("keep", Step::run(keep).without_undo("releasing the reservation undoes it"))
        .step("ship", Step::run(ship).undo(cancel_shipment).undo_retry(undo))
        // Paid, and packed: what is left cannot be refused any more.
        .pivot()
        .step("sell", Step::run(sell).without_undo("the pieces are the customer's"))
        .step("hand over", Step::run(hand_over).without_undo("a parcel comes back as a return"))
        .completed(move |tx, saga| {
            let orders = orders.clone();
            Box::pin(async move { complete(tx, &orders, saga, clock()).await })
        })
        .compensated(move |tx, saga| {
            let orders = abandoned.clone();
            Box::pin(async move { abandon(tx, &orders, saga, clock()).await })
        })
}

/// What the saga has to know of an order.
impl From<&Order> for PlaceOrder {
    fn from(order: &Order) -> Self {
        let Placed { customer, items, total, card, address } = order.placed.clone();
        PlaceOrder {
            order: order.id.to_string(),
            customer: customer.to_string(),
            lines: items.into_iter().map(Into::into).collect(),
            total: Some(total.into()),
            card,
            shipping_address: Some(address.into()),
        }
    }
}

type Done = Result<PlaceOrder, Failure>;

/// Whether everything is still sold at the price that the customer has seen.
async fn validate(shop: Shop, step: StepContext, order: PlaceOrder) -> Done {
    let names = order.lines.iter().map(|line| line.product.clone()).collect();
    let products = shop.products(step.request(BatchGetProductsRequest { names })).await?;
    for (line, product) in order.lines.iter().zip(&products) {
        if product.price != line.unit_price {
            let message = format!("{} has another price now", line.product);
            return Err(Failure::refused(PRICE_CHANGED, message));
        }
    }
    Ok(order)
}

async fn reserve(mut shop: Shop, step: StepContext, order: PlaceOrder) -> Done {
    let lines = order.lines.iter().map(reservation_line).collect();
    let request = CreateReservationRequest {
        reservation_id: bare(&order),
        reservation: Some(Reservation { lines, ..Reservation::default() }),
    };
    shop.reservations.create_reservation(step.request(request)).await?;
    Ok(order)
}

async fn release(mut shop: Shop, step: StepContext, order: PlaceOrder) -> Done {
    let request = ReleaseReservationRequest { name: named("reservations", &order) };
    shop.reservations.release_reservation(step.request(request)).await?;
    Ok(order)
}

async fn authorize(mut shop: Shop, step: StepContext, order: PlaceOrder) -> Done {
    let payment = Payment {
        customer: order.customer.clone(),
        amount: order.total.clone(),
        card: order.card.clone(),
        ..Payment::default()
    };
    let request = CreatePaymentRequest { payment_id: bare(&order), payment: Some(payment) };
    shop.payments.create_payment(step.request(request)).await?;
    Ok(order)
}

async fn capture(mut shop: Shop, step: StepContext, order: PlaceOrder) -> Done {
    let request = CapturePaymentRequest { name: named("payments", &order) };
    shop.payments.capture_payment(step.request(request)).await?;
    Ok(order)
}

/// Undoes a payment however far it got, so that it undoes both of its steps: one that
/// keeps failing asks once.
async fn refund(mut shop: Shop, step: StepContext, order: PlaceOrder) -> Done {
    let request = RefundPaymentRequest { name: named("payments", &order) };
    shop.payments.refund_payment(step.request(request)).await?;
    Ok(order)
}

/// From here on the pieces wait for as long as it takes.
async fn keep(mut shop: Shop, step: StepContext, order: PlaceOrder) -> Done {
    let request = ConfirmReservationRequest { name: named("reservations", &order) };
    shop.reservations.confirm_reservation(step.request(request)).await?;
    Ok(order)
}

async fn ship(mut shop: Shop, step: StepContext, order: PlaceOrder) -> Done {
    let shipment = Shipment {
        customer: order.customer.clone(),
        address: order.shipping_address.clone(),
        lines: order.lines.iter().map(shipment_line).collect(),
        ..Shipment::default()
    };
    let request = CreateShipmentRequest { shipment_id: bare(&order), shipment: Some(shipment) };
    shop.shipments.create_shipment(step.request(request)).await?;
    Ok(order)
}

async fn cancel_shipment(mut shop: Shop, step: StepContext, order: PlaceOrder) -> Done {
    let request = CancelShipmentRequest { name: named("shipments", &order) };
    shop.shipments.cancel_shipment(step.request(request)).await?;
    Ok(order)
}

async fn sell(mut shop: Shop, step: StepContext, order: PlaceOrder) -> Done {
    let request = CommitReservationRequest { name: named("reservations", &order) };
    shop.reservations.commit_reservation(step.request(request)).await?;
    Ok(order)
}

async fn hand_over(mut shop: Shop, step: StepContext, order: PlaceOrder) -> Done {
    let request = HandOverShipmentRequest { name: named("shipments", &order) };
    shop.shipments.hand_over_shipment(step.request(request)).await?;
    Ok(order)
}

async fn complete(
    tx: &mut Tx,
    orders: &Repository<Order>,
    saga: &Instance<PlaceOrder>,
    at: Micros,
) -> Result<(), HandlerError> {
    let decide = |order: &Recorded<Order>| events(order.state.complete(at));
    orders.update_in(tx, &saga.data.order, decide).await?;
    Ok(())
}

async fn abandon(
    tx: &mut Tx,
    orders: &Repository<Order>,
    saga: &Instance<PlaceOrder>,
    at: Micros,
) -> Result<(), HandlerError> {
    let because = saga.refusal.as_ref().filter(|it| it.reason != Refusal::CANCELLED).map(|it| {
        match reason(&it.reason) {
            // What failed inside is in the saga's history, not in the answer.
            Reason::Unavailable => (Reason::Unavailable, ""),
            known => (known, it.message.as_str()),
        }
    });
    let decide = |order: &Recorded<Order>| events(order.state.abandon(at, because));
    orders.update_in(tx, &saga.data.order, decide).await?;
    Ok(())
}

/// What a customer is told, of the reasons that participants give.
fn reason(given: &str) -> Reason {
    match given {
        "PRODUCT_NOT_FOUND" => Reason::ProductGone,
        PRICE_CHANGED => Reason::PriceChanged,
        "OUT_OF_STOCK" => Reason::OutOfStock,
        "CARD_DECLINED" => Reason::PaymentDeclined,
        "DESTINATION_NOT_SERVED" => Reason::Undeliverable,
        _ => Reason::Unavailable,
    }
}

/// The id that everything made for an order bears.
fn bare(order: &PlaceOrder) -> String {
    OrderId::stored(order.order.clone()).bare().to_owned()
}

fn named(kind: &str, order: &PlaceOrder) -> String {
    format!("{kind}/{}", bare(order))
}

fn reservation_line(line: &OrderLine) -> ReservationLine {
    ReservationLine { product: line.product.clone(), quantity: line.quantity }
}

fn shipment_line(line: &OrderLine) -> ShipmentLine {
    ShipmentLine { product: line.product.clone(), quantity: line.quantity }
}
