//! Calls under an idempotency key: one that is made again finds what the first
//! one did.

use titan::orders::v1::{CancelOrderRequest, ConfirmOrderRequest, ListOrdersRequest, order::State};
use tonic::Code;

use crate::support::{everywhere, keyed, refusal, refused, wanted};

#[tokio::test]
async fn a_repeated_create_places_one_order() {
    everywhere(async |service| {
        let tea = service.shop.offer("tea", 350, 10);
        let ada = service.user("ada");
        let wish = || wanted(&[(&tea, 1)], "card-ok");
        let first = ada.create(keyed("key-1", wish())).await.unwrap();
        // It finds its answer though the product is gone.
        service.shop.withdraw(&tea);
        assert_eq!(ada.create(keyed("key-1", wish())).await.unwrap(), first);
        assert_eq!(ada.list(ListOrdersRequest::default()).await.unwrap(), ["tea"]);
        let answer = ada.create(keyed("key-1", wanted(&[(&tea, 2)], "card-ok"))).await;
        assert_eq!(refused(answer), refusal(Code::FailedPrecondition, "IDEMPOTENCY_KEY_REUSED"));
        // Somebody else's key is another key.
        let answer = service.user("bob").create(keyed("key-1", wish())).await;
        assert_eq!(refused(answer), refusal(Code::NotFound, "PRODUCT_NOT_FOUND"));
    })
    .await;
}

#[tokio::test]
async fn a_repeated_confirm_is_answered_as_the_first_whatever_has_happened_since() {
    everywhere(async |service| {
        let tea = service.shop.offer("tea", 350, 10);
        let ada = service.user("ada");
        let order = ada.place(&tea, 1).await;
        let confirm = async || {
            let request = ConfirmOrderRequest { name: order.name.clone(), ..Default::default() };
            let answer = ada.orders.clone().confirm_order(keyed("key-1", request)).await;
            answer.unwrap().into_inner()
        };
        let first = confirm().await;
        assert_eq!(first.state(), State::Processing);
        assert_eq!(service.ended(&order).await.state(), State::Completed);
        assert_eq!(confirm().await, first);
        // Without the key it tells how things are.
        assert_eq!(ada.confirm(&order, "").await.unwrap().state(), State::Completed);
        assert_eq!((service.shop.sold(), service.shop.earned()), (1, 350));
    })
    .await;
}

#[tokio::test]
async fn a_stored_answer_is_its_callers() {
    everywhere(async |service| {
        let tea = service.shop.offer("tea", 350, 10);
        let (ada, bob) = (service.user("ada"), service.user("bob"));
        let order = ada.place(&tea, 1).await;
        let request = || CancelOrderRequest { name: order.name.clone(), ..Default::default() };
        ada.orders.clone().cancel_order(keyed("key-1", request())).await.unwrap();
        let answer = bob.orders.clone().cancel_order(keyed("key-1", request())).await;
        assert_eq!(refused(answer), refusal(Code::PermissionDenied, "NOT_CUSTOMER"));
    })
    .await;
}
