//! Preparing, handing over and cancelling: each once, in any order of arrival.

use titan::shipping::v1::{CreateShipmentRequest, Shipment, ShipmentLine, shipment::State};
use tonic::Code;

use crate::support::{
    cancel, create, everywhere, get, hand_over, keyed, parcel, refusal, refused, violations,
};

#[tokio::test]
async fn a_parcel_is_prepared_and_handed_over() {
    everywhere(async |service| {
        let mut orders = service.orders();
        let made = create(&mut orders, "1", parcel("DE")).await.unwrap();
        assert_eq!((&*made.name, made.state()), ("shipments/1", State::Prepared));
        assert_eq!((&made.address, &made.lines), (&parcel("DE").address, &parcel("DE").lines));
        assert!(made.tracking_code.is_empty() && made.create_time == made.update_time);
        let sent = hand_over(&mut orders, "1").await.unwrap();
        assert_eq!(sent.state(), State::HandedOver);
        assert!(!sent.tracking_code.is_empty() && sent.update_time != made.update_time);
        // Again, as after a lost answer: the same parcel, the same code.
        assert_eq!(hand_over(&mut orders, "1").await.unwrap(), sent);
        assert_eq!(create(&mut orders, "1", parcel("DE")).await.unwrap(), sent);
        assert_eq!(get(&mut orders, "1").await.unwrap(), sent);
    })
    .await;
}

#[tokio::test]
async fn another_parcel_under_the_same_id_is_refused() {
    everywhere(async |service| {
        let mut orders = service.orders();
        let made = create(&mut orders, "1", parcel("DE")).await.unwrap();
        let more = ShipmentLine { product: "products/tea".into(), quantity: 3 };
        let others = [
            parcel("FR"),
            Shipment { customer: "users/eve".into(), ..parcel("DE") },
            Shipment { lines: vec![more], ..parcel("DE") },
        ];
        for other in others {
            let answer = create(&mut orders, "1", other).await;
            assert_eq!(refused(answer), refusal(Code::AlreadyExists, "SHIPMENT_EXISTS"));
        }
        assert_eq!(get(&mut orders, "1").await.unwrap(), made);
    })
    .await;
}

#[tokio::test]
async fn what_was_handed_over_is_not_called_back() {
    everywhere(async |service| {
        let mut orders = service.orders();
        create(&mut orders, "1", parcel("DE")).await.unwrap();
        hand_over(&mut orders, "1").await.unwrap();
        let answer = cancel(&mut orders, "1").await;
        assert_eq!(refused(answer), refusal(Code::FailedPrecondition, "SHIPMENT_HANDED_OVER"));
        assert_eq!(get(&mut orders, "1").await.unwrap().state(), State::HandedOver);
    })
    .await;
}

#[tokio::test]
async fn what_was_cancelled_stays_so() {
    everywhere(async |service| {
        let mut orders = service.orders();
        create(&mut orders, "1", parcel("DE")).await.unwrap();
        let gone = cancel(&mut orders, "1").await.unwrap();
        assert_eq!((gone.state(), &gone.lines), (State::Cancelled, &parcel("DE").lines));
        assert_eq!(cancel(&mut orders, "1").await.unwrap(), gone);
        let late = refusal(Code::FailedPrecondition, "SHIPMENT_CANCELLED");
        assert_eq!(refused(hand_over(&mut orders, "1").await), late);
        assert_eq!(refused(create(&mut orders, "1", parcel("DE")).await), late);
    })
    .await;
}

#[tokio::test]
async fn a_cancellation_that_comes_first_refuses_the_parcel_that_comes_late() {
    everywhere(async |service| {
        let mut orders = service.orders();
        let tombstone = cancel(&mut orders, "1").await.unwrap();
        assert_eq!((tombstone.state(), tombstone.address.as_ref()), (State::Cancelled, None));
        let late = refusal(Code::FailedPrecondition, "SHIPMENT_CANCELLED");
        assert_eq!(refused(create(&mut orders, "1", parcel("DE")).await), late);
        assert_eq!(get(&mut orders, "1").await.unwrap(), tombstone);
    })
    .await;
}

#[tokio::test]
async fn what_cannot_be_sent_is_refused_and_leaves_nothing() {
    everywhere(async |service| {
        let mut orders = service.orders();
        let unserved = refusal(Code::FailedPrecondition, "DESTINATION_NOT_SERVED");
        assert_eq!(refused(create(&mut orders, "1", parcel("AQ")).await), unserved);
        let twice = [parcel("DE").lines, parcel("DE").lines].concat();
        for (shipment, expected) in [
            (Shipment { customer: String::new(), ..parcel("DE") }, "shipment.customer"),
            (Shipment { address: None, ..parcel("DE") }, "shipment.address"),
            (Shipment { lines: Vec::new(), ..parcel("DE") }, "shipment.lines"),
            (Shipment { lines: twice, ..parcel("DE") }, "shipment.lines"),
            (parcel("Germany"), "shipment.address.region_code"),
        ] {
            assert_eq!(violations(create(&mut orders, "1", shipment).await), [expected]);
        }
        let missing = refusal(Code::NotFound, "SHIPMENT_NOT_FOUND");
        assert_eq!(refused(get(&mut orders, "1").await), missing);
        assert_eq!(refused(hand_over(&mut orders, "1").await), missing);
        assert!(service.told().await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_key_gives_the_first_answer_again_and_no_other_request() {
    everywhere(async |service| {
        let mut orders = service.orders();
        let request = |id: &str, region: &str| {
            let shipment = Some(parcel(region));
            keyed("saga-1/ship/do", CreateShipmentRequest { shipment_id: id.into(), shipment })
        };
        let first = orders.create_shipment(request("1", "DE")).await.unwrap().into_inner();
        hand_over(&mut orders, "1").await.unwrap();
        let again = orders.create_shipment(request("1", "DE")).await.unwrap().into_inner();
        assert_eq!(again, first);
        let reused = refusal(Code::FailedPrecondition, "IDEMPOTENCY_KEY_REUSED");
        assert_eq!(refused(orders.create_shipment(request("2", "DE")).await), reused);
        let missing = refusal(Code::NotFound, "SHIPMENT_NOT_FOUND");
        assert_eq!(refused(get(&mut orders, "2").await), missing);
    })
    .await;
}

#[tokio::test]
async fn of_a_race_between_sending_and_cancelling_one_wins_and_is_told() {
    everywhere(async |service| {
        for round in 0..8 {
            let id = format!("race-{round}");
            create(&mut service.orders(), &id, parcel("DE")).await.unwrap();
            let racers: Vec<_> = (0..6)
                .map(|n| {
                    let (mut orders, id) = (service.orders(), id.clone());
                    tokio::spawn(async move {
                        match n % 2 {
                            0 => hand_over(&mut orders, &id).await,
                            _ => cancel(&mut orders, &id).await,
                        }
                    })
                })
                .collect();
            let mut states = Vec::new();
            for racer in racers {
                match racer.await.unwrap() {
                    Ok(shipment) => states.push(shipment.state()),
                    lost => assert_eq!(refused(lost).0, Code::FailedPrecondition),
                }
            }
            let last = get(&mut service.orders(), &id).await.unwrap().state();
            assert!(states.iter().all(|state| *state == last), "{states:?} {last:?}");
            assert_eq!(states.len(), 3);
        }
        assert_eq!(service.told().await.len(), 16);
    })
    .await;
}

#[tokio::test]
async fn of_a_race_between_making_and_cancelling_nothing_is_left_to_send() {
    everywhere(async |service| {
        for round in 0..8 {
            let id = format!("race-{round}");
            let (mut maker, mut undoer) = (service.orders(), service.orders());
            let made = create(&mut maker, &id, parcel("DE"));
            let (made, undone) = tokio::join!(made, cancel(&mut undoer, &id));
            assert_eq!(undone.unwrap().state(), State::Cancelled);
            if made.is_err() {
                assert_eq!(refused(made).1, "SHIPMENT_CANCELLED");
            }
            assert_eq!(get(&mut maker, &id).await.unwrap().state(), State::Cancelled);
        }
    })
    .await;
}
