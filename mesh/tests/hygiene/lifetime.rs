//! When a connection ends, and what that costs its calls.

use std::time::Duration;

use mesh::testing::Mesh;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::Instant,
};
use tonic::Code;

use crate::peer::{Raw, block, client, frame, kind, request, serve, status_of};

/// Longer than a connection is waited for that says nothing: a ping after thirty
/// seconds, twenty for its answer.
const PATIENCE: Duration = Duration::from_secs(51);

#[tokio::test(start_paused = true)]
async fn who_connects_and_says_nothing_is_let_go() {
    let (_, running) = serve(&Mesh::new().await, &[]).await;
    let started = Instant::now();
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    while stream.read(&mut [0; 64]).await.unwrap_or(0) > 0 {}
    assert!(started.elapsed() <= Duration::from_secs(11), "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn who_sends_a_preface_byte_by_byte_is_let_go() {
    let (_, running) = serve(&Mesh::new().await, &[]).await;
    let started = Instant::now();
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    for byte in b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" {
        if stream.write_all(&[*byte]).await.is_err() {
            break;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    while stream.read(&mut [0; 64]).await.unwrap_or(0) > 0 {}
    assert!(started.elapsed() <= Duration::from_secs(26), "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn who_says_hello_and_no_more_is_let_go() {
    let (_, running) = serve(&Mesh::new().await, &[]).await;
    let started = Instant::now();
    Raw::open(running.address).await.end().await;
    assert!(started.elapsed() <= PATIENCE, "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn who_sends_headers_byte_by_byte_is_let_go() {
    let (peer, running) = serve(&Mesh::new().await, &[]).await;
    let started = Instant::now();
    let raw = Raw::open(running.address).await;
    let (mut reader, mut writer) = raw.stream.into_split();
    let slow = tokio::spawn(async move {
        for byte in frame(kind::HEADERS, 0, 1, &block("Echo")) {
            if writer.write_all(&[byte]).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_secs(10)).await;
        }
    });
    while reader.read(&mut [0; 64]).await.unwrap_or(0) > 0 {}
    assert!(started.elapsed() <= PATIENCE, "{:?}", started.elapsed());
    slow.abort();
    let reached = tokio::time::timeout(Duration::ZERO, peer.reached.notified()).await;
    assert!(reached.is_err(), "no handler was called");
}

#[tokio::test(start_paused = true)]
async fn an_old_connection_takes_leave_and_loses_no_call() {
    let settings = [("max_connection_age", "60s")];
    let (peer, running) = serve(&Mesh::new().await, &settings).await;
    let mut client = client(running.address).await;
    let response = client.start(request("Gate")).await.unwrap();
    peer.reached.notified().await;
    // A tenth later at most, and the time in which both sides agree on the end.
    tokio::time::sleep(Duration::from_secs(67)).await;
    client.start(request("Echo")).await.unwrap_err();

    peer.go_on.notify_one();
    let status = status_of(response.await.unwrap()).await.unwrap();
    assert_eq!(status.code(), Code::Ok);
    client.driver.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_young_connection_is_left_alone() {
    let settings = [("max_connection_age", "60s")];
    let (_, running) = serve(&Mesh::new().await, &settings).await;
    let mut client = client(running.address).await;
    tokio::time::sleep(Duration::from_secs(53)).await;
    assert_eq!(client.call("Echo").await.unwrap().code(), Code::Ok);
}

#[tokio::test(start_paused = true)]
async fn calls_on_an_old_connection_have_their_time_and_no_more() {
    let settings = [("max_connection_age", "60s"), ("max_connection_age_grace", "30s")];
    let (peer, running) = serve(&Mesh::new().await, &settings).await;
    let mut client = client(running.address).await;
    let started = Instant::now();
    let response = client.start(request("Wait")).await.unwrap();
    response.await.unwrap_err();
    let lasted = started.elapsed().as_secs();
    assert!((84..=98).contains(&lasted), "{lasted} s");
    peer.dropped.notified().await;
}

#[tokio::test(start_paused = true)]
async fn a_mesh_channel_does_not_notice_that_connections_grow_old() {
    let mesh = Mesh::new().await;
    let (_, _running) = serve(&mesh, &[("max_connection_age", "10s")]).await;
    let channel = mesh.app("caller").channel("peer");
    for _ in 0..100 {
        let mut client = tonic::client::Grpc::new(channel.clone());
        client.ready().await.unwrap();
        let path = http::uri::PathAndQuery::from_static("/hygiene.Peer/Echo");
        let codec = tonic_prost::ProstCodec::<u32, u32>::default();
        let answer = client.unary(tonic::Request::new(1), path, codec).await.unwrap();
        assert_eq!(answer.into_inner(), 1);
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_handshake_that_hangs_does_not_hold_up_the_drain() {
    let mesh = Mesh::new().await;
    let (_, running) = serve(&mesh, &[]).await;
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    stream.write_all(b"PRI * HTTP").await.unwrap();
    // It is accepted before a call that comes later is answered.
    assert_eq!(client(running.address).await.call("Echo").await.unwrap().code(), Code::Ok);
    let started = Instant::now();
    running.stop().await;
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
}
