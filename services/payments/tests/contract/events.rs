//! What others are told of a payment, through the feed.

use prost::{Message as _, Name as _};
use titan::payments::v1::{
    PaymentAuthorized, PaymentCaptured, PaymentDeclined, PaymentRefunded, PaymentVoided,
};

use crate::support::{capture, create, everywhere, paid_by, refund, void};

#[tokio::test]
async fn each_outcome_is_told_once_in_the_stream_of_its_payment() {
    everywhere(async |service| {
        let mut orders = service.orders();
        for _ in 0..2 {
            create(&mut orders, "1", paid_by("card-ok")).await.unwrap();
            capture(&mut orders, "1").await.unwrap();
        }
        for _ in 0..2 {
            refund(&mut orders, "1").await.unwrap();
        }
        for _ in 0..2 {
            create(&mut orders, "2", paid_by("card-declined")).await.unwrap_err();
        }
        void(&mut orders, "3").await.unwrap();

        let told = service.told().await;
        let told: Vec<_> =
            told.into_iter().map(|it| (it.stream, it.version, it.r#type, it.data)).collect();
        let brief = told.iter().map(|(stream, n, kind, _)| (&**stream, *n, kind.clone()));
        let expected = [
            ("payments/1", 1, PaymentAuthorized::full_name()),
            ("payments/1", 2, PaymentCaptured::full_name()),
            ("payments/1", 3, PaymentRefunded::full_name()),
            ("payments/2", 1, PaymentDeclined::full_name()),
            ("payments/3", 1, PaymentVoided::full_name()),
        ];
        assert_eq!(brief.collect::<Vec<_>>(), expected);
        let authorized = PaymentAuthorized::decode(&*told[0].3).unwrap();
        assert_eq!((&*authorized.customer, authorized.amount), ("users/ada", paid_by("").amount));
        let captured = PaymentCaptured::decode(&*told[1].3).unwrap();
        assert_eq!(captured.amount, paid_by("").amount);
    })
    .await;
}
