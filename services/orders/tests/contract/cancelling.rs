//! Withdrawing an order, before and while it is being placed.

use titan::orders::v1::{CancelReason, order::State};
use tonic::Code;

use crate::support::{everywhere, refusal, refused};

#[tokio::test]
async fn an_order_that_was_only_placed_is_cancelled_at_once() {
    everywhere(async |service| {
        let tea = service.shop.offer("tea", 350, 10);
        let ada = service.user("ada");
        let order = ada.place(&tea, 3).await;
        let cancelled = ada.cancel(&order, &order.etag).await.unwrap();
        assert_eq!(cancelled.state(), State::Cancelled);
        assert_eq!(cancelled.cancel_reason(), CancelReason::Requested);
        assert_eq!(cancelled.cancel_detail, "changed my mind");
        assert_eq!(cancelled.reservation, "");
        assert_eq!(ada.cancel(&order, &order.etag).await.unwrap(), cancelled);
        let answer = ada.confirm(&order, "").await;
        assert_eq!(refused(answer), refusal(Code::FailedPrecondition, "ORDER_CANCELLED"));
        assert_eq!(service.shop.keys("reserve"), 0);
    })
    .await;
}

#[tokio::test]
async fn an_order_that_is_being_placed_is_undone() {
    everywhere(async |service| {
        let tea = service.shop.offer("tea", 350, 10);
        let ada = service.user("ada");
        for method in ["products", "reserve", "authorize", "capture", "keep"] {
            let order = ada.place(&tea, 3).await;
            let mut held = service.shop.hold(method);
            ada.confirm(&order, "").await.unwrap();
            held.arrived().await;
            let cancelling = ada.cancel(&order, "").await.unwrap();
            assert_eq!(cancelling.state(), State::Cancelling, "{method}");
            assert_eq!(ada.cancel(&order, "").await.unwrap().state(), State::Cancelling);
            held.leave();
            let ended = service.ended(&order).await;
            let (state, reason) = (State::Cancelled, CancelReason::Requested);
            assert_eq!((ended.state(), ended.cancel_reason()), (state, reason), "{method}");
            assert_eq!(ended.cancel_detail, "changed my mind");
            let shop = &service.shop;
            assert_eq!((shop.available(&tea), shop.earned(), shop.sold()), (10, 0, 0), "{method}");
        }
    })
    .await;
}

#[tokio::test]
async fn what_is_leaving_the_house_can_no_longer_be_cancelled() {
    everywhere(async |service| {
        let tea = service.shop.offer("tea", 350, 10);
        let ada = service.user("ada");
        let order = ada.place(&tea, 3).await;
        let mut held = service.shop.hold("sell");
        ada.confirm(&order, "").await.unwrap();
        held.arrived().await;
        let late = refusal(Code::FailedPrecondition, "ORDER_TOO_LATE");
        assert_eq!(refused(ada.cancel(&order, "").await), late);
        held.leave();
        assert_eq!(service.ended(&order).await.state(), State::Completed);
        assert_eq!(refused(ada.cancel(&order, "").await), late);
    })
    .await;
}

#[tokio::test]
async fn a_wish_that_comes_with_the_parcel_comes_too_late() {
    everywhere(async |service| {
        let tea = service.shop.offer("tea", 350, 10);
        let ada = service.user("ada");
        let order = ada.place(&tea, 3).await;
        let mut held = service.shop.hold("ship");
        ada.confirm(&order, "").await.unwrap();
        held.arrived().await;
        assert_eq!(ada.cancel(&order, "").await.unwrap().state(), State::Cancelling);
        held.leave();
        assert_eq!(service.ended(&order).await.state(), State::Completed);
        assert_eq!((service.shop.sold(), service.shop.earned()), (3, 1050));
    })
    .await;
}

#[tokio::test]
async fn a_parcel_that_may_have_been_made_is_unmade() {
    everywhere(async |service| {
        let tea = service.shop.offer("tea", 350, 10);
        let ada = service.user("ada");
        let order = ada.place(&tea, 3).await;
        let mut held = service.shop.hold("ship");
        service.shop.silence("ship");
        ada.confirm(&order, "").await.unwrap();
        held.arrived().await;
        assert_eq!(ada.cancel(&order, "").await.unwrap().state(), State::Cancelling);
        // It is made, nobody hears of it, and nobody wants it any more.
        held.leave();
        let ended = service.ended(&order).await;
        let (state, reason) = (State::Cancelled, CancelReason::Requested);
        assert_eq!((ended.state(), ended.cancel_reason()), (state, reason));
        let shop = &service.shop;
        assert_eq!((shop.prepared(), shop.handed_over(), shop.keys("unship")), (0, 0, 1));
        assert_eq!((shop.available(&tea), shop.earned(), shop.sold()), (10, 0, 0));
        assert!(shop.injected() > 1);
    })
    .await;
}

#[tokio::test]
async fn an_unmaking_of_a_parcel_whose_answer_was_lost_is_repeated() {
    everywhere(async |service| {
        let tea = service.shop.offer("tea", 350, 10);
        let ada = service.user("ada");
        let order = ada.place(&tea, 3).await;
        let mut held = service.shop.hold("ship");
        service.shop.silence("ship");
        service.shop.lose("unship");
        ada.confirm(&order, "").await.unwrap();
        held.arrived().await;
        ada.cancel(&order, "").await.unwrap();
        held.leave();
        assert_eq!(service.ended(&order).await.state(), State::Cancelled);
        let shop = &service.shop;
        assert_eq!((shop.prepared(), shop.keys("unship")), (0, 1));
        assert!(shop.injected() > 2);
        assert_eq!((shop.available(&tea), shop.earned()), (10, 0));
    })
    .await;
}

#[tokio::test]
async fn an_order_that_is_failing_already_need_not_be_cancelled_again() {
    everywhere(async |service| {
        let tea = service.shop.offer("tea", 350, 10);
        let ada = service.user("ada");
        let mut request = crate::support::wanted(&[(&tea, 3)], "card-declined");
        request.order.as_mut().unwrap().card = "card-declined".into();
        let order = ada.create(request).await.unwrap();
        let mut held = service.shop.hold("release");
        ada.confirm(&order, "").await.unwrap();
        held.arrived().await;
        assert_eq!(ada.cancel(&order, "").await.unwrap().state(), State::Cancelling);
        held.leave();
        let ended = service.ended(&order).await;
        assert_eq!(ended.cancel_reason(), CancelReason::PaymentDeclined);
        assert_eq!(service.shop.available(&tea), 10);
    })
    .await;
}

#[tokio::test]
async fn the_shop_may_cancel_and_others_may_not() {
    everywhere(async |service| {
        let tea = service.shop.offer("tea", 350, 10);
        let ada = service.user("ada");
        let (first, second) = (ada.place(&tea, 1).await, ada.place(&tea, 1).await);
        let answer = service.user("bob").cancel(&first, "").await;
        assert_eq!(refused(answer), refusal(Code::PermissionDenied, "NOT_CUSTOMER"));
        let answer = service.service("projects").cancel(&first, "").await;
        assert_eq!(refused(answer).0, Code::Unauthenticated);
        let cancelled = service.service("inventory").cancel(&first, "").await.unwrap();
        assert_eq!(cancelled.state(), State::Cancelled);
        assert_eq!(service.admin().cancel(&second, "").await.unwrap().state(), State::Cancelled);
    })
    .await;
}
