//! Many small messages, and a reader that takes its time.

use std::time::Duration;

use bytes::Bytes;
use mesh::testing::Mesh;
use tonic::Code;

use crate::peer::{MESSAGES, ONE, client, count, request, serve, status_of};

#[tokio::test(start_paused = true)]
async fn a_client_that_sleeps_over_a_hundred_thousand_small_messages_gets_all_of_them() {
    let mesh = Mesh::new().await;
    let (_, _running) = serve(&mesh, &[]).await;
    let mut client = tonic::client::Grpc::new(mesh.app("caller").channel("peer"));
    client.ready().await.unwrap();
    let path = http::uri::PathAndQuery::from_static("/hygiene.Peer/Pull");
    let codec = tonic_prost::ProstCodec::<u32, u32>::default();
    let answer = client.server_streaming(tonic::Request::new(1), path, codec).await.unwrap();
    // The clock is paused: this ends when nothing is left to be received.
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(count(answer.into_inner()).await.unwrap(), MESSAGES);
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_sleeps_over_a_hundred_thousand_small_messages_gets_all_of_them() {
    let (peer, running) = serve(&Mesh::new().await, &[]).await;
    let mut client = client(running.address).await;
    let mut send = client.send.clone().ready().await.unwrap();
    let (response, mut body) = send.send_request(request("Push"), false).unwrap();
    for _ in 0..MESSAGES {
        body.send_data(Bytes::from_static(ONE), false).unwrap();
    }
    body.send_data(Bytes::new(), true).unwrap();
    peer.reached.notified().await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    peer.go_on.notify_one();
    let status = status_of(response.await.unwrap()).await.unwrap();
    assert_eq!(status.code(), Code::Ok);
    // Nor was the connection hurt.
    assert_eq!(client.call("Echo").await.unwrap().code(), Code::Ok);
}
