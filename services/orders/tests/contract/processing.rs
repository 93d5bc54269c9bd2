//! A confirmed order comes to one of its two ends, whatever is refused, lost or
//! killed on the way.

use titan::orders::v1::{CancelReason, Order, order::State, order_event::Event};
use tonic::{Code, Status};

use crate::support::{Service, address, everywhere, wanted};

/// Everything that the saga asks of others on its way forward.
const METHODS: [&str; 8] =
    ["products", "reserve", "authorize", "capture", "keep", "ship", "sell", "hand over"];

/// Pieces of tea that there are at first.
const PIECES: i64 = 100;

/// An order of three pieces of tea, confirmed.
async fn confirmed(service: &Service, card: &str) -> Order {
    let tea = "products/tea";
    let ada = service.user("ada");
    let order = ada.create(wanted(&[(tea, 3)], card)).await.unwrap();
    ada.confirm(&order, "").await.unwrap()
}

/// So many orders were carried out, each of them once, and of all others nothing
/// is left: not in the shop, and not on a card.
#[track_caller]
fn done(service: &Service, orders: i64) {
    let shop = &service.shop;
    let left = (shop.available("products/tea"), shop.sold(), shop.earned(), shop.handed_over());
    let expected = (PIECES - 3 * orders, 3 * orders, 1050 * orders, orders);
    assert_eq!(left, expected, "{}", service.backend.name);
}

#[tokio::test]
async fn a_confirmed_order_is_reserved_paid_and_shipped() {
    everywhere(async |service| {
        service.shop.offer("tea", 350, PIECES);
        let order = confirmed(&service, "card-ok").await;
        assert_eq!(order.state(), State::Processing);
        let ended = service.ended(&order).await;
        assert_eq!(ended.state(), State::Completed);
        let id = order.name.strip_prefix("orders/").unwrap();
        assert_eq!(ended.payment, format!("payments/{id}"));
        done(&service, 1);
        for method in METHODS {
            assert_eq!(service.shop.keys(method), 1, "{method}");
        }

        let events = service.user("ada").events(&order).await.unwrap();
        let kinds: Vec<_> = events.iter().map(|it| (it.version, kind(&it.event))).collect();
        assert_eq!(kinds, [(1, "placed"), (2, "confirmed"), (3, "completed")]);
        assert!(events.iter().all(|it| it.position > 0 && it.time.is_some()));
        assert!(events.iter().all(|it| it.actor == "users/ada"), "{events:?}");
        assert_eq!(ended.etag, "3");
    })
    .await;
}

fn kind(event: &Option<Event>) -> &'static str {
    match event {
        Some(Event::Placed(_)) => "placed",
        Some(Event::Confirmed(_)) => "confirmed",
        Some(Event::CancellationRequested(_)) => "cancellation requested",
        Some(Event::Completed(_)) => "completed",
        Some(Event::Cancelled(_)) => "cancelled",
        None => "nothing",
    }
}

#[tokio::test]
async fn a_declined_payment_gives_the_stock_back() {
    everywhere(async |service| {
        service.shop.offer("tea", 350, PIECES);
        let order = confirmed(&service, "card-declined").await;
        let ended = service.ended(&order).await;
        assert_eq!(ended.state(), State::Cancelled);
        assert_eq!(ended.cancel_reason(), CancelReason::PaymentDeclined);
        done(&service, 0);
    })
    .await;
}

#[tokio::test]
async fn whoever_cannot_go_on_says_why_and_all_is_undone() {
    let gone = || Status::not_found("no such product");
    let refusals = [
        ("reserve", mesh::status::refuse(Code::FailedPrecondition, "OUT_OF_STOCK", "none left")),
        ("capture", mesh::status::refuse(Code::FailedPrecondition, "CARD_DECLINED", "no")),
        ("keep", gone()),
        (
            "ship",
            mesh::status::refuse(Code::FailedPrecondition, "DESTINATION_NOT_SERVED", "too far"),
        ),
    ];
    let reasons = [
        CancelReason::OutOfStock,
        CancelReason::PaymentDeclined,
        CancelReason::Unavailable,
        CancelReason::Undeliverable,
    ];
    everywhere(async |service| {
        service.shop.offer("tea", 350, PIECES);
        for ((method, status), reason) in refusals.iter().cloned().zip(reasons) {
            service.shop.refuse(method, status);
            let order = confirmed(&service, "card-ok").await;
            let ended = service.ended(&order).await;
            assert_eq!((ended.state(), ended.cancel_reason()), (State::Cancelled, reason));
            done(&service, 0);
        }
        assert_eq!(service.shop.injected(), 4);
    })
    .await;
}

#[tokio::test]
async fn nobody_pays_another_price_than_they_have_seen() {
    everywhere(async |service| {
        let ada = service.user("ada");
        let tea = service.shop.offer("tea", 350, PIECES);
        let (dearer, gone) = (ada.place(&tea, 1).await, ada.place(&tea, 1).await);
        service.shop.offer("tea", 351, PIECES);
        ada.confirm(&dearer, "").await.unwrap();
        let dearer = service.ended(&dearer).await;
        assert_eq!(dearer.cancel_reason(), CancelReason::PriceChanged);
        assert_eq!(dearer.total.unwrap().minor_units, 350);

        service.shop.withdraw(&tea);
        ada.confirm(&gone, "").await.unwrap();
        assert_eq!(service.ended(&gone).await.cancel_reason(), CancelReason::ProductGone);
        done(&service, 0);
    })
    .await;
}

#[tokio::test]
async fn where_nobody_ships_to_nothing_is_paid() {
    everywhere(async |service| {
        let tea = service.shop.offer("tea", 350, PIECES);
        let ada = service.user("ada");
        let mut request = wanted(&[(&tea, 3)], "card-ok");
        request.order.as_mut().unwrap().shipping_address = Some(address("AQ"));
        let order = ada.create(request).await.unwrap();
        ada.confirm(&order, "").await.unwrap();
        assert_eq!(service.ended(&order).await.cancel_reason(), CancelReason::Undeliverable);
        done(&service, 0);
    })
    .await;
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_again_and_nothing_happens_twice() {
    everywhere(async |service| {
        service.shop.offer("tea", 350, PIECES);
        for (number, method) in (1..).zip(METHODS) {
            let ada = service.user("ada");
            let order = ada.place("products/tea", 3).await;
            service.shop.lose(method);
            ada.confirm(&order, "").await.unwrap();
            assert_eq!(service.ended(&order).await.state(), State::Completed, "{method}");
            done(&service, number);
            // One key for each order: the repetition came under the first one's.
            let keys = service.shop.keys(method);
            assert_eq!((keys, service.shop.injected()), (number as usize, number as u32));
        }
    })
    .await;
}

#[tokio::test]
async fn a_lost_answer_of_an_undoing_is_asked_for_again() {
    everywhere(async |service| {
        service.shop.offer("tea", 350, PIECES);
        for (number, method) in (1..).zip(["refund", "release"]) {
            let mut held = service.shop.hold("keep");
            let order = confirmed(&service, "card-ok").await;
            held.arrived().await;
            service.shop.lose(method);
            service.user("ada").cancel(&order, "").await.unwrap();
            held.leave();
            assert_eq!(service.ended(&order).await.state(), State::Cancelled, "{method}");
            assert_eq!(service.shop.injected(), 2 * number, "{method}");
            done(&service, 0);
        }
    })
    .await;
}

#[tokio::test]
async fn an_order_outlives_the_process_that_places_it() {
    everywhere(async |mut service| {
        service.shop.offer("tea", 350, PIECES);
        for (number, method) in (1..).zip(METHODS) {
            let ada = service.user("ada");
            let order = ada.place("products/tea", 3).await;
            let mut held = service.shop.hold(method);
            ada.confirm(&order, "").await.unwrap();
            held.arrived().await;
            service.add_replica().await;
            service.kill_replica().await;
            held.leave();
            assert_eq!(service.ended(&order).await.state(), State::Completed, "{method}");
            done(&service, number);
        }
    })
    .await;
}
