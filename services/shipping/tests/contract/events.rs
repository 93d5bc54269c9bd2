//! What others are told of a shipment, through the feed.

use prost::{Message as _, Name as _};
use titan::shipping::v1::{ShipmentCancelled, ShipmentHandedOver, ShipmentPrepared};

use crate::support::{cancel, create, everywhere, hand_over, parcel};

#[tokio::test]
async fn each_change_is_told_once_in_the_stream_of_its_shipment() {
    everywhere(async |service| {
        let mut orders = service.orders();
        for _ in 0..2 {
            create(&mut orders, "1", parcel("DE")).await.unwrap();
        }
        let sent = hand_over(&mut orders, "1").await.unwrap();
        hand_over(&mut orders, "1").await.unwrap();
        cancel(&mut orders, "2").await.unwrap();
        create(&mut orders, "2", parcel("DE")).await.unwrap_err();

        let told = service.told().await;
        let streams: Vec<_> = told.iter().map(|event| (&*event.stream, event.version)).collect();
        assert_eq!(streams, [("shipments/1", 1), ("shipments/1", 2), ("shipments/2", 1)]);
        let types: Vec<_> = told.iter().map(|event| event.r#type.clone()).collect();
        let expected = [
            ShipmentPrepared::full_name(),
            ShipmentHandedOver::full_name(),
            ShipmentCancelled::full_name(),
        ];
        assert_eq!(types, expected);
        assert!(told.iter().all(|event| event.actor == "orders"));
        let handed_over = ShipmentHandedOver::decode(&*told[1].data).unwrap();
        assert_eq!(handed_over.tracking_code, sent.tracking_code);
    })
    .await;
}
