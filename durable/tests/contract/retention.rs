//! Only what everybody has read is removed, and nobody reads a log with holes.

use std::time::Duration;

use ::mesh::{
    proto::{ReportProgressRequest, SubscribeRequest, feed_service_client::FeedServiceClient},
    status,
};
use durable::{
    Expected, Store, feed,
    log::{Retention, remove},
    params,
    testing::backends,
};
use tonic::Code;

use crate::support::{append, tick, within};

const NOW: Duration = Duration::ZERO;

fn of(stream: &str, older_than: Duration) -> Retention {
    Retention { older_than, streams: vec![stream.into()] }
}

async fn positions(store: &Store) -> Vec<i64> {
    let sql = "SELECT position FROM durable_event ORDER BY position";
    let rows = store.query(sql, params![]).await.unwrap();
    rows.iter().map(|row| row.get("position").unwrap()).collect()
}

/// Three events of `a` and one of `b`, which can be read.
async fn filled(store: &Store) {
    append(store, "a", Expected::Any, &[tick(1), tick(2)]).await.unwrap();
    append(store, "b", Expected::Any, &[tick(3)]).await.unwrap();
    append(store, "a", Expected::Any, &[tick(4)]).await.unwrap();
    let mut client = FeedServiceClient::new(feed::server(store.clone()));
    let request = SubscribeRequest { consumer: "test".into(), ..Default::default() };
    let mut feed = client.subscribe(request).await.unwrap().into_inner();
    within(async { while feed.message().await.unwrap().unwrap().position < 4 {} }).await;
}

#[tokio::test]
async fn what_a_consumer_has_not_applied_is_kept() {
    for backend in backends().await {
        let store = backend.open(&[]).await;
        filled(&store).await;
        let mut client = FeedServiceClient::new(feed::server(store.clone()));
        let progress = ReportProgressRequest { consumer: "slow".into(), position: 1 };
        client.report_progress(progress).await.unwrap();
        assert_eq!(remove(&store, &of("a", NOW)).await.unwrap(), 1, "{}", backend.name);
        assert_eq!(positions(&store).await, [2, 3, 4], "{}", backend.name);
    }
}

#[tokio::test]
async fn young_events_other_streams_and_the_last_of_each_stream_stay() {
    for backend in backends().await {
        let store = backend.open(&[]).await;
        filled(&store).await;
        assert_eq!(remove(&store, &of("a", Duration::from_secs(60))).await.unwrap(), 0);
        assert_eq!(remove(&store, &of("c", NOW)).await.unwrap(), 0, "{}", backend.name);
        assert_eq!(remove(&store, &of("", NOW)).await.unwrap(), 2, "{}", backend.name);
        assert_eq!(positions(&store).await, [3, 4], "{}", backend.name);
        append(&store, "a", Expected::Exact(3), &[tick(5)]).await.unwrap();
    }
}

#[tokio::test]
async fn who_is_behind_what_was_removed_is_told_so() {
    for backend in backends().await {
        let store = backend.open(&[]).await;
        filled(&store).await;
        remove(&store, &of("a", NOW)).await.unwrap();
        let mut client = FeedServiceClient::new(feed::server(store));
        let request = SubscribeRequest { after: 1, consumer: "late".into(), ..Default::default() };
        let mut feed = client.subscribe(request.clone()).await.unwrap().into_inner();
        let refused = within(feed.message()).await.unwrap_err();
        assert_eq!(refused.code(), Code::OutOfRange, "{}", backend.name);
        assert_eq!(status::reason(&refused).as_deref(), Some("POSITION_REMOVED"));
    }
}
