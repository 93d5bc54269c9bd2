//! Which connections the calls of a worker ride: its own, and until that one is
//! open, or when it ends, any other.
#![allow(clippy::unwrap_used)]

use std::{
    collections::HashMap,
    future::Future,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use h2::server::Connection;
use http::{HeaderMap, HeaderValue, Response};
use mesh::{
    Channel, Workers,
    proto::{ListKeysRequest, key_service_client::KeyServiceClient},
    testing::Mesh,
};
use tokio::{
    net::{TcpListener, TcpStream},
    runtime::Handle,
    sync::{Notify, watch},
};

/// A server that tells each caller the number of its connection, from 1.
#[derive(Clone, Default)]
struct Peer {
    /// Ask a connection to end by GOAWAY.
    leave: Arc<Mutex<HashMap<usize, Arc<Notify>>>>,
    opened: watch::Sender<usize>,
    closed: watch::Sender<usize>,
}

impl Peer {
    async fn start() -> (Self, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let peer = Self::default();
        tokio::spawn(peer.clone().serve(listener));
        (peer, address)
    }

    async fn serve(self, listener: TcpListener) {
        for number in 1.. {
            let (stream, _) = listener.accept().await.unwrap();
            let leave = Arc::<Notify>::default();
            self.leave.lock().unwrap().insert(number, leave.clone());
            let peer = self.clone();
            tokio::spawn(async move {
                let connection = h2::server::handshake(stream).await.unwrap();
                peer.opened.send_modify(|count| *count += 1);
                answer(connection, number, leave).await;
                peer.closed.send_modify(|count| *count += 1);
            });
        }
    }

    fn end(&self, number: usize) {
        self.leave.lock().unwrap()[&number].notify_one();
    }
}

async fn answer(mut connection: Connection<TcpStream, Bytes>, number: usize, leave: Arc<Notify>) {
    loop {
        let accepted = tokio::select! {
            accepted = connection.accept() => accepted,
            () = leave.notified() => {
                connection.graceful_shutdown();
                continue;
            }
        };
        let Some(Ok((_, mut respond))) = accepted else { return };
        let head = Response::builder()
            .header("content-type", "application/grpc")
            .header("connection-number", number)
            .body(())
            .unwrap();
        let mut stream = respond.send_response(head, false).unwrap();
        stream.send_data(Bytes::from_static(&[0; 5]), false).unwrap();
        let trailers = HeaderMap::from_iter([(
            http::HeaderName::from_static("grpc-status"),
            HeaderValue::from_static("0"),
        )]);
        stream.send_trailers(trailers).unwrap();
    }
}

type Client = KeyServiceClient<Channel>;

/// The number of the connection that a call rides.
async fn ride(mut client: Client) -> usize {
    let response = client.list_keys(ListKeysRequest {}).await.unwrap();
    response.metadata().get("connection-number").unwrap().to_str().unwrap().parse().unwrap()
}

/// The same for a call that a worker makes.
async fn ride_on(worker: &Handle, client: &Client) -> usize {
    worker.spawn(ride(client.clone())).await.unwrap()
}

/// Calls until the connection is another one.
async fn until_other<F: Future<Output = usize>>(than: usize, call: impl Fn() -> F) -> usize {
    loop {
        let number = call().await;
        if number != than {
            return number;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

async fn client(mesh: &Mesh, address: &str) -> Client {
    let client = KeyServiceClient::new(mesh.app("caller").endpoint(address));
    assert_eq!(ride(client.clone()).await, 1, "the process's own lane is opened first");
    client
}

#[tokio::test]
async fn a_workers_calls_ride_its_own_connection_and_the_first_waits_for_none() {
    let (mesh, (peer, address)) = (Mesh::new().await, Peer::start().await);
    let client = client(&mesh, &address).await;
    let workers = Workers::start(2).unwrap();
    let [one, two] = [0, 1].map(|at| workers.runtimes().nth(at).unwrap());

    assert_eq!(ride_on(one, &client).await, 1, "its own is not open yet");
    let first = until_other(1, || ride_on(one, &client)).await;
    assert_eq!(ride_on(two, &client).await, 1, "the oldest lane helps out");
    let second = until_other(1, || ride_on(two, &client)).await;
    assert_ne!(first, second);
    for _ in 0..20 {
        let rides = [ride_on(one, &client), ride_on(two, &client)];
        assert_eq!(futures_util::future::join_all(rides).await, [first, second]);
        assert_eq!(ride(client.clone()).await, 1);
    }
    assert_eq!(*peer.opened.borrow(), 3, "and no connection was opened beyond these");
}

#[tokio::test]
async fn a_lane_that_ends_falls_back_to_another_until_it_is_open_again() {
    let (mesh, (peer, address)) = (Mesh::new().await, Peer::start().await);
    let client = client(&mesh, &address).await;
    let workers = Workers::start(1).unwrap();
    let worker = workers.runtimes().next().unwrap();
    ride_on(worker, &client).await;
    let own = until_other(1, || ride_on(worker, &client)).await;

    peer.end(own);
    let mut rides = Vec::new();
    while rides.last().is_none_or(|last| *last <= own) {
        // Not one of them fails.
        rides.push(ride_on(worker, &client).await);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(ride(client.clone()).await, 1);
}

#[tokio::test]
async fn the_lane_of_a_worker_that_has_ended_is_closed_and_its_successor_opens_its_own() {
    let (mesh, (peer, address)) = (Mesh::new().await, Peer::start().await);
    let client = client(&mesh, &address).await;
    for round in 1..=2 {
        let workers = Workers::start(1).unwrap();
        let worker = workers.runtimes().next().unwrap();
        ride_on(worker, &client).await;
        until_other(1, || ride_on(worker, &client)).await;
        drop(workers);
        peer.closed.subscribe().wait_for(|closed| *closed == round).await.unwrap();
    }
    for _ in 0..20 {
        assert_eq!(ride(client.clone()).await, 1);
    }
}

#[tokio::test]
async fn the_lanes_of_a_channel_that_is_dropped_are_closed() {
    let (mesh, (peer, address)) = (Mesh::new().await, Peer::start().await);
    let client = client(&mesh, &address).await;
    let workers = Workers::start(2).unwrap();
    for worker in workers.runtimes() {
        ride_on(worker, &client).await;
        until_other(1, || ride_on(worker, &client)).await;
    }
    drop(client);
    peer.closed.subscribe().wait_for(|closed| *closed == 3).await.unwrap();
}
