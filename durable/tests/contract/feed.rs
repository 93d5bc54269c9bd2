//! The log and its feed: no event is missed, none comes twice, on both
//! databases, whoever writes and however late they commit.

use std::time::Duration;

use durable::{
    Conflict, Error, Expected, Store,
    feed::{self, Feed},
    params,
    testing::{Backend, backends},
};
use futures_util::StreamExt as _;
use mesh::proto::{
    SubscribeRequest, SubscribeResponse, feed_service_client::FeedServiceClient,
    feed_service_server::FeedServiceServer,
};
use tonic::{Code, Streaming};

use crate::support::{self, Other, Ticked, append, other, tick, within};

async fn subscribe(
    server: FeedServiceServer<Feed>,
    after: i64,
    types: &[&str],
) -> Streaming<SubscribeResponse> {
    let types = types.iter().map(|kind| (*kind).to_owned()).collect();
    let request = SubscribeRequest { after, types, consumer: "test".into(), streams: vec![] };
    FeedServiceClient::new(server).subscribe(request).await.unwrap().into_inner()
}

/// The next `count` events, which must come within the patience of a test.
async fn take(stream: &mut Streaming<SubscribeResponse>, count: usize) -> Vec<mesh::proto::Event> {
    let mut events = Vec::new();
    while events.len() < count {
        let batch = within(stream.next()).await.expect("the feed never ends").unwrap();
        events.extend(batch.events);
    }
    events
}

#[tokio::test]
async fn events_arrive_in_order_past_and_future() {
    for backend in backends().await {
        let store = backend.open(&[]).await;
        append(&store, "a", Expected::NoStream, &[tick(1), tick(2)]).await.unwrap();
        let mut stream = subscribe(feed::server(store.clone()), 0, &[]).await;
        append(&store, "b", Expected::Any, &[tick(3)]).await.unwrap();
        append(&store, "a", Expected::Exact(2), &[tick(4)]).await.unwrap();
        let events = take(&mut stream, 4).await;
        let seen: Vec<_> =
            events.iter().map(|event| (event.position, &*event.stream, event.version)).collect();
        assert_eq!(seen, [(1, "a", 1), (2, "a", 2), (3, "b", 1), (4, "a", 3)], "{}", backend.name);
        assert_eq!(events[0].r#type, "test.Ticked");
    }
}

#[tokio::test]
async fn a_subscriber_resumes_strictly_after_its_position() {
    for backend in backends().await {
        let store = backend.open(&[]).await;
        append(&store, "a", Expected::Any, &[tick(1), tick(2), tick(3)]).await.unwrap();
        settled(&store, 3).await;
        let mut stream = subscribe(feed::server(store.clone()), 2, &[]).await;
        assert_eq!(take(&mut stream, 1).await[0].position, 3, "{}", backend.name);
    }
}

/// Waits until the log can be read up to `end`.
async fn settled(store: &Store, end: usize) {
    take(&mut subscribe(feed::server(store.clone()), 0, &[]).await, end).await;
}

#[tokio::test]
async fn a_position_beyond_the_end_is_refused() {
    for backend in backends().await {
        let store = backend.open(&[]).await;
        let request = SubscribeRequest { after: 1, consumer: "test".into(), ..Default::default() };
        let refused = FeedServiceClient::new(feed::server(store)).subscribe(request).await;
        assert_eq!(refused.unwrap_err().code(), Code::OutOfRange, "{}", backend.name);
    }
}

#[tokio::test]
async fn only_the_types_asked_for_are_sent_and_the_position_moves_on() {
    for backend in backends().await {
        let store = backend.open(&[]).await;
        append(&store, "a", Expected::Any, &[tick(1), other(), tick(2), other()]).await.unwrap();
        let feed = Feed::new(store.clone()).heartbeat(Duration::from_millis(20));
        let mut stream = subscribe(feed.into_server(), 0, &["test.Other"]).await;
        let events = take(&mut stream, 2).await;
        assert!(events.iter().all(|event| event.r#type == <Other as prost::Name>::full_name()));
        append(&store, "a", Expected::Any, &[tick(5)]).await.unwrap();
        let mut position = 4;
        while position < 5 {
            let batch = within(stream.next()).await.unwrap().unwrap();
            assert!(batch.events.is_empty());
            position = batch.position;
        }
    }
}

#[tokio::test]
async fn a_quiet_feed_sends_heartbeats() {
    for backend in backends().await {
        let store = backend.open(&[]).await;
        let feed = Feed::new(store).heartbeat(Duration::from_millis(10));
        let mut stream = subscribe(feed.into_server(), 0, &[]).await;
        for _ in 0..3 {
            let heartbeat = within(stream.next()).await.unwrap().unwrap();
            assert_eq!(heartbeat, SubscribeResponse { events: vec![], position: 0, end: 0 });
        }
    }
}

#[tokio::test]
async fn batches_are_bounded_by_count_and_by_bytes() {
    for backend in backends().await {
        let store = backend.open(&[]).await;
        let large: Vec<_> = (0..4).map(|_| support::large(1_000)).collect();
        append(&store, "a", Expected::Any, &large).await.unwrap();
        append(&store, "b", Expected::Any, &[tick(1), tick(2), tick(3)]).await.unwrap();
        settled(&store, 7).await;
        let feed = Feed::new(store.clone()).batch(2, 1_500);
        let mut stream = subscribe(feed.into_server(), 0, &[]).await;
        let mut sizes = Vec::new();
        while sizes.iter().sum::<usize>() < 7 {
            sizes.push(within(stream.next()).await.unwrap().unwrap().events.len());
        }
        assert_eq!(sizes, [1, 1, 1, 2, 2], "{}", backend.name);
    }
}

#[tokio::test]
async fn an_event_too_large_for_a_feed_is_refused_when_it_is_appended() {
    for backend in backends().await {
        let store = backend.open(&[]).await;
        let large = support::large(durable::log::MAX_EVENT_BYTES);
        let refused = append(&store, "a", Expected::Any, &[large]).await;
        assert!(matches!(refused, Err(Error::EventTooLarge { .. })), "{}", backend.name);
    }
}

#[tokio::test]
async fn expectations_of_a_stream_are_four_different_things() {
    use Expected::{Any, Exact, Exists, NoStream};
    for backend in backends().await {
        let store = backend.open(&[]).await;
        for wrong in [Exact(1), Exists] {
            let refused = append(&store, "a", wrong, &[tick(1)]).await;
            let conflict = Conflict::Version { stream: "a".into(), actual: 0 };
            assert!(matches!(refused, Err(Error::Conflict(found)) if found == conflict));
        }
        for right in [NoStream, Exact(1), Exists, Any] {
            append(&store, "a", right, &[tick(1)]).await.unwrap();
        }
        for wrong in [NoStream, Exact(3), Exact(5)] {
            let refused = append(&store, "a", wrong, &[tick(1)]).await;
            assert!(matches!(refused, Err(Error::Conflict(_))), "{}", backend.name);
        }
    }
}

#[tokio::test]
async fn of_writers_that_expect_the_same_version_exactly_one_wins() {
    for backend in backends().await {
        let stores = [backend.open(&[]).await, backend.open(&[]).await];
        for version in 0..5 {
            let racers: Vec<_> = (0..8)
                .map(|racer| {
                    let store = stores[racer % 2].clone();
                    tokio::spawn(async move {
                        append(&store, "a", Expected::Exact(version), &[tick(racer as i64)]).await
                    })
                })
                .collect();
            let mut winners = 0;
            for racer in racers {
                match racer.await.unwrap() {
                    Ok(appended) => {
                        assert_eq!(appended.version, version + 1);
                        winners += 1;
                    }
                    Err(error) => {
                        assert_eq!(tonic::Status::from(error).code(), Code::Aborted);
                    }
                }
            }
            assert_eq!(winners, 1, "{} at version {version}", backend.name);
        }
    }
}

#[tokio::test]
async fn writers_that_expect_nothing_all_win() {
    for backend in backends().await {
        let store = backend.open(&[]).await;
        let writers: Vec<_> = (0..12)
            .map(|writer| {
                let store = store.clone();
                tokio::spawn(
                    async move { append(&store, "a", Expected::Any, &[tick(writer)]).await },
                )
            })
            .collect();
        for writer in writers {
            writer.await.unwrap().unwrap();
        }
        let mut stream = subscribe(feed::server(store), 0, &[]).await;
        let versions: Vec<_> =
            take(&mut stream, 12).await.iter().map(|event| event.version).collect();
        assert_eq!(versions, (1..=12).collect::<Vec<_>>(), "{}", backend.name);
    }
}

/// One writer: transactions of one to three events, of which some roll back and
/// some stay open for a while after their insert. Returns what it committed.
async fn write(store: Store, writer: u64) -> Vec<i64> {
    let mut random = fastrand::Rng::with_seed(writer);
    let mut committed = Vec::new();
    for round in 0..25 {
        let mut tx = store.begin().await.unwrap();
        let ids: Vec<i64> =
            (0..random.i64(1..=3)).map(|n| writer as i64 * 1000 + round * 10 + n).collect();
        for id in &ids {
            let stream = format!("stream/{}", random.u32(0..4) * 16 + writer as u32);
            tx.append(&stream, Expected::Any, vec![support::new_event(&tick(*id))]).await.unwrap();
        }
        if random.u32(0..4) == 0 {
            tokio::time::sleep(Duration::from_millis(random.u64(1..40))).await;
        } else {
            tokio::task::yield_now().await;
        }
        if random.u32(0..5) == 0 {
            drop(tx);
        } else {
            tx.commit().await.unwrap();
            committed.extend(ids);
        }
    }
    committed
}

async fn no_event_is_missed(backend: &Backend) {
    // As two processes: the reader's store never writes.
    let (writing, reading) = (backend.open(&[]).await, backend.open(&[]).await);
    let mut stream = subscribe(feed::server(reading), 0, &[]).await;
    let writers: Vec<_> =
        (0..16).map(|writer| tokio::spawn(write(writing.clone(), writer))).collect();
    let reader = tokio::spawn(async move {
        let (mut ids, mut last, mut versions) = (Vec::new(), 0, std::collections::HashMap::new());
        loop {
            let batch = stream.next().await.unwrap().unwrap();
            for event in batch.events {
                assert_eq!(event.position, last + 1, "positions are gapless and rise");
                last = event.position;
                let version = versions.entry(event.stream.clone()).or_insert(0);
                *version += 1;
                assert_eq!(event.version, *version, "order within {}", event.stream);
                let id = support::decode(&event.data);
                if id < 0 {
                    return ids;
                }
                ids.push(id);
            }
        }
    });
    let mut committed = Vec::new();
    for writer in writers {
        committed.extend(writer.await.unwrap());
    }
    append(&writing, "end", Expected::Any, &[tick(-1)]).await.unwrap();
    let mut seen = within(reader).await.unwrap();
    seen.sort_unstable();
    committed.sort_unstable();
    assert!(committed.len() > 300, "the writers wrote");
    assert_eq!(seen, committed, "{}", backend.name);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_reader_sees_every_committed_event_once_though_writers_roll_back_and_commit_late() {
    for backend in backends().await {
        no_event_is_missed(&backend).await;
    }
}

#[tokio::test]
async fn a_transaction_that_commits_late_is_neither_skipped_nor_waited_for() {
    for backend in backends().await.iter().filter(|backend| backend.name == "postgres") {
        let store = backend.open(&[]).await;
        let mut stream = subscribe(feed::server(store.clone()), 0, &[]).await;
        let mut late = store.begin().await.unwrap();
        late.append("late", Expected::Any, vec![support::new_event(&tick(1))]).await.unwrap();
        append(&store, "early", Expected::Any, &[tick(2)]).await.unwrap();
        assert_eq!(take(&mut stream, 1).await[0].stream, "early");
        late.commit().await.unwrap();
        assert_eq!(take(&mut stream, 1).await[0].stream, "late");
    }
}

#[tokio::test]
async fn what_a_process_committed_before_it_died_is_numbered_by_another() {
    for backend in backends().await.iter().filter(|backend| backend.name == "postgres") {
        let dying = backend.open(&[]).await;
        let mut tx = dying.begin().await.unwrap();
        let sql = "INSERT INTO durable_event
            (stream, version, type, data, time, traceparent, actor)
            VALUES ('a', 1, 'test.Ticked', '', 0, '', '')";
        // Behind the library's back, so that its own sequencer is not rung.
        tx.execute(sql, params![]).await.unwrap();
        tx.commit().await.unwrap();
        dying.close().await;
        let mut stream = subscribe(feed::server(backend.open(&[]).await), 0, &[]).await;
        assert_eq!(take(&mut stream, 1).await[0].position, 1);
    }
}

#[tokio::test]
async fn a_decoded_event_is_the_message_that_was_appended() {
    for backend in backends().await {
        let store = backend.open(&[]).await;
        append(&store, "a", Expected::Any, &[tick(7)]).await.unwrap();
        let mut stream = subscribe(feed::server(store), 0, &[]).await;
        let event = durable::Event::from(take(&mut stream, 1).await.remove(0));
        assert_eq!(event.decode::<Ticked>().unwrap(), Some(Ticked { id: 7, padding: vec![] }));
        assert_eq!(event.decode::<Other>().unwrap(), None);
        assert!(event.time > 0);
    }
}
