//! A peer that says GOAWAY while calls are in flight: what it has not looked at
//! is repeated elsewhere, whatever the contract says, and what it has is not.
#![allow(clippy::unwrap_used)]

use std::{sync::Arc, time::Duration};

use http::uri::PathAndQuery;
use mesh::{Channel, testing::Mesh};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::{Notify, oneshot},
};
use tonic::{Code, Request, Status, metadata::MetadataValue};

/// Frame types of RFC 9113, section 6.
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// One connection of a server, frame by frame: h2 itself would not send what is
/// sent here.
struct Raw(TcpStream);

impl Raw {
    async fn accept(listener: &TcpListener) -> Self {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut preface = [0; 24];
        stream.read_exact(&mut preface).await.unwrap();
        let mut raw = Self(stream);
        raw.send(SETTINGS, 0, 0, &[]).await;
        raw
    }

    async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let mut frame = length[1..].to_vec();
        frame.extend([kind, flags]);
        frame.extend(stream.to_be_bytes());
        frame.extend(payload);
        self.0.write_all(&frame).await.unwrap();
    }

    /// The stream of the next call; answers pings and settings meanwhile. `None`
    /// at the end of the connection.
    async fn call(&mut self) -> Option<u32> {
        loop {
            let mut head = [0; 9];
            self.0.read_exact(&mut head).await.ok()?;
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let mut payload = vec![0; usize::try_from(length).unwrap()];
            self.0.read_exact(&mut payload).await.ok()?;
            match (head[3], head[4]) {
                (PING, 0) => self.send(PING, ACK, 0, &payload).await,
                (SETTINGS, 0) => self.send(SETTINGS, ACK, 0, &[]).await,
                (HEADERS, _) => {
                    return Some(u32::from_be_bytes([head[5], head[6], head[7], head[8]]));
                }
                _ => {}
            }
        }
    }

    /// An empty message, and OK.
    async fn answer(&mut self, stream: u32) {
        // `:status: 200` of the static table (RFC 7541), then a literal.
        let mut head = vec![0x88];
        literal(&mut head, "content-type", "application/grpc");
        self.send(HEADERS, END_HEADERS, stream, &head).await;
        self.send(DATA, 0, stream, &[0; 5]).await;
        let mut trailers = Vec::new();
        literal(&mut trailers, "grpc-status", "0");
        self.send(HEADERS, END_HEADERS | END_STREAM, stream, &trailers).await;
    }

    async fn goaway(&mut self, last: u32) {
        let payload = [last.to_be_bytes(), [0; 4]].concat();
        self.send(GOAWAY, 0, 0, &payload).await;
    }
}

fn literal(block: &mut Vec<u8>, name: &str, value: &str) {
    block.push(0);
    for text in [name, value] {
        block.push(u8::try_from(text.len()).unwrap());
        block.extend(text.as_bytes());
    }
}

/// Calls a method that no contract knows, so that nothing says it may be repeated.
async fn call(channel: Channel) -> Result<(), Status> {
    let mut client = tonic::client::Grpc::new(channel);
    client.ready().await?;
    let mut request = Request::new(());
    request.metadata_mut().insert("grpc-timeout", MetadataValue::from_static("20S"));
    let path = PathAndQuery::from_static("/test.Nowhere/Do");
    let codec = tonic_prost::ProstCodec::<(), ()>::default();
    client.unary(request, path, codec).await.map(drop)
}

async fn channel() -> (TcpListener, Channel) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    (listener, Mesh::new().await.app("caller").endpoint(&address))
}

#[tokio::test]
async fn calls_above_the_last_stream_are_repeated_on_another_connection_and_no_other_is() {
    let (listener, channel) = channel().await;
    let calls: Vec<_> = (0..3).map(|_| tokio::spawn(call(channel.clone()))).collect();
    let mut old = Raw::accept(&listener).await;
    let streams = [old.call().await, old.call().await, old.call().await].map(Option::unwrap);
    assert_eq!(streams, [1, 3, 5]);
    old.goaway(1).await;

    // The replacement is opened while the old connection has a call to answer.
    let mut new = Raw::accept(&listener).await;
    let (first, second) = (new.call().await.unwrap(), new.call().await.unwrap());
    new.answer(first).await;
    new.answer(second).await;
    old.answer(1).await;
    for call in calls {
        call.await.unwrap().unwrap();
    }
    assert_eq!(old.call().await, None, "it is closed when its last call has ended");
    let nothing = tokio::time::timeout(Duration::from_millis(20), new.call()).await;
    assert!(nothing.is_err(), "the call below the last stream was sent once");
}

#[tokio::test]
async fn a_goaway_is_noticed_without_a_call() {
    let (listener, channel) = channel().await;
    let held = tokio::spawn(call(channel.clone()));
    let mut old = Raw::accept(&listener).await;
    let stream = old.call().await.unwrap();
    assert_eq!(channel.ready().len(), 1);
    old.goaway(stream).await;

    // Nobody calls; all the same, another connection is opened and used.
    let (opened, told) = (Arc::new(Notify::new()), oneshot::channel::<()>());
    let (enough, stop) = told;
    let serving = tokio::spawn({
        let opened = opened.clone();
        async move {
            let mut new = Raw::accept(&listener).await;
            opened.notify_one();
            let called = new.call().await.unwrap();
            new.answer(called).await;
            let _ = stop.await;
        }
    });
    opened.notified().await;
    call(channel.clone()).await.unwrap();
    old.answer(stream).await;
    held.await.unwrap().unwrap();
    drop(enough);
    serving.await.unwrap();
}

#[tokio::test]
async fn a_call_that_the_peer_may_have_looked_at_is_not_repeated() {
    let (listener, channel) = channel().await;
    let lost = tokio::spawn(call(channel.clone()));
    let mut old = Raw::accept(&listener).await;
    let stream = old.call().await.unwrap();
    old.goaway(stream).await;
    drop(old);
    assert_eq!(lost.await.unwrap().unwrap_err().code(), Code::Unavailable);
    let mut new = Raw::accept(&listener).await;
    let nothing = tokio::time::timeout(Duration::from_millis(20), new.call()).await;
    assert!(nothing.is_err());
}
