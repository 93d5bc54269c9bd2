//! Authorising, capturing, voiding and refunding: each once, in any order of
//! arrival.

use titan::{
    money::v1::Money,
    payments::v1::{
        CapturePaymentRequest, CreatePaymentRequest, Payment, booking::Kind, payment::State,
    },
};
use tonic::Code;

use crate::support::{
    booked, capture, create, everywhere, get, keyed, paid_by, refund, refusal, refused, totals,
    violations, void,
};

#[tokio::test]
async fn repeating_finds_the_payment_as_it_is() {
    everywhere(async |service| {
        let mut orders = service.orders();
        let made = create(&mut orders, "1", paid_by("card-ok")).await.unwrap();
        assert_eq!(create(&mut orders, "1", paid_by("card-ok")).await.unwrap(), made);
        let taken = capture(&mut orders, "1").await.unwrap();
        assert_eq!(capture(&mut orders, "1").await.unwrap(), taken);
        assert_eq!(create(&mut orders, "1", paid_by("card-ok")).await.unwrap(), taken);
        let back = refund(&mut orders, "1").await.unwrap();
        for again in [refund(&mut orders, "1").await, void(&mut orders, "1").await] {
            assert_eq!(again.unwrap(), back);
        }
        assert_eq!(booked(&mut orders, "1").await.len(), 3);
    })
    .await;
}

#[tokio::test]
async fn another_payment_under_the_same_id_is_refused() {
    everywhere(async |service| {
        let mut orders = service.orders();
        create(&mut orders, "1", paid_by("card-ok")).await.unwrap();
        let euros = |minor_units| Some(Money { currency_code: "EUR".into(), minor_units });
        let dollars = Some(Money { currency_code: "USD".into(), minor_units: 1_250 });
        for other in [
            paid_by("card-slow"),
            Payment { customer: "users/eve".into(), ..paid_by("card-ok") },
            Payment { amount: euros(1_251), ..paid_by("card-ok") },
            Payment { amount: dollars, ..paid_by("card-ok") },
        ] {
            let answer = create(&mut orders, "1", other).await;
            assert_eq!(refused(answer), refusal(Code::AlreadyExists, "PAYMENT_EXISTS"));
        }
    })
    .await;
}

#[tokio::test]
async fn what_cannot_be_paid_is_refused_and_leaves_nothing() {
    everywhere(async |service| {
        let mut orders = service.orders();
        let amount = |code: &str, minor_units| {
            let amount = Money { currency_code: code.into(), minor_units };
            Payment { amount: Some(amount), ..paid_by("card-ok") }
        };
        for (payment, expected) in [
            (amount("EUR", 0), "payment.amount"),
            (amount("EUR", -1), "payment.amount"),
            (amount("EUR", i64::MAX), "payment.amount.minor_units"),
            (amount("EUR", i64::MIN), "payment.amount.minor_units"),
            (amount("ABC", 100), "payment.amount.currency_code"),
            (amount("eur", 100), "payment.amount.currency_code"),
            (amount("", 100), "payment.amount.currency_code"),
            (Payment { amount: None, ..paid_by("card-ok") }, "payment.amount"),
            (Payment { customer: String::new(), ..paid_by("card-ok") }, "payment.customer"),
            (paid_by(""), "payment.card"),
        ] {
            let answer = create(&mut orders, "1", payment.clone()).await;
            assert_eq!(violations(answer), [expected], "{payment:?}");
        }
        let missing = refusal(Code::NotFound, "PAYMENT_NOT_FOUND");
        assert_eq!(refused(get(&mut orders, "1").await), missing);
        assert_eq!(refused(capture(&mut orders, "1").await), missing);
        let most = amount("EUR", 9_007_199_254_740_991);
        create(&mut orders, "1", most).await.unwrap();
        let taken = capture(&mut orders, "1").await.unwrap();
        assert_eq!(totals(&taken).0, 9_007_199_254_740_991);
    })
    .await;
}

#[tokio::test]
async fn an_undoing_that_comes_first_refuses_the_payment_that_comes_late() {
    everywhere(async |service| {
        let mut orders = service.orders();
        for (id, undone) in
            [("1", void(&mut orders, "1").await), ("2", refund(&mut orders.clone(), "2").await)]
        {
            let undone = undone.unwrap();
            assert_eq!((undone.state(), undone.amount.as_ref()), (State::Voided, None));
            let late = refusal(Code::FailedPrecondition, "PAYMENT_UNDONE");
            assert_eq!(refused(create(&mut orders, id, paid_by("card-ok")).await), late);
            assert_eq!(refused(capture(&mut orders, id).await), late);
            assert_eq!(get(&mut orders, id).await.unwrap(), undone);
            assert_eq!(booked(&mut orders, id).await, []);
        }
    })
    .await;
}

#[tokio::test]
async fn what_was_captured_is_not_voided_and_what_was_voided_is_not_captured() {
    everywhere(async |service| {
        let mut orders = service.orders();
        create(&mut orders, "1", paid_by("card-ok")).await.unwrap();
        capture(&mut orders, "1").await.unwrap();
        let captured = refusal(Code::FailedPrecondition, "PAYMENT_CAPTURED");
        assert_eq!(refused(void(&mut orders, "1").await), captured);
        create(&mut orders, "2", paid_by("card-ok")).await.unwrap();
        void(&mut orders, "2").await.unwrap();
        let undone = refusal(Code::FailedPrecondition, "PAYMENT_UNDONE");
        assert_eq!(refused(capture(&mut orders, "2").await), undone);
        let expected = [(Kind::Authorize, 1_250), (Kind::Release, 1_250)];
        assert_eq!(booked(&mut orders, "2").await, expected);
    })
    .await;
}

#[tokio::test]
async fn a_key_that_stood_for_another_request_charges_nobody() {
    everywhere(async |service| {
        let mut orders = service.orders();
        let request = |id: &str| {
            let payment = Some(paid_by("card-ok"));
            keyed("saga-1/pay/do", CreatePaymentRequest { payment_id: id.into(), payment })
        };
        let first = orders.create_payment(request("1")).await.unwrap().into_inner();
        let again = orders.create_payment(request("1")).await.unwrap().into_inner();
        assert_eq!(again, first);
        let reused = refusal(Code::FailedPrecondition, "IDEMPOTENCY_KEY_REUSED");
        assert_eq!(refused(orders.create_payment(request("2")).await), reused);
        let missing = refusal(Code::NotFound, "PAYMENT_NOT_FOUND");
        assert_eq!(refused(get(&mut orders, "2").await), missing);
        assert_eq!(booked(&mut orders, "1").await, [(Kind::Authorize, 1_250)]);
    })
    .await;
}

#[tokio::test]
async fn racing_captures_under_one_key_or_several_charge_once() {
    everywhere(async |service| {
        for round in 0..4 {
            let id = format!("race-{round}");
            create(&mut service.orders(), &id, paid_by("card-ok")).await.unwrap();
            let racers: Vec<_> = (0..6)
                .map(|n| {
                    let mut orders = service.orders();
                    let name = format!("payments/{id}");
                    let request = keyed(&format!("{id}/{}", n % 3), CapturePaymentRequest { name });
                    tokio::spawn(async move { orders.capture_payment(request).await })
                })
                .collect();
            for racer in racers {
                let taken = racer.await.unwrap().unwrap().into_inner();
                assert_eq!(totals(&taken), (1_250, 0));
            }
            let expected = [(Kind::Authorize, 1_250), (Kind::Capture, 1_250)];
            assert_eq!(booked(&mut service.orders(), &id).await, expected);
        }
    })
    .await;
}

#[tokio::test]
async fn of_a_race_between_capturing_and_refunding_nothing_is_kept() {
    everywhere(async |service| {
        for round in 0..8 {
            let id = format!("race-{round}");
            create(&mut service.orders(), &id, paid_by("card-ok")).await.unwrap();
            let (mut taker, mut undoer) = (service.orders(), service.orders());
            let race = tokio::join!(capture(&mut taker, &id), refund(&mut undoer, &id));
            if race.0.is_err() {
                assert_eq!(refused(race.0).1, "PAYMENT_UNDONE");
            }
            let undone = race.1.unwrap();
            let (captured, refunded) = totals(&undone);
            assert_eq!(captured, refunded);
            let kept: i64 = booked(&mut undoer, &id)
                .await
                .iter()
                .map(|(kind, minor)| match kind {
                    Kind::Capture => *minor,
                    Kind::Refund => -minor,
                    _ => 0,
                })
                .sum();
            assert_eq!(kept, 0);
            assert_eq!(get(&mut undoer, &id).await.unwrap(), undone);
        }
    })
    .await;
}
