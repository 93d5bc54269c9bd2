//! What others are told, through the feed.

use prost::{Message as _, Name as _};
use titan::inventory::v1::{
    ProductCreated, ReservationConfirmed, ReservationReleased, StockReceived, StockReserved,
    StockSold,
};

use crate::support::{commit, confirm, everywhere, pieces, release, reserve};

#[tokio::test]
async fn each_change_is_told_once_in_the_stream_of_what_changed() {
    everywhere(async |service| {
        let (tea, mut orders) = (service.offer("Tea", 10).await, service.orders());
        for _ in 0..2 {
            reserve(&mut orders, "1", pieces(&[(&tea, 4)])).await.unwrap();
            confirm(&mut orders, "1").await.unwrap();
        }
        for _ in 0..2 {
            commit(&mut orders, "1").await.unwrap();
            release(&mut orders, "2").await.unwrap();
        }
        reserve(&mut orders, "3", pieces(&[(&tea, 7)])).await.unwrap_err();

        let told = service.told().await;
        let brief: Vec<_> =
            told.iter().map(|it| (&*it.stream, it.version, it.r#type.clone())).collect();
        let stock = tea.name.replace("products/", "stock/");
        let expected = [
            (&*tea.name, 1, ProductCreated::full_name()),
            (&*stock, 1, StockReceived::full_name()),
            ("reservations/1", 1, StockReserved::full_name()),
            ("reservations/1", 2, ReservationConfirmed::full_name()),
            ("reservations/1", 3, StockSold::full_name()),
            ("reservations/2", 1, ReservationReleased::full_name()),
        ];
        assert_eq!(brief, expected);
        let sold = StockSold::decode(&*told[4].data).unwrap();
        assert_eq!(sold.lines, pieces(&[(&tea, 4)]).lines);
    })
    .await;
}
