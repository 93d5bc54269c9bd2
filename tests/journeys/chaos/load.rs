//! What is asked for while processes die: each thing once, however often the
//! asking has to be repeated.

use std::{thread, time::Duration};

use serde_json::json;

use super::{
    Plan,
    bank::{Bank, DEPOSIT, euros},
};
use crate::{
    client::{Answer, Client},
    shop::{self, Shop, text},
    system::System,
};

/// Repetitions of one request before the journey fails: a minute of them.
const REPETITIONS: usize = 600;
const PAUSE: Duration = Duration::from_millis(100);

/// Who asks at the same time.
const CUSTOMERS: usize = 4;

/// Cards of the orders, in turn; the odds are those of a bad day.
const CARDS: [&str; 8] = [
    "card-ok",
    "card-unknown",
    "card-declined",
    "card-ok",
    "card-flaky",
    "card-ok",
    "card-capture-declined",
    "card-ok",
];

/// Of so many orders one is paid with a card that nothing is given back to, and
/// cannot be shipped: its refund fails until somebody decides.
const NO_REFUND: (usize, usize) = (12, 7);

/// An order that was placed and confirmed.
pub(super) struct Placed {
    pub(super) name: String,
    pub(super) total: i64,
    /// Whether it is paid with a card that nothing is given back to.
    pub(super) no_refund: bool,
}

/// A product, its price, and the pieces of it that came in.
pub(super) struct Product {
    pub(super) name: String,
    pub(super) price: i64,
    pub(super) received: i64,
}

/// Three products of which there is enough, and one that runs out.
pub(super) fn fill(shop: &Shop, plan: Plan) -> Vec<Product> {
    let enough = i64::try_from(plan.orders).unwrap() * 4;
    [("Tea", 1_250, enough), ("Cup", 800, enough), ("Pot", 4_999, enough), ("Last cake", 350, 3)]
        .map(|(title, price, received)| Product {
            name: shop.offer(title, price, received),
            price,
            received,
        })
        .into()
}

/// Places and confirms all orders. `placed` is told of each. Some are cancelled
/// right away.
pub(super) fn order(
    system: &System,
    shelf: &[Product],
    plan: Plan,
    placed: impl Fn() + Copy + Send,
) -> Vec<Placed> {
    let edge = system.client();
    thread::scope(|scope| {
        let asking: Vec<_> = (0..CUSTOMERS)
            .map(|customer| {
                let edge = edge.clone();
                scope.spawn(move || {
                    let client = edge.sign_in("customer@example.com");
                    let mine = (customer..plan.orders).step_by(CUSTOMERS);
                    let order = |n| {
                        let order = place(&client, shelf, n, plan);
                        placed();
                        order
                    };
                    mine.map(order).collect::<Vec<_>>()
                })
            })
            .collect();
        asking.into_iter().flat_map(|customer| customer.join().unwrap()).collect()
    })
}

fn place(customer: &Client, shelf: &[Product], n: usize, plan: Plan) -> Placed {
    let mut random = fastrand::Rng::with_seed(plan.seed.wrapping_add(n as u64));
    let (often, scarce) = shelf.split_at(3);
    let first = &often[n % 3];
    let second = if n.is_multiple_of(5) { &scarce[0] } else { &often[2] };
    let (some, more) = (random.i64(1..=3), 1);
    let items: Vec<_> = match first.name == second.name {
        true => vec![(&*first.name, some)],
        false => vec![(&*first.name, some), (&*second.name, more)],
    };
    let total = items.iter().fold(0, |total, (name, quantity)| {
        let product = shelf.iter().find(|product| product.name == *name).unwrap();
        total + product.price * quantity
    });
    let no_refund = n % NO_REFUND.0 == NO_REFUND.1;
    let region = if n % 7 == 3 || no_refund { "AQ" } else { "DE" };
    let card = if no_refund { "card-no-refund" } else { CARDS[n % CARDS.len()] };
    let wanted = shop::order(&items, card, region);
    let key = format!("journey-order-{n}");
    let made = until_answered(|| customer.post_once(&key, "/v1/orders", &wanted));
    let name = text(&made.ok()["name"]);
    let confirmed = until_answered(|| customer.post(&format!("/v1/{name}:confirm"), &json!({})));
    assert_eq!(confirmed.status, 200, "{confirmed:?}");
    if n % 6 == 5 && !no_refund {
        // It may be too late, or refused already.
        let reason = json!({"reason": "changed my mind"});
        until_answered(|| customer.post(&format!("/v1/{name}:cancel"), &reason));
    }
    Placed { name, total, no_refund }
}

/// Begins all transfers; their names and what each is to move.
pub(super) fn transfer(system: &System, bank: &Bank, plan: Plan) -> Vec<(String, i64)> {
    let owner = system.client().sign_in("owner@example.com");
    let mut random = fastrand::Rng::with_seed(plan.seed);
    (0..plan.orders)
        .map(|n| {
            let source = random.usize(..bank.accounts.len());
            let destination = (source + random.usize(1..bank.accounts.len())) % bank.accounts.len();
            // Every fifth is for more than all accounts hold together.
            let amount = match n % 5 {
                4 => DEPOSIT * 5,
                _ => random.i64(1..DEPOSIT / 4),
            };
            let id = format!("journey-{}-{n}", plan.seed);
            let wanted = json!({
                "source": bank.accounts[source],
                "destination": bank.accounts[destination],
                "amount": euros(amount),
            });
            let path = format!("/v1/transfers?transfer_id={id}");
            let begun = until_answered(|| owner.post(&path, &wanted));
            assert_eq!(begun.status, 200, "{begun:?}");
            (format!("transfers/{id}"), amount)
        })
        .collect()
}

/// Repeats a call while what came of it is unknown.
fn until_answered(call: impl Fn() -> Answer) -> Answer {
    for _ in 0..REPETITIONS {
        let answer = call();
        match answer.status {
            // Hung up, conflict, too many, unavailable, out of time.
            0 | 409 | 429 | 503 | 504 => thread::sleep(PAUSE),
            _ => return answer,
        }
    }
    panic!("never answered: {:?}", call());
}
