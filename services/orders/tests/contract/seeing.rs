//! Reading orders, one or many, and what has happened to them.

use durable::{Store, params};
use titan::orders::v1::{ListOrderEventsRequest, ListOrdersRequest};
use tonic::Code;

use crate::support::{Service, everywhere, refusal, refused, violations};

/// Three orders of Ada's, one of Bob's.
async fn fill(service: &Service) {
    let shop = &service.shop;
    let products = [shop.offer("tea", 350, 9), shop.offer("cup", 900, 9), shop.offer("pot", 20, 9)];
    for product in &products {
        service.user("ada").place(product, 1).await;
    }
    let bobs = service.user("bob").place(&shop.offer("pan", 5000, 9), 1).await;
    service.user("bob").cancel(&bobs, "").await.unwrap();
}

#[tokio::test]
async fn everybody_sees_their_own_orders_and_the_shop_sees_all() {
    everywhere(async |service| {
        fill(&service).await;
        let all = ListOrdersRequest::default;
        let (ada, bob) = (service.user("ada"), service.user("bob"));
        assert_eq!(ada.list(all()).await.unwrap(), ["pot", "cup", "tea"]);
        assert_eq!(bob.list(all()).await.unwrap(), ["pan"]);
        assert_eq!(service.admin().list(all()).await.unwrap(), ["pan", "pot", "cup", "tea"]);
        let order = ada.place("products/tea", 1).await;
        let denied = refusal(Code::PermissionDenied, "NOT_CUSTOMER");
        assert_eq!(refused(bob.get(&order.name).await), denied);
        assert_eq!(refused(bob.events(&order).await), denied);
        assert_eq!(service.service("payments").get(&order.name).await.unwrap(), order);
        let answer = service.service("projects").get(&order.name).await;
        assert_eq!(refused(answer).0, Code::Unauthenticated);
    })
    .await;
}

#[tokio::test]
async fn orders_are_filtered_and_ordered_as_asked() {
    everywhere(async |service| {
        fill(&service).await;
        for (filter, order_by, expected) in [
            ("state = STATE_PLACED", "", &["pot", "cup", "tea"][..]),
            ("state = STATE_CANCELLED", "", &["pan"]),
            (r#"customer = "users/bob""#, "", &["pan"]),
            ("total.minor_units >= 350", "total.minor_units", &["tea", "cup", "pan"]),
            (r#"total.currency_code = "USD""#, "", &[]),
            ("", "create_time", &["tea", "cup", "pot", "pan"]),
            ("", "update_time desc", &["pan", "pot", "cup", "tea"]),
        ] {
            let (filter, order_by) = (filter.to_owned(), order_by.to_owned());
            let request = ListOrdersRequest { filter, order_by, ..Default::default() };
            let found = service.admin().list(request.clone()).await.unwrap();
            assert_eq!(found, expected, "{request:?}");
        }
        let bad = |filter: &str| ListOrdersRequest { filter: filter.into(), ..Default::default() };
        assert_eq!(violations(service.admin().list(bad("card = 1")).await), ["filter"]);
    })
    .await;
}

#[tokio::test]
async fn pages_show_every_order_once() {
    everywhere(async |service| {
        fill(&service).await;
        let mut admin = service.admin().orders;
        let mut request = ListOrdersRequest { page_size: 3, ..Default::default() };
        let first = admin.list_orders(request.clone()).await.unwrap().into_inner();
        request.page_token = first.next_page_token;
        let second = admin.list_orders(request).await.unwrap().into_inner();
        assert_eq!((first.orders.len(), second.orders.len()), (3, 1));
        assert_eq!(second.next_page_token, "");
        assert!(!first.orders.contains(&second.orders[0]));
    })
    .await;
}

#[tokio::test]
async fn the_events_of_an_order_come_in_pages_and_of_no_other_order() {
    everywhere(async |service| {
        let ada = service.user("ada");
        let tea = service.shop.offer("tea", 350, 9);
        let (order, other) = (ada.place(&tea, 1).await, ada.place(&tea, 1).await);
        ada.confirm(&order, "").await.unwrap();
        service.ended(&order).await;
        let page = async |token: String| {
            let (parent, page_size) = (order.name.clone(), 2);
            let request = ListOrderEventsRequest { parent, page_size, page_token: token };
            ada.orders.clone().list_order_events(request).await
        };
        let first = page(String::new()).await.unwrap().into_inner();
        let second = page(first.next_page_token.clone()).await.unwrap().into_inner();
        let versions: Vec<_> =
            first.events.iter().chain(&second.events).map(|event| event.version).collect();
        assert_eq!((versions, second.next_page_token.as_str()), (vec![1, 2, 3], ""));
        let parent = other.name;
        let page_token = first.next_page_token;
        let request = ListOrderEventsRequest { parent, page_token, page_size: 2 };
        let answer = ada.orders.clone().list_order_events(request).await;
        assert_eq!(violations(answer), ["page_token"]);
    })
    .await;
}

/// All that the read model holds, byte for byte.
async fn dump(store: &Store) -> String {
    let columns = "name, customer, state, currency, total, created, updated, version, confirmed,
        reason, detail, placed";
    let sql = format!("SELECT {columns} FROM orders ORDER BY name");
    let mut text = String::new();
    for row in store.query(sql, params![]).await.unwrap() {
        let texts = ["name", "customer", "state", "currency", "detail"];
        let numbers = ["total", "created", "updated", "version", "reason"];
        let texts = texts.map(|it| row.get::<String>(it).unwrap());
        let numbers = numbers.map(|it| row.get::<i64>(it).unwrap());
        let (confirmed, placed): (bool, Vec<u8>) =
            (row.get("confirmed").unwrap(), row.get("placed").unwrap());
        text += &format!("{texts:?} {numbers:?} {confirmed} {placed:?}\n");
    }
    text
}

async fn generation(store: &Store) -> i64 {
    let sql = "SELECT generation FROM durable_projection WHERE name = 'orders' AND live";
    store.query_one(sql, params![]).await.unwrap().unwrap().get("generation").unwrap()
}

#[tokio::test]
async fn the_read_model_made_anew_is_the_live_one_byte_for_byte() {
    everywhere(async |service| {
        fill(&service).await;
        let ada = service.user("ada");
        let order = ada.place("products/tea", 2).await;
        ada.confirm(&order, "").await.unwrap();
        service.ended(&order).await;
        let (live, before) = (dump(&service.store).await, generation(&service.store).await);
        assert_eq!(live.lines().count(), 5);

        let orders = service.orders();
        orders.read_model().rebuild().await.unwrap();
        orders.read_model().catch_up().await.unwrap();
        assert!(generation(&service.store).await > before, "{}", service.backend.name);
        assert_eq!(dump(&service.store).await, live, "{}", service.backend.name);
        // It answers, and follows, as the one before did.
        assert_eq!(ada.get(&order.name).await.unwrap().etag, "3");
        let next = ada.place("products/tea", 1).await;
        assert_eq!(ada.get(&next.name).await.unwrap(), next);
    })
    .await;
}
