//! The shop by REST, as a customer uses it: what is bought, what is refused, and
//! what is left of an order that came to nothing.

use serde_json::{Value, json};

use crate::{client::Client, system::System};

/// A seller with products, a customer, and who may look at everything.
#[derive(Clone)]
pub struct Shop {
    pub seller: Client,
    pub customer: Client,
    pub admin: Client,
}

impl Shop {
    pub fn open(system: &System) -> Self {
        let edge = system.client();
        let seller = edge.sign_up("seller@example.com");
        let customer = edge.sign_up("customer@example.com");
        Self { seller, customer, admin: system.admin() }
    }

    /// A product with some stock; its name.
    pub fn offer(&self, title: &str, minor_units: i64, quantity: i64) -> String {
        let price = json!({"currencyCode": "EUR", "minorUnits": minor_units.to_string()});
        let product = json!({"title": title, "price": price});
        let product = self.seller.post("/v1/products", &product).ok();
        let name = text(&product["name"]);
        let receive = format!("{}:receive", stock_path(&name));
        self.seller.post(&receive, &json!({"quantity": quantity.to_string()})).ok();
        name
    }

    /// `available`, `reserved` and `sold` of a product.
    pub fn pieces(&self, product: &str) -> (i64, i64, i64) {
        let stock = self.admin.get(&stock_path(product)).ok();
        let pieces = |field: &str| number(&stock[field]);
        let (available, reserved, sold) = (pieces("available"), pieces("reserved"), pieces("sold"));
        assert_eq!(pieces("received"), available + reserved + sold, "{stock}");
        (available, reserved, sold)
    }

    /// Money that the provider has moved for an order: kinds and minor units.
    pub fn bookings(&self, order: &str) -> Vec<(String, i64)> {
        let path = format!("/v1/payments/{}/bookings", id(order));
        let bookings = self.admin.get(&path).ok();
        let bookings = bookings["bookings"].as_array().cloned().unwrap_or_default();
        let moved = |it: &Value| (text(&it["kind"]), number(&it["amount"]["minorUnits"]));
        bookings.iter().map(moved).collect()
    }

    /// Places an order, confirms it, and waits for its end.
    fn buy(&self, system: &System, wanted: &Value) -> Value {
        let order = self.customer.post("/v1/orders", wanted).ok();
        assert_eq!(order["state"], "STATE_PLACED", "{order}");
        let path = format!("/v1/{}", text(&order["name"]));
        self.customer.post(&format!("{path}:confirm"), &json!({})).ok();
        system.until("the order has ended", || {
            let order = self.customer.get(&path).ok();
            ended(&order).then_some(order)
        })
    }
}

/// What a customer asks for.
pub fn order(items: &[(&str, i64)], card: &str, region: &str) -> Value {
    let item = |(product, quantity): &(&str, i64)| json!({"product": product, "quantity": quantity.to_string()});
    json!({
        "items": items.iter().map(item).collect::<Vec<_>>(),
        "card": card,
        "shippingAddress": {
            "recipient": "Ada",
            "addressLines": ["Main Street 1"],
            "postalCode": "10115",
            "locality": "Berlin",
            "regionCode": region,
        },
    })
}

/// Whether nothing more happens to an order.
pub fn ended(order: &Value) -> bool {
    order["state"] == "STATE_COMPLETED" || order["state"] == "STATE_CANCELLED"
}

pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

/// An int64 of the contract, which JSON writes as a string; zero is left out.
pub fn number(value: &Value) -> i64 {
    value.as_str().map_or(0, |text| text.parse().unwrap())
}

/// The last part of a name.
pub fn id(name: &str) -> &str {
    name.rsplit('/').next().unwrap()
}

fn stock_path(product: &str) -> String {
    format!("/v1/stock/{}", id(product))
}

/// Names of what has happened to an order, in order.
fn history(client: &Client, order: &Value) -> Vec<String> {
    let events = client.get(&format!("/v1/{}/events", text(&order["name"]))).ok();
    let events = events["events"].as_array().unwrap().clone();
    let kinds = ["placed", "confirmed", "cancellationRequested", "completed", "cancelled"];
    let kind = |event: &Value| kinds.iter().find(|kind| event[**kind].is_object());
    events.iter().map(|event| (*kind(event).unwrap()).to_owned()).collect()
}

#[test]
fn an_order_is_reserved_paid_and_shipped() {
    let system = System::start();
    let shop = Shop::open(&system);
    let (tea, cup) = (shop.offer("Tea", 1_250, 10), shop.offer("Cup", 800, 5));
    let wanted = order(&[(&tea, 2), (&cup, 1)], "card-ok", "DE");
    let bought = shop.buy(&system, &wanted);
    assert_eq!(bought["state"], "STATE_COMPLETED", "{bought}");
    assert_eq!(number(&bought["total"]["minorUnits"]), 3_300);
    assert_eq!(history(&shop.customer, &bought), ["placed", "confirmed", "completed"]);
    assert_eq!((shop.pieces(&tea), shop.pieces(&cup)), ((8, 0, 2), (4, 0, 1)));

    let name = text(&bought["name"]);
    let payment = shop.customer.get(&format!("/v1/payments/{}", id(&name))).ok();
    assert_eq!(payment["state"], "STATE_CAPTURED", "{payment}");
    assert_eq!(number(&payment["captured"]["minorUnits"]), 3_300);
    let booked = [("KIND_AUTHORIZE".to_owned(), 3_300), ("KIND_CAPTURE".to_owned(), 3_300)];
    assert_eq!(shop.bookings(&name), booked);
    let shipment = shop.customer.get(&format!("/v1/shipments/{}", id(&name))).ok();
    assert_eq!(shipment["state"], "STATE_HANDED_OVER", "{shipment}");

    // What is somebody's own is nobody else's.
    for kind in ["payments", "shipments", "orders"] {
        assert_eq!(shop.seller.get(&format!("/v1/{kind}/{}", id(&name))).status, 403, "{kind}");
    }
    // Nobody reserves past the shop.
    let reservation = json!({"lines": [{"product": tea, "quantity": "1"}]});
    let answer = shop.customer.post("/v1/reservations?reservation_id=mine", &reservation);
    assert_eq!(answer.status, 403, "{answer:?}");
}

#[test]
fn what_is_refused_is_undone_and_charges_nobody() {
    let system = System::start();
    let shop = Shop::open(&system);
    let tea = shop.offer("Tea", 1_250, 10);
    for (quantity, card, region, reason) in [
        (2, "card-declined", "DE", "CANCEL_REASON_PAYMENT_DECLINED"),
        (2, "card-capture-declined", "DE", "CANCEL_REASON_PAYMENT_DECLINED"),
        (11, "card-ok", "DE", "CANCEL_REASON_OUT_OF_STOCK"),
        // Refused at the last step, when it is paid.
        (2, "card-ok", "AQ", "CANCEL_REASON_UNDELIVERABLE"),
    ] {
        let lost = shop.buy(&system, &order(&[(&tea, quantity)], card, region));
        assert_eq!(lost["state"], "STATE_CANCELLED", "{lost}");
        assert_eq!(lost["cancelReason"], reason);
        assert_eq!(history(&shop.customer, &lost), ["placed", "confirmed", "cancelled"]);
        assert_eq!(shop.pieces(&tea), (10, 0, 0), "{reason}");
        let name = text(&lost["name"]);
        let payment = shop.admin.get(&format!("/v1/payments/{}", id(&name)));
        if payment.status == 200 {
            let payment = payment.json();
            let (taken, back) = (&payment["captured"], &payment["refunded"]);
            assert_eq!(number(&taken["minorUnits"]), number(&back["minorUnits"]), "{payment}");
        } else {
            assert_eq!((payment.status, reason), (404, "CANCEL_REASON_OUT_OF_STOCK"));
        }
    }
}

#[test]
fn a_lost_answer_of_the_bank_charges_once() {
    let system = System::start();
    let shop = Shop::open(&system);
    let tea = shop.offer("Tea", 1_250, 10);
    for card in ["card-unknown", "card-flaky"] {
        let bought = shop.buy(&system, &order(&[(&tea, 1)], card, "DE"));
        assert_eq!(bought["state"], "STATE_COMPLETED", "{bought}");
        let booked = [("KIND_AUTHORIZE".to_owned(), 1_250), ("KIND_CAPTURE".to_owned(), 1_250)];
        assert_eq!(shop.bookings(&text(&bought["name"])), booked);
    }
    // And when it is undone afterwards, all of it is given back.
    let lost = shop.buy(&system, &order(&[(&tea, 1)], "card-unknown", "AQ"));
    assert_eq!(lost["state"], "STATE_CANCELLED", "{lost}");
    let kinds: Vec<_> = shop.bookings(&text(&lost["name"])).into_iter().map(|it| it.0).collect();
    assert_eq!(kinds, ["KIND_AUTHORIZE", "KIND_CAPTURE", "KIND_REFUND"]);
    assert_eq!(shop.pieces(&tea), (8, 0, 2));
}
