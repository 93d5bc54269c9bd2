//! What must be true when all has ended, asked of the services and their logs.

use std::{
    collections::{BTreeMap, BTreeSet},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use super::{
    attention,
    bank::{Bank, DEPOSIT},
    load::Product,
};
use crate::{
    client::Client,
    shop::{Shop, id, number, text},
    system::System,
};

/// Without an end of anything for so long, nothing more comes: ten times the
/// longest takeover of a dead worker's sagas, and more than any wait between two
/// attempts.
const PATIENCE: Duration = Duration::from_secs(90);

/// Waits until all have ended, and returns them with what they were for.
pub(super) fn until_ended(system: &System, kind: &str, all: &[(String, i64)]) -> Vec<(Value, i64)> {
    let email = if kind == "orders" { "customer@example.com" } else { "owner@example.com" };
    let mut client = system.client().sign_in(email);
    let mut last = Instant::now();
    let mut ended = Vec::new();
    let mut open: Vec<_> = all.iter().collect();
    while !open.is_empty() {
        let before = open.len();
        open.retain(|(name, amount)| {
            let answer = client.get(&format!("/v1/{name}"));
            let found = (answer.status == 200).then(|| answer.json());
            let found = found.filter(|it| {
                ["STATE_COMPLETED", "STATE_CANCELLED", "STATE_FAILED"]
                    .iter()
                    .any(|end| it["state"] == *end)
            });
            ended.extend(found.clone().map(|it| (it, *amount)));
            found.is_none()
        });
        if open.len() < before {
            last = Instant::now();
        }
        assert!(last.elapsed() < PATIENCE, "{kind} that never end: {open:?}\n{}", system.told());
        if !open.is_empty() {
            thread::sleep(Duration::from_millis(100));
            if last.elapsed() > Duration::from_secs(5) {
                attention::retry_all(system);
                client = system.client().sign_in(email);
            }
        }
    }
    ended
}

/// How many were not undone.
pub(super) fn done(all: &[(Value, i64)]) -> usize {
    all.iter().filter(|(it, _)| it["state"] == "STATE_COMPLETED").count()
}

/// Orders, money, pieces and parcels agree. Of those that were `resolved` the
/// money was given back in another way.
pub(super) fn of_orders(
    system: &System,
    shop: &Shop,
    shelf: &[Product],
    orders: &[(Value, i64)],
    resolved: &BTreeSet<String>,
) {
    let admin = system.admin();
    let shop = Shop { admin: admin.clone(), ..shop.clone() };
    let mut sold: BTreeMap<String, i64> = BTreeMap::new();
    for (order, total) in orders {
        let completed = order["state"] == "STATE_COMPLETED";
        assert_eq!(number(&order["total"]["minorUnits"]), *total, "{order}");
        let by_hand = resolved.contains(&text(&order["name"]));
        assert!(!(by_hand && completed), "{order}");
        of_payment(&shop, &admin, order, if completed || by_hand { *total } else { 0 });
        let shipment = admin.get(&format!("/v1/shipments/{}", id(&text(&order["name"]))));
        let shipped = shipment.status == 200 && shipment.json()["state"] == "STATE_HANDED_OVER";
        assert_eq!(shipped, completed, "{order} {shipment:?}");
        for item in order["items"].as_array().unwrap().iter().filter(|_| completed) {
            *sold.entry(text(&item["product"])).or_default() += number(&item["quantity"]);
        }
    }
    for product in shelf {
        let sold = sold.get(&product.name).copied().unwrap_or_default();
        assert_eq!(shop.pieces(&product.name), (product.received - sold, 0, sold));
    }
    of_logs(system, orders);
}

/// A card is charged once for an order that is completed, and nothing is kept of
/// one that is not.
fn of_payment(shop: &Shop, admin: &Client, order: &Value, kept: i64) {
    let name = text(&order["name"]);
    let payment = admin.get(&format!("/v1/payments/{}", id(&name)));
    if payment.status == 404 {
        assert_eq!(kept, 0, "an order without a charge: {order}");
        return;
    }
    let payment = payment.ok();
    let (captured, refunded) = (&payment["captured"], &payment["refunded"]);
    let earned = number(&captured["minorUnits"]) - number(&refunded["minorUnits"]);
    assert_eq!(earned, kept, "{order} {payment}");
    let bookings = shop.bookings(&name);
    let sum = |kind: &str| -> i64 {
        bookings.iter().filter(|(it, _)| it == kind).map(|(_, minor)| minor).sum()
    };
    let times = |kind: &str| bookings.iter().filter(|(it, _)| it == kind).count();
    for kind in ["KIND_AUTHORIZE", "KIND_CAPTURE", "KIND_REFUND", "KIND_RELEASE"] {
        assert!(times(kind) <= 1, "{kind} twice: {order} {bookings:?}");
    }
    assert_eq!(sum("KIND_CAPTURE") - sum("KIND_REFUND"), kept, "{order} {bookings:?}");
}

/// Each order has ended once, and its pieces have left once.
fn of_logs(system: &System, orders: &[(Value, i64)]) {
    let once = |app: &str, types: &[&str]| {
        let mut streams: BTreeMap<String, usize> = BTreeMap::new();
        for event in system.events(app, types) {
            *streams.entry(id(&event.stream).to_owned()).or_default() += 1;
        }
        assert!(streams.values().all(|count| *count == 1), "{types:?} twice: {streams:?}");
        streams.len()
    };
    let ends = ["titan.orders.v1.OrderCompleted", "titan.orders.v1.OrderCancelled"];
    assert_eq!(once("orders", &ends), orders.len(), "orders without an end in the log");
    let completed = done(orders);
    assert_eq!(once("inventory", &["titan.inventory.v1.StockSold"]), completed);
    assert_eq!(once("shipping", &["titan.shipping.v1.ShipmentHandedOver"]), completed);
}

/// No money is made or lost, and each balance is what the transfers say.
pub(super) fn of_transfers(system: &System, bank: &Bank, transfers: &[(Value, i64)]) {
    let owner = system.client().sign_in("owner@example.com");
    let bank = Bank { owner, accounts: bank.accounts.clone() };
    let mut expected: BTreeMap<&str, i64> =
        bank.accounts.iter().map(|account| (account.as_str(), DEPOSIT)).collect();
    for (transfer, amount) in transfers.iter().filter(|(it, _)| it["state"] == "STATE_COMPLETED") {
        assert_eq!(number(&transfer["amount"]["minorUnits"]), *amount);
        *expected.get_mut(transfer["source"].as_str().unwrap()).unwrap() -= amount;
        *expected.get_mut(transfer["destination"].as_str().unwrap()).unwrap() += amount;
    }
    for (account, balance) in &expected {
        assert_eq!(bank.balance(account), *balance, "{account}");
        assert!(*balance >= 0, "{account} is overdrawn");
    }
    let all: i64 = expected.values().sum();
    assert_eq!(all, DEPOSIT * i64::try_from(bank.accounts.len()).unwrap());
}
