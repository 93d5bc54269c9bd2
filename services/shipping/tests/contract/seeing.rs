//! Who may see a shipment, and who may change one.

use titan::shipping::v1::ListShipmentsRequest;
use tonic::Code;

use crate::support::{
    Client, cancel, create, everywhere, get, hand_over, parcel, refusal, refused, violations,
};

async fn listed(client: &mut Client, filter: &str) -> Vec<String> {
    let request = ListShipmentsRequest { filter: filter.into(), ..Default::default() };
    let list = client.list_shipments(request).await.unwrap().into_inner();
    list.shipments.into_iter().map(|shipment| shipment.name).collect()
}

#[tokio::test]
async fn customers_see_their_own_and_administrators_all() {
    everywhere(async |service| {
        let mut orders = service.orders();
        create(&mut orders, "1", parcel("DE")).await.unwrap();
        cancel(&mut orders, "2").await.unwrap();
        let (mut ada, mut eve) = (service.user("ada"), service.user("eve"));
        assert!(get(&mut ada, "1").await.is_ok());
        let denied = refusal(Code::PermissionDenied, "NOT_CUSTOMER");
        assert_eq!(refused(get(&mut eve, "1").await), denied);
        // What was never made is nobody's.
        assert_eq!(refused(get(&mut ada, "2").await), denied);
        assert!(get(&mut service.admin(), "2").await.is_ok());
        assert_eq!(listed(&mut ada, "").await, ["shipments/1"]);
        assert_eq!(listed(&mut ada, "customer = \"users/eve\"").await, [""; 0]);
        assert_eq!(listed(&mut eve, "").await, [""; 0]);
        let mut admin = service.admin();
        assert_eq!(listed(&mut admin, "").await, ["shipments/2", "shipments/1"]);
        assert_eq!(listed(&mut admin, "state = STATE_CANCELLED").await, ["shipments/2"]);
        let wrong = ListShipmentsRequest { filter: "colour = red".into(), ..Default::default() };
        assert_eq!(violations(admin.list_shipments(wrong).await), ["filter"]);
    })
    .await;
}

#[tokio::test]
async fn only_the_shop_and_administrators_change_anything() {
    everywhere(async |service| {
        create(&mut service.orders(), "1", parcel("DE")).await.unwrap();
        let denied = Code::PermissionDenied;
        let callers = [
            (service.user("ada"), denied),
            (service.process("payments"), Code::Unauthenticated),
            (service.nobody(), Code::Unauthenticated),
        ];
        for (mut caller, code) in callers {
            assert_eq!(refused(create(&mut caller, "3", parcel("DE")).await).0, code);
            assert_eq!(refused(hand_over(&mut caller, "1").await).0, code);
            assert_eq!(refused(cancel(&mut caller, "1").await).0, code);
        }
        assert_eq!(refused(get(&mut service.nobody(), "1").await).0, Code::Unauthenticated);
        hand_over(&mut service.admin(), "1").await.unwrap();
    })
    .await;
}
