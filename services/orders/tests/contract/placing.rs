//! Placing an order, and confirming it.

use titan::orders::v1::{CreateOrderRequest, order::State};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::{
    shop::eur,
    support::{address, everywhere, refusal, refused, violations, wanted},
};

#[tokio::test]
async fn an_order_keeps_the_prices_of_the_moment_it_was_placed() {
    everywhere(async |service| {
        let (tea, cup) = (service.shop.offer("tea", 350, 10), service.shop.offer("cup", 900, 10));
        let ada = service.user("ada");
        let order = ada.create(wanted(&[(&tea, 3), (&cup, 1)], "card-ok")).await.unwrap();
        assert_eq!((order.state(), order.customer.as_str()), (State::Placed, "users/ada"));
        assert_eq!(order.total, Some(eur(1950)));
        assert_eq!(order.items[0].unit_price, Some(eur(350)));
        assert_eq!(order.items[0].line_total, Some(eur(1050)));
        assert_eq!(order.items[0].title, "TEA");
        assert_eq!(order.shipping_address, Some(address("DE")));
        service.shop.offer("tea", 999, 10);
        assert_eq!(ada.get(&order.name).await.unwrap(), order);
        // Nothing is reserved for what nobody has confirmed.
        assert_eq!((service.shop.available(&cup), order.payment.as_str()), (10, ""));
    })
    .await;
}

#[tokio::test]
async fn what_cannot_be_one_order_is_refused_at_its_field() {
    everywhere(async |service| {
        let (tea, air) = (service.shop.offer("tea", 350, 10), service.shop.offer("air", 0, 10));
        let ada = service.user("ada");
        let of = |items: &[(&str, i64)]| wanted(items, "card-ok");
        let many: Vec<(String, i64)> = (0..101).map(|n| (format!("products/p{n}"), 1)).collect();
        let many: Vec<(&str, i64)> = many.iter().map(|(name, n)| (name.as_str(), *n)).collect();
        let mut homeless = of(&[(&tea, 1)]);
        homeless.order.as_mut().unwrap().shipping_address = None;
        for (request, field) in [
            (CreateOrderRequest::default(), "order"),
            (of(&[]), "order.items"),
            (of(&many), "order.items"),
            (of(&[(&tea, 0)]), "order.items[0].quantity"),
            (of(&[(&tea, 1001)]), "order.items[0].quantity"),
            (of(&[(&air, 1), (&air, 1)]), "order.items[1].product"),
            (of(&[(&air, 1)]), "order.items"),
            (of(&[("tea", 1)]), "order.items[0].product"),
            (wanted(&[(&tea, 1)], "4111 1111 1111 1111"), "order.card"),
            (homeless, "order.shipping_address"),
        ] {
            assert_eq!(violations(ada.create(request).await), [field], "{}", service.backend.name);
        }
    })
    .await;
}

#[tokio::test]
async fn a_product_that_is_not_there_is_named() {
    everywhere(async |service| {
        let tea = service.shop.offer("tea", 350, 10);
        let request = wanted(&[(&tea, 1), ("products/dust", 1)], "card-ok");
        let status = service.user("ada").create(request).await.unwrap_err();
        assert_eq!(status.code(), Code::NotFound);
        assert_eq!(mesh::status::reason(&status).as_deref(), Some("PRODUCT_NOT_FOUND"));
        assert_eq!(status.get_details_resource_info().unwrap().resource_name, "products/dust");
    })
    .await;
}

#[tokio::test]
async fn who_may_be_asked_again_is_told_apart_from_who_may_not() {
    everywhere(async |service| {
        let tea = service.shop.offer("tea", 350, 10);
        let ada = service.user("ada");
        for (status, code) in [
            (Status::resource_exhausted("busy"), Code::ResourceExhausted),
            (Status::internal("a secret"), Code::Internal),
        ] {
            service.shop.refuse("products", status);
            let answer = ada.create(wanted(&[(&tea, 1)], "card-ok")).await;
            assert_eq!(refused(answer).0, code);
        }
    })
    .await;
}

#[tokio::test]
async fn orders_are_placed_and_confirmed_by_their_customers_alone() {
    everywhere(async |service| {
        let tea = service.shop.offer("tea", 350, 10);
        let answer = service.service("inventory").create(wanted(&[(&tea, 1)], "card-ok")).await;
        assert_eq!(refused(answer).0, Code::Unauthenticated);
        let order = service.user("ada").place(&tea, 1).await;
        let denied = refusal(Code::PermissionDenied, "NOT_CUSTOMER");
        assert_eq!(refused(service.user("bob").confirm(&order, "").await), denied);
        assert_eq!(refused(service.admin().confirm(&order, "").await), denied);
        assert_eq!(service.user("ada").get(&order.name).await.unwrap(), order);
    })
    .await;
}

#[tokio::test]
async fn a_stale_etag_confirms_nothing() {
    everywhere(async |service| {
        let tea = service.shop.offer("tea", 350, 10);
        let ada = service.user("ada");
        let order = ada.place(&tea, 1).await;
        let answer = ada.confirm(&order, "7").await;
        assert_eq!(refused(answer), refusal(Code::Aborted, "ETAG_MISMATCH"));
        assert_eq!(ada.get(&order.name).await.unwrap(), order);
        assert_eq!(ada.confirm(&order, &order.etag).await.unwrap().state(), State::Processing);
        // A repetition whose first answer was lost.
        assert!(ada.confirm(&order, &order.etag).await.is_ok());
    })
    .await;
}

#[tokio::test]
async fn what_does_not_exist_is_not_found() {
    everywhere(async |service| {
        let ada = service.user("ada");
        let none = refusal(Code::NotFound, "ORDER_NOT_FOUND");
        for name in ["orders/first", "orders/00000000-0000-7000-8000-000000000000"] {
            let order = titan::orders::v1::Order { name: name.into(), ..Default::default() };
            assert_eq!(refused(ada.get(name).await), none);
            assert_eq!(refused(ada.confirm(&order, "").await), none);
            assert_eq!(refused(ada.cancel(&order, "").await), none);
            assert_eq!(refused(ada.events(&order).await), none);
        }
        assert_eq!(violations(ada.get("orders/").await), ["name"]);
    })
    .await;
}
