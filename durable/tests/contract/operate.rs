//! What a person decides about a consumer happens at once, is recorded, and
//! neither loses nor repeats what it does not say.

use std::time::Duration;

use durable::{
    Expected,
    consumer::operate::{self, Refusal},
};
use tokio::time::sleep;

use crate::{
    consumer::{pairs, start},
    parking::{self, BY, Poison, until_applied, until_parked},
    support::{append, tick},
};

#[tokio::test]
async fn a_paused_consumer_applies_nothing_until_it_is_resumed() {
    for pair in pairs().await {
        append(&pair.producer, "a", Expected::Any, &[tick(1)]).await.unwrap();
        let _running = start(pair.consumer().lease(Duration::from_millis(60)));
        pair.reaches(1).await;
        operate::pause(&pair.consumer, "test", BY).await.unwrap();
        append(&pair.producer, "a", Expected::Any, &[tick(2)]).await.unwrap();
        sleep(Duration::from_millis(150)).await;
        assert_eq!(pair.effects().await, [1], "{}", pair.name);
        assert!(operate::consumers(&pair.consumer).await.unwrap()[0].paused);
        operate::resume(&pair.consumer, "test", BY).await.unwrap();
        pair.reaches(2).await;
        assert_eq!(pair.effects().await, [1, 2], "{}", pair.name);
    }
}

#[tokio::test]
async fn a_replay_applies_again_what_comes_after_its_position() {
    for pair in pairs().await {
        append(&pair.producer, "a", Expected::Any, &[tick(1), tick(2), tick(3)]).await.unwrap();
        let _running = start(pair.consumer().lease(Duration::from_millis(60)));
        pair.reaches(3).await;
        operate::replay(&pair.consumer, "test", 1, false, BY).await.unwrap();
        until_applied(&pair, "a", &[1, 2, 3, 2, 3]).await;
        pair.reaches(3).await;
        let skipping = operate::replay(&pair.consumer, "test", 9, false, BY).await.unwrap_err();
        assert!(matches!(skipping, Refusal::WouldSkip { at: 3, to: 9 }), "{}", pair.name);
    }
}

#[tokio::test]
async fn a_replay_brings_what_waits_in_a_parked_stream_again_once() {
    for pair in pairs().await {
        append(&pair.producer, "a", Expected::Any, &[tick(1), tick(2), tick(3)]).await.unwrap();
        let poison = Poison::of(&[("a", 2)]);
        let consumer = pair.consumer().attempts(1).lease(Duration::from_millis(60));
        let _running = parking::start(consumer, &poison);
        until_parked(&pair, "a").await;
        poison.cure();
        operate::replay(&pair.consumer, "test", 1, false, BY).await.unwrap();
        until_applied(&pair, "a", &[1, 2, 3]).await;
        assert!(operate::parked(&pair.consumer, "test").await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn every_decision_is_recorded_with_who_and_why() {
    for pair in pairs().await {
        append(&pair.producer, "a", Expected::Any, &[tick(1)]).await.unwrap();
        let poison = Poison::of(&[("a", 1)]);
        let _running = parking::start(pair.consumer().attempts(1), &poison);
        let position = until_parked(&pair, "a").await.position;
        let store = &pair.consumer;
        operate::pause(store, "test", BY).await.unwrap();
        operate::discard(store, "test", "a", position, BY).await.unwrap();
        operate::resume(store, "test", BY).await.unwrap();
        let records = operate::records(store, "test").await.unwrap();
        let verbs: Vec<_> = records.iter().rev().map(|record| &*record.verb).collect();
        assert_eq!(verbs, ["pause", "discard", "resume"], "{}", pair.name);
        assert!(records.iter().all(|it| it.operator == BY.operator && it.reason == BY.reason));
        let letters = operate::dead_letters(store, "test").await.unwrap();
        assert_eq!(letters[0].status, "discarded");
    }
}

#[tokio::test]
async fn a_consumer_that_nobody_knows_is_refused() {
    for pair in pairs().await {
        let refused = [
            operate::pause(&pair.consumer, "nobody", BY).await,
            operate::resume(&pair.consumer, "nobody", BY).await,
            operate::replay(&pair.consumer, "nobody", 0, false, BY).await,
        ];
        for refusal in refused {
            assert!(matches!(refusal, Err(Refusal::UnknownConsumer(_))), "{}", pair.name);
        }
    }
}

#[tokio::test]
async fn an_operator_sees_and_decides_from_outside() {
    use ::mesh::proto::{self, events_service_client::EventsServiceClient};
    for pair in pairs().await {
        append(&pair.producer, "a", Expected::Any, &[tick(1), tick(2)]).await.unwrap();
        let poison = Poison::of(&[("a", 1)]);
        let _running = parking::start(pair.consumer().attempts(1), &poison);
        let position = until_parked(&pair, "a").await.position;
        let mut consumer = EventsServiceClient::new(durable::events::server(pair.consumer.clone()));
        let parked =
            consumer.list_parked_streams(proto::ListParkedStreamsRequest::default()).await.unwrap();
        let stream = parked.into_inner().streams.remove(0);
        assert_eq!((&*stream.stream, stream.position, stream.parked), ("a", position, true));

        let decision = proto::Decision { operator: "an operator".into(), reason: "wrong".into() };
        let mut discard = proto::DiscardEventRequest {
            consumer: "test".into(),
            stream: "a".into(),
            position: position + 1,
            decision: Some(decision),
        };
        let refused = consumer.discard_event(discard.clone()).await.unwrap_err();
        assert_eq!(refused.code(), tonic::Code::FailedPrecondition, "{}", pair.name);
        assert_eq!(::mesh::status::reason(&refused).as_deref(), Some("EVENT_NOT_FIRST"));
        discard.position = position;
        consumer.discard_event(discard).await.unwrap();
        until_applied(&pair, "a", &[2]).await;

        let mut producer = EventsServiceClient::new(durable::events::server(pair.producer.clone()));
        let event = producer.get_event(proto::GetEventRequest { position: 2 }).await.unwrap();
        assert_eq!(event.into_inner().event.unwrap().version, 2);
        let none = producer.get_event(proto::GetEventRequest { position: 3 }).await.unwrap_err();
        assert_eq!(none.code(), tonic::Code::NotFound, "{}", pair.name);
        let page = proto::ListEventsRequest { streams: vec!["b".into()], ..Default::default() };
        let page = producer.list_events(page).await.unwrap().into_inner();
        assert_eq!((page.events.len(), page.position, page.end), (0, 2, 2), "{}", pair.name);
    }
}

#[tokio::test]
async fn only_streams_with_the_prefixes_asked_for_take_effect() {
    for pair in pairs().await {
        for stream in ["orders/1", "users/1", "orders/2", "order%/1"] {
            append(&pair.producer, stream, Expected::Any, &[tick(1)]).await.unwrap();
        }
        let _running = start(pair.consumer().streams(["orders/", "order%"]));
        pair.reaches(4).await;
        assert_eq!(pair.effects().await, [1, 3, 4], "{}", pair.name);
    }
}
