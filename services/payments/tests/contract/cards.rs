//! What each card of the built-in provider does, and that a charge is made once
//! whatever gets lost on the way.

use std::{sync::Arc, time::Duration};

use durable::testing::backends;
use payments::{
    Provider as _,
    domain::{Money, Outcome, Terms},
    provider::{Call, Simulated},
};
use titan::payments::v1::{booking::Kind, payment::State};
use tonic::Code;

use crate::support::{
    booked, capture, create, everywhere, get, paid_by, refund, refusal, refused, totals,
    until_known, void,
};

#[tokio::test]
async fn a_good_card_is_authorised_captured_and_refunded() {
    everywhere(async |service| {
        let mut orders = service.orders();
        let made = create(&mut orders, "1", paid_by("card-ok")).await.unwrap();
        assert_eq!((made.state(), totals(&made)), (State::Authorized, (0, 0)));
        assert!(made.card.is_empty(), "a card's token is shown to nobody");
        let taken = capture(&mut orders, "1").await.unwrap();
        assert_eq!((taken.state(), totals(&taken)), (State::Captured, (1_250, 0)));
        let back = refund(&mut orders, "1").await.unwrap();
        assert_eq!((back.state(), totals(&back)), (State::Refunded, (1_250, 1_250)));
        let expected = [(Kind::Authorize, 1_250), (Kind::Capture, 1_250), (Kind::Refund, 1_250)];
        assert_eq!(booked(&mut orders, "1").await, expected);
    })
    .await;
}

#[tokio::test]
async fn a_declined_card_is_refused_for_good_and_can_be_undone() {
    everywhere(async |service| {
        let mut orders = service.orders();
        for card in ["card-declined", "card-of-nobody"] {
            let id = format!("for-{card}");
            let declined = refusal(Code::FailedPrecondition, "CARD_DECLINED");
            for _ in 0..2 {
                let answer = create(&mut orders, &id, paid_by(card)).await;
                assert_eq!(refused(answer), declined);
            }
            assert_eq!(refused(capture(&mut orders, &id).await), declined);
            let payment = get(&mut orders, &id).await.unwrap();
            assert_eq!((payment.state(), totals(&payment)), (State::Declined, (0, 0)));
            assert!(!payment.decline_reason.is_empty());
            assert_eq!(refund(&mut orders, &id).await.unwrap().state(), State::Voided);
            assert_eq!(booked(&mut orders, &id).await, []);
        }
    })
    .await;
}

#[tokio::test]
async fn a_card_that_declines_its_capture_is_let_go() {
    everywhere(async |service| {
        let mut orders = service.orders();
        create(&mut orders, "1", paid_by("card-capture-declined")).await.unwrap();
        let declined = refusal(Code::FailedPrecondition, "CARD_DECLINED");
        assert_eq!(refused(capture(&mut orders, "1").await), declined);
        let voided = refund(&mut orders, "1").await.unwrap();
        assert_eq!((voided.state(), totals(&voided)), (State::Voided, (0, 0)));
        let expected = [(Kind::Authorize, 1_250), (Kind::Release, 1_250)];
        assert_eq!(booked(&mut orders, "1").await, expected);
    })
    .await;
}

#[tokio::test]
async fn a_lost_answer_or_request_charges_once() {
    for (card, lost) in [("card-unknown", 1), ("card-flaky", 2)] {
        everywhere(async |service| {
            let orders = service.orders();
            // Without repetitions by the mesh the caller sees each loss; with them
            // it may see fewer.
            let (made, unknown) =
                until_known(async || create(&mut orders.clone(), "1", paid_by(card)).await).await;
            assert!(unknown <= lost, "{card}: {unknown}");
            assert_eq!(made.unwrap().state(), State::Authorized);
            let (taken, _) = until_known(async || capture(&mut orders.clone(), "1").await).await;
            assert_eq!(totals(&taken.unwrap()), (1_250, 0));
            let expected = [(Kind::Authorize, 1_250), (Kind::Capture, 1_250)];
            assert_eq!(booked(&mut orders.clone(), "1").await, expected);
        })
        .await;
    }
}

#[tokio::test]
async fn an_undo_after_a_lost_answer_gives_back_what_was_taken_unheard() {
    everywhere(async |service| {
        let orders = service.orders();
        let made =
            until_known(async || create(&mut orders.clone(), "1", paid_by("card-unknown")).await);
        made.await.0.unwrap();
        // One attempt: its answer is lost, unless the mesh has repeated it.
        let _ = capture(&mut orders.clone(), "1").await;
        let (back, _) = until_known(async || refund(&mut orders.clone(), "1").await).await;
        let back = back.unwrap();
        assert_eq!((back.state(), totals(&back)), (State::Refunded, (1_250, 1_250)));
        let last = booked(&mut orders.clone(), "1").await;
        assert_eq!(last.last(), Some(&(Kind::Refund, 1_250)));
        assert_eq!(last.len(), 3);
    })
    .await;
}

#[tokio::test]
async fn a_refund_that_the_provider_never_makes_is_never_reported_as_made() {
    everywhere(async |service| {
        let mut orders = service.orders();
        create(&mut orders, "1", paid_by("card-no-refund")).await.unwrap();
        capture(&mut orders, "1").await.unwrap();
        let answer = refund(&mut orders, "1").await;
        assert_eq!(refused(answer), refusal(Code::Unavailable, "PROVIDER_UNAVAILABLE"));
        let payment = get(&mut orders, "1").await.unwrap();
        assert_eq!((payment.state(), totals(&payment)), (State::Undoing, (1_250, 0)));
        // What was not captured is let go all the same.
        create(&mut orders, "2", paid_by("card-no-refund")).await.unwrap();
        assert_eq!(void(&mut orders, "2").await.unwrap().state(), State::Voided);
    })
    .await;
}

fn terms() -> Terms {
    let amount = Money { currency: "EUR".into(), minor: 700 };
    Terms { customer: "users/ada".into(), amount, card: "card-ok".into() }
}

/// Otherwise the tests above could not fail.
#[tokio::test]
async fn the_provider_charges_twice_when_it_is_asked_twice_and_once_when_repeated() {
    for backend in backends().await {
        let store = backend.open(payments::MIGRATIONS).await;
        let provider = Arc::new(Simulated::new(store, Duration::ZERO));
        let ask = |key| Call { key, charge: "charge" };
        provider.authorize(ask("a"), &terms()).await.unwrap();
        for captured in [700, 700] {
            let outcome = provider.capture(ask("b"), &terms()).await.unwrap();
            assert_eq!(outcome, Outcome::Done { captured, refunded: 0 });
        }
        let twice = provider.capture(ask("c"), &terms()).await.unwrap();
        assert_eq!(twice, Outcome::Done { captured: 1_400, refunded: 0 });
        let undone = provider.undo(ask("d"), &terms()).await.unwrap();
        assert_eq!(undone, Outcome::Done { captured: 1_400, refunded: 1_400 });
    }
}

#[tokio::test]
async fn a_call_that_reaches_the_provider_after_the_undoing_is_declined() {
    for backend in backends().await {
        let store = backend.open(payments::MIGRATIONS).await;
        let provider = Simulated::new(store, Duration::ZERO);
        let ask = |key| Call { key, charge: "charge" };
        let undone = provider.undo(ask("undo"), &terms()).await.unwrap();
        assert_eq!(undone, Outcome::Done { captured: 0, refunded: 0 });
        for late in [
            provider.authorize(ask("late-1"), &terms()).await,
            provider.capture(ask("late-2"), &terms()).await,
        ] {
            assert_eq!(late.unwrap(), Outcome::Declined { reason: "charge_closed".into() });
        }
        assert_eq!(provider.bookings("charge").await.unwrap(), []);
    }
}
