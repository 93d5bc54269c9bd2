//! The rules of an order, state by state.

use super::*;

fn eur(units: i64) -> Money {
    Money { currency: Currency::parse("EUR").unwrap(), units }
}

fn wish(product: &str, quantity: i64) -> Wish {
    Wish { product: ProductId::named(product), quantity }
}

fn offer(product: &str, price: Money) -> Offer {
    Offer { product: ProductId::named(product), title: product.to_uppercase(), price }
}

fn id() -> OrderId {
    OrderId::stored("orders/1".into())
}

fn placed() -> Order {
    let (items, total) = price(&[wish("tea", 2)], &[offer("tea", eur(350))]).unwrap();
    let (card, address) = ("card-ok".into(), Address::default());
    let placed = Placed { customer: UserId::new("ada"), items, total, card, address };
    Order::begin(&Order::place(id(), placed, 10)).unwrap()
}

/// An order after these facts.
fn after(facts: &[Fact]) -> Order {
    let mut order = placed();
    for (fact, at) in facts.iter().cloned().zip([20, 30, 40]) {
        order.evolve(&Event { order: id(), at, fact });
    }
    order
}

fn at(at: Micros) -> Intent {
    Intent { seen: None, at }
}

fn requested() -> Fact {
    Fact::CancellationRequested { detail: "changed my mind".into() }
}

fn cancelled(reason: Reason) -> Fact {
    Fact::Cancelled { reason, detail: String::new() }
}

#[test]
fn an_order_keeps_the_prices_of_its_moment() {
    let offers = [offer("cup", eur(900)), offer("tea", eur(350))];
    let (items, total) = price(&[wish("tea", 3), wish("cup", 1)], &offers).unwrap();
    assert_eq!(total, eur(1950));
    let lines: Vec<_> = items.iter().map(|it| (it.unit_price.units, it.line_total.units)).collect();
    assert_eq!(lines, [(350, 1050), (900, 900)]);
    assert_eq!(items[0].title, "TEA");
}

#[test]
fn what_cannot_be_ordered_is_refused() {
    let offers = [
        offer("tea", eur(350)),
        offer("air", eur(0)),
        offer("gold", eur(MAX_TOTAL)),
        offer("moon", eur(i64::MAX)),
        offer("pie", Money { currency: Currency::parse("USD").unwrap(), units: 5 }),
    ];
    let many: Vec<_> = (0..=MAX_ITEMS).map(|n| wish(&format!("p{n}"), 1)).collect();
    let (eur_code, usd) = (Currency::parse("EUR").unwrap(), Currency::parse("USD").unwrap());
    let cases: [(&[Wish], Refusal); 10] = [
        (&[], Refusal::Items),
        (&many, Refusal::Items),
        (&[wish("tea", 0)], Refusal::Quantity(0)),
        (&[wish("tea", 1), wish("pie", MAX_QUANTITY + 1)], Refusal::Quantity(1)),
        (&[wish("tea", 1), wish("tea", 1)], Refusal::Twice(1)),
        (&[wish("dust", 1)], Refusal::NoProduct(ProductId::named("dust"))),
        (&[wish("tea", 1), wish("pie", 1)], Refusal::Currencies(eur_code, usd)),
        (&[wish("gold", 1), wish("tea", 1)], Refusal::TooDear),
        (&[wish("moon", 2)], Refusal::TooDear),
        (&[wish("air", 2)], Refusal::Free),
    ];
    for (wishes, refusal) in cases {
        assert_eq!(price(wishes, &offers), Err(refusal));
    }
}

#[test]
fn each_state_takes_the_commands_that_make_sense() {
    use Fact::{Completed, Confirmed};
    let declined = cancelled(Reason::PaymentDeclined);
    let confirm = |order: &Order| order.confirm(1, &at(50)).map(|event| event.is_some());
    let cancel = |order: &Order| order.cancel(1, &at(50), "").map(|event| event.is_some());
    let complete = |order: &Order| order.complete(50).map(|event| event.is_some());
    let abandon = |order: &Order| order.abandon(50, None).map(|event| event.is_some());
    let idle = Refusal::NotProcessing;
    for (facts, expected) in [
        (&[][..], [Ok(true), Ok(true), Err(idle.clone()), Err(idle.clone())]),
        (&[Confirmed], [Ok(false), Ok(true), Ok(true), Ok(true)]),
        (&[Confirmed, requested()], [Err(Refusal::Cancelled), Ok(false), Ok(true), Ok(true)]),
        (&[Confirmed, Completed], [Ok(false), Err(Refusal::TooLate), Ok(false), Err(idle.clone())]),
        (&[Confirmed, declined], [Err(Refusal::Cancelled), Ok(false), Err(idle), Ok(false)]),
    ] {
        let order = after(facts);
        let found = [confirm(&order), cancel(&order), complete(&order), abandon(&order)];
        assert_eq!(found, expected, "{:?}", order.state);
    }
}

#[test]
fn a_placed_order_is_cancelled_at_once_and_a_confirmed_one_is_undone_first() {
    let event = placed().cancel(1, &at(50), "too dear").unwrap().unwrap();
    let (reason, detail) = (Reason::Requested, "too dear".to_owned());
    assert_eq!(event.fact, Fact::Cancelled { reason, detail });
    let event = after(&[Fact::Confirmed]).cancel(2, &at(50), "").unwrap().unwrap();
    let order = after(&[Fact::Confirmed, event.fact]);
    assert_eq!(order.state, State::Cancelling { detail: String::new() });
}

#[test]
fn a_cancelled_order_says_why() {
    let end = |facts: &[Fact], because| after(facts).abandon(50, because).unwrap().unwrap().fact;
    let asked = [Fact::Confirmed, requested()];
    let (reason, detail) = (Reason::Requested, "changed my mind".to_owned());
    assert_eq!(end(&asked, None), Fact::Cancelled { reason, detail });
    // It failed before anybody's wish was heard.
    let (reason, detail) = (Reason::OutOfStock, "none left".to_owned());
    let because = Some((reason, detail.as_str()));
    let expected = Fact::Cancelled { reason, detail: detail.clone() };
    assert_eq!(end(&asked, because), expected);
    assert_eq!(end(&[Fact::Confirmed], because), expected);
}

#[test]
fn a_stale_etag_is_refused_unless_the_order_is_as_asked_for() {
    let seen = |version| Intent { seen: Some(Etag::of(version)), at: 50 };
    assert_eq!(placed().confirm(1, &seen(2)), Err(Refusal::Stale));
    assert!(placed().confirm(1, &seen(1)).unwrap().is_some());
    assert_eq!(placed().cancel(1, &seen(2), ""), Err(Refusal::Stale));
    // Repetitions of calls whose answers were lost.
    assert_eq!(after(&[Fact::Confirmed]).confirm(2, &seen(1)), Ok(None));
    assert_eq!(after(&[cancelled(Reason::Requested)]).cancel(2, &seen(1), ""), Ok(None));
}

#[test]
fn an_order_is_its_customers_and_only_they_spend_their_money() {
    let asker = |user: Option<&str>, runs_shop| Asker { user: user.map(UserId::new), runs_shop };
    let refused = || Err(Refusal::NotCustomer);
    for (asker, admitted, pays) in [
        (asker(Some("ada"), false), Ok(()), Ok(())),
        (asker(Some("ada"), true), Ok(()), Ok(())),
        (asker(Some("bob"), false), refused(), refused()),
        (asker(Some("bob"), true), Ok(()), refused()),
        (asker(None, true), Ok(()), refused()),
        (asker(None, false), refused(), refused()),
    ] {
        let found = (placed().admits(&asker), placed().is_paid_by(&asker));
        assert_eq!(found, (admitted, pays), "{asker:?}");
    }
}

#[test]
fn time_grows_with_every_event_whatever_the_clock_says() {
    let mut order = placed();
    let event = order.confirm(1, &at(3)).unwrap().unwrap();
    order.evolve(&event);
    assert_eq!((order.created, order.updated), (10, 11));
    let event = order.complete(5).unwrap().unwrap();
    order.evolve(&event);
    assert_eq!((order.state, order.updated), (State::Completed, 12));
}
