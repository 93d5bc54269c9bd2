//! Peers that ask for more than anybody needs.

use mesh::testing::Mesh;
use tonic::Code;

use crate::peer::{
    END_HEADERS, ENHANCE_YOUR_CALM, REFUSED_STREAM, Raw, block, client, frame, kind, request, serve,
};

#[tokio::test]
async fn a_client_that_pings_too_often_is_told_to_calm_down() {
    let (_, running) = serve(&Mesh::new().await, &[]).await;
    let mut raw = Raw::open(running.address).await;
    for ping in 0..3 {
        raw.send(&frame(kind::PING, 0, 0, &[ping; 8])).await;
        assert_eq!(raw.find(kind::PING).await.unwrap().payload, [ping; 8], "it is answered");
    }
    raw.send(&frame(kind::PING, 0, 0, &[3; 8])).await;
    let told = raw.goaway().await.unwrap();
    assert_eq!(told, (ENHANCE_YOUR_CALM, "too_many_pings".to_owned()));
    raw.end().await;
}

#[tokio::test]
async fn pings_beside_answers_measure_the_line_and_are_no_abuse() {
    let (_, running) = serve(&Mesh::new().await, &[]).await;
    let mut client = client(running.address).await;
    for _ in 0..20 {
        assert_eq!(client.call("Echo").await.unwrap().code(), Code::Ok);
        client.pings.ping(h2::Ping::opaque()).await.unwrap();
    }
}

#[tokio::test]
async fn a_flood_of_settings_ends_the_connection() {
    let (_, running) = serve(&Mesh::new().await, &[]).await;
    let mut raw = Raw::open(running.address).await;
    raw.send(&frame(kind::SETTINGS, 0, 0, &[]).repeat(1_000)).await;
    let told = raw.goaway().await;
    // The answer may be lost when the rest of the flood meets a closed port.
    assert!(told.is_none_or(|(reason, _)| reason == ENHANCE_YOUR_CALM));
    raw.end().await;
}

#[tokio::test]
async fn a_flood_of_continuations_ends_the_connection() {
    let (_, running) = serve(&Mesh::new().await, &[]).await;
    let mut raw = Raw::open(running.address).await;
    raw.send(&frame(kind::HEADERS, 0, 1, &block("Echo"))).await;
    // A literal header of 1,000 bytes in each, and never an end.
    let mut header = vec![0, 1, b'a', 0x7f, 0xe9, 0x06];
    header.extend([b'x'; 1_000]);
    for _ in 0..1_000 {
        raw.send(&frame(kind::CONTINUATION, 0, 1, &header)).await;
    }
    raw.end().await;
    let mut other = client(running.address).await;
    assert_eq!(other.call("Echo").await.unwrap().code(), Code::Ok);
}

#[tokio::test]
async fn headers_over_the_limit_fail_their_call_and_no_other() {
    let (_, running) = serve(&Mesh::new().await, &[]).await;
    let mut client = client(running.address).await;
    let mut large = request("Echo");
    large.headers_mut().insert("x-large", "x".repeat(20_000).parse().unwrap());
    match client.start(large).await.unwrap().await {
        Ok(response) => assert_eq!(response.status(), 431),
        Err(error) => assert!(error.is_reset(), "{error}"),
    }
    assert_eq!(client.call("Echo").await.unwrap().code(), Code::Ok);
}

#[tokio::test]
async fn streams_over_the_limit_are_refused_unprocessed() {
    let (peer, running) = serve(&Mesh::new().await, &[("max_streams", "2")]).await;
    let mut raw = Raw::open(running.address).await;
    for stream in [1, 3, 5] {
        raw.send(&frame(kind::HEADERS, END_HEADERS, stream, &block("Wait"))).await;
    }
    let reset = raw.find(kind::RST_STREAM).await.unwrap();
    assert_eq!((reset.stream, reset.payload), (5, REFUSED_STREAM.to_be_bytes().to_vec()));
    drop(peer);
}

#[tokio::test]
async fn a_rapid_reset_ends_the_connection() {
    let (_, running) = serve(&Mesh::new().await, &[]).await;
    let mut raw = Raw::open(running.address).await;
    let mut flood = Vec::new();
    for stream in (1..4_000).step_by(2) {
        flood.extend(frame(kind::HEADERS, END_HEADERS, stream, &block("Wait")));
        flood.extend(frame(kind::RST_STREAM, 0, stream, &8_u32.to_be_bytes()));
    }
    raw.send(&flood).await;
    let told = raw.goaway().await;
    assert!(told.is_none_or(|(reason, _)| reason == ENHANCE_YOUR_CALM));
    raw.end().await;
}

#[tokio::test]
async fn a_client_that_cancels_much_is_an_ordinary_one() {
    let (_, running) = serve(&Mesh::new().await, &[]).await;
    let mut client = client(running.address).await;
    for _ in 0..20 {
        let mut calls = Vec::new();
        for _ in 0..100 {
            calls.push(client.start(request("Wait")).await.unwrap());
        }
        drop(calls);
        assert_eq!(client.call("Echo").await.unwrap().code(), Code::Ok);
    }
}

#[tokio::test]
async fn a_message_of_a_hundred_kilobytes_in_a_status_does_not_cost_the_status() {
    let (_, running) = serve(&Mesh::new().await, &[]).await;
    let status = client(running.address).await.call("Fail").await.unwrap();
    assert_eq!(status.code(), Code::Internal);
    assert!(status.message().starts_with("éé"));
}
