//! What arrives in the house.

use durable::params;
use titan::inventory::v1::{GetStockRequest, ReceiveStockRequest};
use tonic::Code;

use crate::support::{Stocks, everywhere, keyed, refusal, refused, stock_name, violations};

#[tokio::test]
async fn what_arrives_can_be_reserved_and_is_added_once_per_key() {
    everywhere(async |service| {
        let tea = service.offer("Tea", 5).await;
        let mut ada = Stocks::new(service.as_user("ada", &[]));
        for _ in 0..3 {
            let request = ReceiveStockRequest { name: stock_name(&tea), quantity: 7 };
            let stock = ada.receive_stock(keyed("delivery-1", request)).await.unwrap();
            assert_eq!(stock.into_inner().received, 12);
        }
        assert_eq!(service.pieces(&tea).await, (12, 0, 0));
    })
    .await;
}

#[tokio::test]
async fn only_the_seller_receives_and_never_too_much() {
    everywhere(async |service| {
        let tea = service.offer("Tea", 0).await;
        let request = |quantity| ReceiveStockRequest { name: stock_name(&tea), quantity };
        let mut eve = Stocks::new(service.as_user("eve", &[]));
        let denied = refusal(Code::PermissionDenied, "NOT_SELLER");
        assert_eq!(refused(eve.receive_stock(request(1)).await), denied);
        let mut nobody = Stocks::new(service.nobody());
        assert_eq!(refused(nobody.receive_stock(request(1)).await).0, Code::Unauthenticated);
        for quantity in [0, -1, 1_000_000_001, i64::MAX] {
            assert_eq!(violations(service.receive(&tea, quantity).await), ["quantity"]);
        }
        // What a thousand of the largest deliveries would have brought, but one piece.
        let mut tx = service.store.begin().await.unwrap();
        let sql = "UPDATE stock SET available = $2, received = $2 WHERE product = $1";
        tx.execute(sql, params![tea.name.as_str(), 999_999_999_999_i64]).await.unwrap();
        tx.commit().await.unwrap();
        service.receive(&tea, 1).await.unwrap();
        let full = refusal(Code::OutOfRange, "TOO_MANY_PIECES");
        assert_eq!(refused(service.receive(&tea, 1).await), full);
        assert_eq!(service.pieces(&tea).await, (1_000_000_000_000, 0, 0));
        let missing = refusal(Code::NotFound, "PRODUCT_NOT_FOUND");
        let nothing = "stock/nothing".to_owned();
        let request = GetStockRequest { name: nothing.clone() };
        assert_eq!(refused(nobody.get_stock(request).await), missing);
        let request = ReceiveStockRequest { name: nothing, quantity: 1 };
        assert_eq!(refused(eve.receive_stock(request).await), missing);
    })
    .await;
}
