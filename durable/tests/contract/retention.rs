//! Only what everybody has read is removed, and nobody reads a log with holes.

use ::mesh::{
    proto::{ReportProgressRequest, SubscribeRequest, feed_service_client::FeedServiceClient},
    status,
};
use durable::{
    Error, Event, Expected, Store, feed, params,
    projection::{Projection, Projector, Table, Writer},
    testing::backends,
    time,
    upkeep::{Kept, Upkeep},
};
use tonic::Code;

use crate::support::{append, tick, within};

/// In more than the 90 days for which events are kept.
pub(crate) fn later() -> i64 {
    time::now() + 100 * 86_400_000_000
}

/// Removes what may go of streams that begin so, and says how many.
async fn remove(store: &Store, stream: &str, now: fn() -> i64) -> u64 {
    let upkeep = Upkeep::new(store.clone(), Kept::default()).shorten([stream]).with_clock(now);
    // Nobody else's turn is waited for.
    free_the_turn(store).await;
    upkeep.round().await.unwrap().events
}

pub(crate) async fn free_the_turn(store: &Store) {
    let mut tx = store.begin().await.unwrap();
    tx.execute("UPDATE durable_upkeep SET alive_until = 0", params![]).await.unwrap();
    tx.commit().await.unwrap();
}

pub(crate) async fn positions(store: &Store) -> Vec<i64> {
    let sql = "SELECT position FROM durable_event ORDER BY position";
    let rows = store.query(sql, params![]).await.unwrap();
    rows.iter().map(|row| row.get("position").unwrap()).collect()
}

/// Waits until events up to a position can be read.
pub(crate) async fn until(store: &Store, position: i64) {
    let mut client = FeedServiceClient::new(feed::server(store.clone()));
    let request = SubscribeRequest { consumer: "test".into(), ..Default::default() };
    let mut feed = client.subscribe(request).await.unwrap().into_inner();
    within(async { while feed.message().await.unwrap().unwrap().position < position {} }).await;
}

/// Three events of `a` and one of `b`, which can be read.
pub(crate) async fn filled(store: &Store) {
    append(store, "a", Expected::Any, &[tick(1), tick(2)]).await.unwrap();
    append(store, "b", Expected::Any, &[tick(3)]).await.unwrap();
    append(store, "a", Expected::Any, &[tick(4)]).await.unwrap();
    until(store, 4).await;
}

#[tokio::test]
async fn what_a_consumer_has_not_applied_is_kept() {
    for backend in backends().await {
        let store = backend.open(&[]).await;
        filled(&store).await;
        let mut client = FeedServiceClient::new(feed::server(store.clone()));
        let progress = ReportProgressRequest { consumer: "slow".into(), position: 1 };
        client.report_progress(progress).await.unwrap();
        assert_eq!(remove(&store, "a", later).await, 1, "{}", backend.name);
        assert_eq!(positions(&store).await, [2, 3, 4], "{}", backend.name);
        let progress = ReportProgressRequest { consumer: "slow".into(), position: 4 };
        client.report_progress(progress).await.unwrap();
        assert_eq!(remove(&store, "a", later).await, 1, "{}", backend.name);
        assert_eq!(positions(&store).await, [3, 4], "{}", backend.name);
    }
}

/// Wants nothing, but has to be asked.
struct Nothing;

impl Projection for Nothing {
    const NAME: &'static str = "nothing";
    const VERSION: i64 = 1;
    const TABLES: &'static [Table] = &[];

    async fn apply(&self, _: &mut Writer<'_>, _: &[Event]) -> Result<(), Error> {
        Ok(())
    }
}

#[tokio::test]
async fn what_a_projection_has_not_applied_is_kept() {
    for backend in backends().await {
        let store = backend.open(&[]).await;
        filled(&store).await;
        let projector = Projector::open(&store, Nothing).await.unwrap();
        assert_eq!(remove(&store, "", later).await, 0, "{}", backend.name);
        projector.catch_up().await.unwrap();
        assert_eq!(remove(&store, "", later).await, 2, "{}", backend.name);
    }
}

#[tokio::test]
async fn young_events_other_streams_and_the_last_of_each_stream_stay() {
    for backend in backends().await {
        let store = backend.open(&[]).await;
        filled(&store).await;
        assert_eq!(remove(&store, "a", time::now).await, 0);
        assert_eq!(remove(&store, "c", later).await, 0, "{}", backend.name);
        assert_eq!(positions(&store).await, [1, 2, 3, 4], "{}", backend.name);
    }
    for backend in backends().await {
        let store = backend.open(&[]).await;
        filled(&store).await;
        assert_eq!(remove(&store, "", later).await, 2, "{}", backend.name);
        assert_eq!(positions(&store).await, [3, 4], "{}", backend.name);
        append(&store, "a", Expected::Exact(3), &[tick(5)]).await.unwrap();
    }
}

#[tokio::test]
async fn the_last_of_a_stream_goes_when_another_has_followed() {
    for backend in backends().await {
        let store = backend.open(&[]).await;
        append(&store, "a", Expected::NoStream, &[tick(1)]).await.unwrap();
        until(&store, 1).await;
        assert_eq!(remove(&store, "a", later).await, 0, "{}", backend.name);
        append(&store, "b", Expected::NoStream, &[tick(1)]).await.unwrap();
        append(&store, "a", Expected::Exact(1), &[tick(2)]).await.unwrap();
        until(&store, 3).await;
        assert_eq!(remove(&store, "a", later).await, 1, "{}", backend.name);
        assert_eq!(positions(&store).await, [2, 3], "{}", backend.name);
    }
}

#[tokio::test]
async fn a_long_log_goes_in_pieces_and_to_its_end() {
    for backend in backends().await {
        let store = backend.open(&[]).await;
        for _ in 0..13 {
            let hundred: Vec<_> = (0..100).map(tick).collect();
            append(&store, "a", Expected::Any, &hundred).await.unwrap();
        }
        until(&store, 1_300).await;
        assert_eq!(remove(&store, "a", later).await, 1_299, "{}", backend.name);
        assert_eq!(positions(&store).await, [1_300], "{}", backend.name);
    }
}

#[tokio::test]
async fn who_is_behind_what_was_removed_is_told_so() {
    for backend in backends().await {
        let store = backend.open(&[]).await;
        filled(&store).await;
        remove(&store, "a", later).await;
        let mut client = FeedServiceClient::new(feed::server(store));
        let request = SubscribeRequest { after: 1, consumer: "late".into(), ..Default::default() };
        let mut feed = client.subscribe(request.clone()).await.unwrap().into_inner();
        let refused = within(feed.message()).await.unwrap_err();
        assert_eq!(refused.code(), Code::OutOfRange, "{}", backend.name);
        assert_eq!(status::reason(&refused).as_deref(), Some("POSITION_REMOVED"));
    }
}
