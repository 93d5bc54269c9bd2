//! Two processes of the service on one database, and customers who cannot make
//! up their minds: whoever wins, an order ends one way.

use titan::orders::v1::order::State;
use tonic::Code;

use crate::support::everywhere;

/// Orders that are confirmed and cancelled at the same time.
const ORDERS: i64 = 8;

#[tokio::test]
async fn racing_confirms_and_cancels_leave_each_order_in_one_end() {
    everywhere(async |mut service| {
        service.add_replica().await;
        let tea = service.shop.offer("tea", 350, 100);
        let ada = service.user("ada");
        let mut orders = Vec::new();
        let mut racers = Vec::new();
        for _ in 0..ORDERS {
            let order = ada.place(&tea, 1).await;
            for racer in 0..4 {
                let (ada, order) = (ada.clone(), order.clone());
                racers.push(tokio::spawn(async move {
                    match racer % 2 {
                        0 => ada.confirm(&order, "").await,
                        _ => ada.cancel(&order, "").await,
                    }
                }));
            }
            orders.push(order);
        }
        for racer in racers {
            // A conflict is to be repeated; a refusal says that the other one won.
            if let Err(status) = racer.await.unwrap() {
                let known = [Code::Aborted, Code::FailedPrecondition];
                assert!(known.contains(&status.code()), "{}: {status}", service.backend.name);
            }
        }
        let mut completed = 0;
        for order in &orders {
            // Whatever was refused or lost a race: the wish to cancel is repeated.
            let _ = ada.cancel(order, "").await;
            let ended = service.ended(order).await;
            assert!(matches!(ended.state(), State::Completed | State::Cancelled), "{ended:?}");
            completed += i64::from(ended.state() == State::Completed);
        }
        let shop = &service.shop;
        let left = (shop.available(&tea), shop.sold(), shop.earned(), shop.handed_over());
        assert_eq!(left, (100 - completed, completed, 350 * completed, completed));
    })
    .await;
}

#[tokio::test]
async fn of_two_changes_that_saw_the_same_state_one_is_aborted() {
    everywhere(async |mut service| {
        service.add_replica().await;
        let tea = service.shop.offer("tea", 350, 100);
        let ada = service.user("ada");
        let order = ada.place(&tea, 1).await;
        let (confirm, cancel) =
            tokio::join!(ada.confirm(&order, &order.etag), ada.cancel(&order, &order.etag));
        match (&confirm, &cancel) {
            (Ok(_), Err(late)) => assert_eq!(late.code(), Code::Aborted),
            (Err(late), Ok(_)) => assert_eq!(late.code(), Code::FailedPrecondition),
            both => panic!("{both:?}"),
        }
        // Read again and tried again, the wish is heard.
        let seen = ada.get(&order.name).await.unwrap();
        let _ = ada.cancel(&order, &seen.etag).await;
        let ended = service.ended(&order).await;
        let sold = i64::from(ended.state() == State::Completed);
        assert_eq!((service.shop.sold(), service.shop.earned()), (sold, 350 * sold));
    })
    .await;
}
