//! A feed across real sockets: found, proven and cut off as in production.

use std::time::Duration;

use ::mesh::{DESCRIPTORS, Routes, testing::Mesh};
use durable::{Consumer, Expected, Store, feed, params, testing::backends};
use tokio::time::sleep;

use crate::support::{append, tick, within};

async fn reaches(store: &Store, position: i64) {
    let sql = "SELECT consumer FROM durable_partition
        GROUP BY consumer HAVING min(position) >= $1";
    within(async {
        while store.query(sql, params![position]).await.unwrap().is_empty() {
            sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_consumer_goes_on_where_it_was_when_its_producer_comes_back() {
    for (produced, consumed) in backends().await.into_iter().zip(backends().await) {
        let (producer, store) = (produced.open(&[]).await, consumed.open(&[]).await);
        let mesh = Mesh::new().await;
        let routes = || Routes::new().add(feed::server(producer.clone()));
        let running = mesh.serve("producer", DESCRIPTORS, routes()).await;
        append(&producer, "a", Expected::Any, &[tick(1)]).await.unwrap();

        let channel = mesh.app("consumer").channel("producer");
        let consumer = Consumer::new("test", channel, store.clone());
        let consuming = tokio::spawn(consumer.run(|tx, event| {
            Box::pin(async move {
                // An event appended here would show a second effect by its version.
                let seen = vec![crate::support::new_event(&tick(event.position))];
                tx.append("seen", Expected::Exact(event.position - 1), seen).await?;
                Ok(())
            })
        }));
        reaches(&store, 1).await;

        let listen = running.address.to_string();
        running.kill().await;
        append(&producer, "a", Expected::Any, &[tick(2)]).await.unwrap();
        let again = mesh.app_with("producer", &[("listen", &listen)]);
        let _running = mesh.serve_app(&again, DESCRIPTORS, routes()).await;
        append(&producer, "a", Expected::Any, &[tick(3)]).await.unwrap();
        reaches(&store, 3).await;
        consuming.abort();
    }
}

#[tokio::test]
async fn a_feed_is_for_services_only() {
    let backend = durable::testing::sqlite();
    let mesh = Mesh::new().await;
    let routes = Routes::new().add(feed::server(backend.open(&[]).await));
    let _running = mesh.serve("producer", DESCRIPTORS, routes).await;
    let request = ::mesh::proto::SubscribeRequest { consumer: "x".into(), ..Default::default() };
    let channel = mesh.channel_as("producer", "ann", &["admin"]);
    let mut client = ::mesh::proto::feed_service_client::FeedServiceClient::new(channel);
    let refused = client.subscribe(request).await.unwrap_err();
    let codes = [tonic::Code::PermissionDenied, tonic::Code::Unauthenticated];
    assert!(codes.contains(&refused.code()), "{refused:?}");
}
