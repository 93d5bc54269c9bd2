//! Who may see a payment, and who may move money.

use titan::payments::v1::{ListBookingsRequest, ListPaymentsRequest};
use tonic::Code;

use crate::support::{
    Client, capture, create, everywhere, get, paid_by, refund, refusal, refused, violations, void,
};

async fn listed(client: &mut Client, filter: &str) -> Vec<String> {
    let request = ListPaymentsRequest { filter: filter.into(), ..Default::default() };
    let list = client.list_payments(request).await.unwrap().into_inner();
    list.payments.into_iter().map(|payment| payment.name).collect()
}

#[tokio::test]
async fn customers_see_their_own_and_administrators_all() {
    everywhere(async |service| {
        let mut orders = service.orders();
        create(&mut orders, "1", paid_by("card-ok")).await.unwrap();
        void(&mut orders, "2").await.unwrap();
        let (mut ada, mut eve) = (service.user("ada"), service.user("eve"));
        assert!(get(&mut ada, "1").await.is_ok());
        let denied = refusal(Code::PermissionDenied, "NOT_CUSTOMER");
        assert_eq!(refused(get(&mut eve, "1").await), denied);
        let bookings = ListBookingsRequest { parent: "payments/1".into() };
        assert_eq!(refused(eve.list_bookings(bookings.clone()).await), denied);
        assert_eq!(ada.list_bookings(bookings).await.unwrap().into_inner().bookings.len(), 1);
        // What was never made is nobody's.
        assert_eq!(refused(get(&mut ada, "2").await), denied);
        assert_eq!(listed(&mut ada, "").await, ["payments/1"]);
        assert_eq!(listed(&mut eve, "").await, [""; 0]);
        let mut admin = service.admin();
        assert_eq!(listed(&mut admin, "").await, ["payments/2", "payments/1"]);
        assert_eq!(listed(&mut admin, "state = STATE_AUTHORIZED").await, ["payments/1"]);
        let wrong = ListPaymentsRequest { filter: "card = x".into(), ..Default::default() };
        assert_eq!(violations(admin.list_payments(wrong).await), ["filter"]);
    })
    .await;
}

#[tokio::test]
async fn only_the_shop_and_administrators_move_money() {
    everywhere(async |service| {
        create(&mut service.orders(), "1", paid_by("card-ok")).await.unwrap();
        let callers = [
            (service.user("ada"), Code::PermissionDenied),
            (service.process("shipping"), Code::Unauthenticated),
            (service.nobody(), Code::Unauthenticated),
        ];
        for (mut caller, code) in callers {
            assert_eq!(refused(create(&mut caller, "3", paid_by("card-ok")).await).0, code);
            assert_eq!(refused(capture(&mut caller, "1").await).0, code);
            assert_eq!(refused(void(&mut caller, "1").await).0, code);
            assert_eq!(refused(refund(&mut caller, "1").await).0, code);
        }
        assert_eq!(refused(get(&mut service.nobody(), "1").await).0, Code::Unauthenticated);
        capture(&mut service.admin(), "1").await.unwrap();
    })
    .await;
}
