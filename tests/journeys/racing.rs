//! Two replicas of each service, and customers who ask both for what cannot all
//! be had: a conflict is answered as one, asking again helps, and the books agree.

use std::{
    sync::atomic::{AtomicUsize, Ordering::SeqCst},
    thread,
};

use serde_json::{Value, json};

use crate::{
    client::{Answer, Client},
    shop::{self, Shop, ended, number, text},
    system::System,
};

const ORDERS: usize = 4;
/// Who confirm an order, and as many who cancel it.
const RIVALS: usize = 3;
/// Who withdraw from one account at once.
const WITHDRAWERS: usize = 12;

/// Asks until it is no conflict. Conflicts are counted.
fn insist(conflicts: &AtomicUsize, ask: impl Fn() -> Answer) -> Answer {
    for _ in 0..200 {
        let answer = ask();
        if answer.status != 409 {
            return answer;
        }
        assert_eq!(answer.json()["code"], 10, "only what is ABORTED helps to repeat: {answer:?}");
        conflicts.fetch_add(1, SeqCst);
    }
    panic!("a conflict that never ends: {:?}", ask());
}

/// Does it, or finds that another one was faster.
fn is_answered(answer: &Answer) {
    let lost = ["ORDER_CANCELLED", "ORDER_TOO_LATE", "INSUFFICIENT_FUNDS"];
    let lost = answer.status == 400 && lost.contains(&answer.reason().as_str());
    assert!(answer.status == 200 || lost, "{answer:?}");
}

#[test]
fn whoever_wins_a_race_nothing_is_sold_or_paid_twice() {
    let apps = ["accounts=2", "inventory=2", "orders=2", "payments=2", "shipping=2"];
    let replicas: Vec<_> = apps.iter().flat_map(|app| ["--replicas", app]).collect();
    let system = System::start_with(&replicas);
    let conflicts = AtomicUsize::new(0);
    of_orders(&system, &conflicts);
    of_withdrawals(&system, &conflicts);
    eprintln!("conflicts that were repeated: {}", conflicts.load(SeqCst));
}

fn of_orders(system: &System, conflicts: &AtomicUsize) {
    let shop = Shop::open(system);
    let tea = shop.offer("Tea", 1_250, 100);
    let wanted = shop::order(&[(&tea, 1)], "card-ok", "DE");
    let orders: Vec<String> = (0..ORDERS)
        .map(|_| text(&shop.customer.post("/v1/orders", &wanted).ok()["name"]))
        .collect();
    thread::scope(|scope| {
        for order in &orders {
            for rival in 0..2 * RIVALS {
                let customer = &shop.customer;
                scope.spawn(move || {
                    let verb = if rival % 2 == 0 { "confirm" } else { "cancel" };
                    let ask = || with_etag(customer, order, verb);
                    is_answered(&insist(conflicts, ask));
                });
            }
        }
    });
    let mut sold = 0;
    for order in &orders {
        let order = system.until("the order has ended", || {
            let order = shop.customer.get(&format!("/v1/{order}")).ok();
            ended(&order).then_some(order)
        });
        let completed = order["state"] == "STATE_COMPLETED";
        sold += i64::from(completed);
        if completed {
            let booked = [("KIND_AUTHORIZE".to_owned(), 1_250), ("KIND_CAPTURE".to_owned(), 1_250)];
            assert_eq!(shop.bookings(&text(&order["name"])), booked);
        }
    }
    assert_eq!(shop.pieces(&tea), (100 - sold, 0, sold));
}

/// A change that is meant for the order as it was just read.
fn with_etag(customer: &Client, order: &str, verb: &str) -> Answer {
    let seen = customer.get(&format!("/v1/{order}")).ok();
    customer.post(&format!("/v1/{order}:{verb}"), &json!({"etag": seen["etag"]}))
}

fn of_withdrawals(system: &System, conflicts: &AtomicUsize) {
    let owner = system.client().sign_up("owner@example.com");
    let account = text(&owner.post("/v1/accounts", &json!({"currencyCode": "EUR"})).ok()["name"]);
    let path = format!("/v1/{account}");
    let euros = |units: i64| json!({"currencyCode": "EUR", "minorUnits": units.to_string()});
    owner.post(&format!("{path}:deposit"), &json!({"amount": euros(700)})).ok();
    let paid: usize = thread::scope(|scope| {
        let withdrawing: Vec<_> = (0..WITHDRAWERS)
            .map(|number| {
                let (owner, path) = (&owner, &path);
                scope.spawn(move || {
                    let key = format!("withdrawal-{number}");
                    let answer = insist(conflicts, || {
                        // Half of them decide upon what they have just seen.
                        let etag = match number % 2 {
                            0 => Value::Null,
                            _ => owner.get(path).ok()["etag"].clone(),
                        };
                        let body = json!({"amount": euros(100), "etag": etag});
                        match number % 2 {
                            0 => owner.post_once(&key, &format!("{path}:withdraw"), &body),
                            _ => owner.post(&format!("{path}:withdraw"), &body),
                        }
                    });
                    is_answered(&answer);
                    usize::from(answer.status == 200)
                })
            })
            .collect();
        withdrawing.into_iter().map(|it| it.join().unwrap()).sum()
    });
    assert_eq!(paid, 7, "seven of {WITHDRAWERS} could be paid");
    // Zero, which JSON leaves out or writes as such.
    assert_eq!(number(&owner.get(&path).ok()["balance"]["minorUnits"]), 0);
}
