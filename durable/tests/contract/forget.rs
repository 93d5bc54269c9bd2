//! Who is gone for good is forgotten on both sides of a feed, and nobody who is
//! not.

use std::time::Duration;

use ::mesh::proto::{
    Decision, ForgetConsumerRequest, ListSubscribersRequest, ReportProgressRequest,
    events_service_client::EventsServiceClient, feed_service_client::FeedServiceClient,
};
use durable::{
    Expected, Store,
    consumer::operate::{self, Refusal},
    feed, params,
    testing::backends,
};
use tonic::Code;

use crate::{
    consumer::{pairs, start},
    parking::{self, BY, Poison, until_parked},
    support::{append, tick, within},
};

async fn report(store: &Store, consumer: &str, position: i64) {
    let mut client = FeedServiceClient::new(feed::server(store.clone()));
    let progress = ReportProgressRequest { consumer: consumer.into(), position };
    client.report_progress(progress).await.unwrap();
}

/// As if the last report was an hour ago.
async fn silence(store: &Store) {
    let mut tx = store.begin().await.unwrap();
    let sql = "UPDATE durable_subscriber SET time = time - 3600000000";
    tx.execute(sql, params![]).await.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn a_subscriber_is_forgotten_once_it_is_silent() {
    for backend in backends().await {
        let store = backend.open(&[]).await;
        report(&store, "gone", 7).await;
        let known = operate::subscribers(&store).await.unwrap();
        assert_eq!((&*known[0].name, known[0].position, known[0].alive), ("/gone", 7, true));
        let alive = operate::forget(&store, "/gone", false, BY).await.unwrap_err();
        assert!(matches!(alive, Refusal::Alive(_)), "{} {alive}", backend.name);
        assert_eq!(operate::subscribers(&store).await.unwrap().len(), 1, "{}", backend.name);

        silence(&store).await;
        assert!(!operate::subscribers(&store).await.unwrap()[0].alive, "{}", backend.name);
        operate::forget(&store, "/gone", false, BY).await.unwrap();
        assert!(operate::subscribers(&store).await.unwrap().is_empty(), "{}", backend.name);
        let again = operate::forget(&store, "/gone", false, BY).await.unwrap_err();
        assert!(matches!(again, Refusal::UnknownConsumer(_)), "{}", backend.name);
        let record = operate::records(&store, "/gone").await.unwrap().remove(0);
        assert_eq!((&*record.verb, &*record.reason), ("forget", BY.reason), "{}", backend.name);

        report(&store, "lives", 8).await;
        operate::forget(&store, "/lives", true, BY).await.unwrap();
        assert!(operate::subscribers(&store).await.unwrap().is_empty(), "{}", backend.name);
    }
}

#[tokio::test]
async fn a_consumer_is_forgotten_once_nobody_runs_it_and_nothing_waits() {
    for pair in pairs().await {
        append(&pair.producer, "a", Expected::Any, &[tick(1), tick(2)]).await.unwrap();
        let poison = Poison::of(&[("a", 1)]);
        let consumer = || pair.consumer().attempts(1).lease(Duration::from_millis(200));
        let running = parking::start(consumer(), &poison);
        until_parked(&pair, "a").await;
        let store = &pair.consumer;
        let alive = operate::forget(store, "test", false, BY).await.unwrap_err();
        assert!(matches!(alive, Refusal::Alive(_)), "{} {alive}", pair.name);

        drop(running);
        // It gives back what it owned when it is dropped.
        let refused = within(async {
            loop {
                match operate::forget(store, "test", false, BY).await.unwrap_err() {
                    Refusal::Alive(_) => tokio::time::sleep(Duration::from_millis(5)).await,
                    other => return other,
                }
            }
        })
        .await;
        assert!(matches!(refused, Refusal::Waiting { waiting: 2, .. }), "{} {refused}", pair.name);
        operate::forget(store, "test", true, BY).await.unwrap();
        assert!(operate::consumers(store).await.unwrap().is_empty(), "{}", pair.name);
        assert!(operate::parked(store, "").await.unwrap().is_empty(), "{}", pair.name);
        assert!(operate::dead_letters(store, "").await.unwrap().is_empty(), "{}", pair.name);

        // Whoever comes back begins anew.
        let _running = start(consumer());
        pair.reaches(2).await;
        assert_eq!(pair.effects().await, [1, 2], "{}", pair.name);
    }
}

#[tokio::test]
async fn an_operator_forgets_from_outside() {
    for backend in backends().await {
        let store = backend.open(&[]).await;
        report(&store, "gone", 7).await;
        let mut client = EventsServiceClient::new(durable::events::server(store.clone()));
        let known = client.list_subscribers(ListSubscribersRequest {}).await.unwrap();
        let known = known.into_inner().subscribers;
        assert_eq!((&*known[0].name, known[0].position, known[0].alive), ("/gone", 7, true));
        let decision = Decision { operator: "me".into(), reason: "it was renamed".into() };
        let mut forget = ForgetConsumerRequest {
            consumer: "/gone".into(),
            force: false,
            decision: Some(decision),
        };
        let refused = client.forget_consumer(forget.clone()).await.unwrap_err();
        assert_eq!(refused.code(), Code::FailedPrecondition, "{}", backend.name);
        assert_eq!(::mesh::status::reason(&refused).as_deref(), Some("CONSUMER_ALIVE"));
        forget.force = true;
        client.forget_consumer(forget.clone()).await.unwrap();
        let refused = client.forget_consumer(forget).await.unwrap_err();
        assert_eq!(refused.code(), Code::NotFound, "{}", backend.name);
    }
}
