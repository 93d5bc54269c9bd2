//! What workers promise to whoever serves on them.
#![allow(clippy::unwrap_used)]

use std::{
    future::pending,
    sync::{Arc, Mutex, mpsc},
    thread::{self, ThreadId},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::{Notify, oneshot},
};

use super::*;

/// What is served in a test: a connection is told which worker has it, byte by
/// byte for each byte that it sends.
async fn tell(mut stream: Stream, _: SocketAddr) {
    let mut byte = [0];
    while stream.read_exact(&mut byte).await.is_ok() {
        let number = u8::try_from(current()).unwrap();
        stream.write_all(&[number]).await.unwrap();
    }
}

async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// A connection, and the number of the worker that has it.
async fn connect(address: SocketAddr) -> (TcpStream, u8) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let number = ask(&mut stream).await;
    (stream, number)
}

async fn ask(stream: &mut TcpStream) -> u8 {
    stream.write_all(b"?").await.unwrap();
    stream.read_u8().await.unwrap()
}

/// Serves for as long as the returned task is not aborted.
fn serve(count: usize, listener: TcpListener, most: usize) -> tokio::task::JoinHandle<()> {
    let workers = Workers::start(count).unwrap();
    tokio::spawn(async move { workers.serve(listener, most, tell, pending()).await })
}

#[tokio::test]
async fn connections_are_spread_evenly_and_one_that_ends_makes_room() {
    let (listener, address) = listener().await;
    let serving = serve(4, listener, 100);
    let mut connections = Vec::new();
    for _ in 0..12 {
        connections.push(connect(address).await);
    }
    let mut on: Vec<u8> = connections.iter().map(|(_, number)| *number).collect();
    on.sort_unstable();
    let share = on.chunk_by(|a, b| a == b).map(<[u8]>::len).collect::<Vec<_>>();
    assert_eq!(share, [3; 4]);

    // Two of one worker leave: it gets the next two.
    let left = connections[0].1;
    connections.retain({
        let mut leaving = 2;
        move |(_, number)| {
            let leaves = *number == left && leaving > 0;
            leaving -= usize::from(leaves);
            !leaves
        }
    });
    for _ in 0..2 {
        // Until the worker has seen that they left, others may be chosen.
        loop {
            let (stream, number) = connect(address).await;
            if number == left {
                connections.push((stream, number));
                break;
            }
        }
    }
    serving.abort();
}

#[tokio::test]
async fn without_threads_the_awaiting_runtime_serves() {
    let (listener, address) = listener().await;
    let serving = serve(0, listener, 1);
    assert_eq!(connect(address).await.1, 0);
    serving.abort();
}

#[tokio::test]
async fn the_cap_of_connections_counts_those_of_all_workers() {
    let (listener, address) = listener().await;
    let serving = serve(2, listener, 3);
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(connect(address).await.0);
    }
    let mut fourth = TcpStream::connect(address).await.unwrap();
    fourth.write_all(b"?").await.unwrap();
    for stream in &mut held {
        // All of these are answered while the fourth waits in the backlog.
        ask(stream).await;
        assert!(fourth.try_read(&mut [0]).is_err());
    }
    held.pop();
    assert_ne!(fourth.read_u8().await.unwrap(), 0);
    serving.abort();
}

#[tokio::test]
async fn a_worker_that_is_blocked_does_not_stop_the_other() {
    let (listener, address) = listener().await;
    let workers = Workers::start(2).unwrap();
    let (unblock, blocked) = mpsc::channel::<()>();
    let blocked = Arc::new(Mutex::new(Some(blocked)));
    let entered = Arc::new(Notify::new());
    let serving = {
        let entered = entered.clone();
        // The first connection blocks its worker's thread.
        let connection = move |stream, peer| {
            let (block, entered) = (blocked.lock().unwrap().take(), entered.clone());
            async move {
                if let Some(block) = block {
                    entered.notify_one();
                    let _ = block.recv();
                }
                tell(stream, peer).await;
            }
        };
        tokio::spawn(async move { workers.serve(listener, 10, connection, pending()).await })
    };
    let mut first = TcpStream::connect(address).await.unwrap();
    first.write_all(b"?").await.unwrap();
    entered.notified().await;
    let (mut other, number) = connect(address).await;
    for _ in 0..100 {
        assert_eq!(ask(&mut other).await, number);
    }
    assert!(first.try_read(&mut [0]).is_err(), "its worker is still blocked");
    drop(unblock);
    assert_ne!(first.read_u8().await.unwrap(), number);
    serving.abort();
}

#[tokio::test]
async fn a_connection_that_panics_ends_alone() {
    let (listener, address) = listener().await;
    let workers = Workers::start(1).unwrap();
    let connection = |mut stream: Stream, peer| async move {
        assert_ne!(stream.read_u8().await.unwrap(), b'!', "on purpose");
        stream.write_u8(1).await.unwrap();
        tell(stream, peer).await;
    };
    let serving =
        tokio::spawn(async move { workers.serve(listener, 10, connection, pending()).await });
    let (mut calm, _) = connect(address).await;
    let mut loud = TcpStream::connect(address).await.unwrap();
    loud.write_all(b"!").await.unwrap();
    assert!(loud.read_u8().await.is_err(), "it is closed");
    ask(&mut calm).await;
    serving.abort();
}

#[tokio::test]
async fn serving_ends_when_the_last_connection_has_ended_and_accepts_nothing_meanwhile() {
    let (listener, address) = listener().await;
    let workers = Workers::start(2).unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(async move {
        workers.serve(listener, 10, tell, async { _ = stopped.await }).await;
        workers.end(Duration::from_secs(60)).await
    });
    let (mut first, _) = connect(address).await;
    let (mut second, _) = connect(address).await;
    stop.send(()).unwrap();
    while TcpStream::connect(address).await.is_ok() {}
    ask(&mut first).await;
    drop(first);
    ask(&mut second).await;
    assert!(!serving.is_finished());
    drop(second);
    assert_eq!(serving.await.unwrap(), 0, "and no worker is left behind");
}

#[tokio::test]
async fn dropped_workers_free_the_port_and_drop_what_they_run() {
    let (listener, address) = listener().await;
    let workers = Workers::start(2).unwrap();
    let mut serving = Box::pin(workers.serve(listener, 10, tell, pending()));
    let connected = tokio::select! {
        () = &mut serving => unreachable!("it was not stopped"),
        connected = connect(address) => connected,
    };
    drop(serving);
    drop(workers);
    // At once, without a turn of any loop.
    assert!(std::net::TcpStream::connect(address).is_err());
    let (mut stream, _) = connected;
    assert!(stream.read_u8().await.is_err(), "the connection is closed");
}

#[tokio::test]
async fn a_worker_that_computes_is_left_behind_and_counted() {
    let workers = Workers::start(1).unwrap();
    let (unblock, blocked) = mpsc::channel::<()>();
    let (entered, running) = oneshot::channel::<()>();
    workers.threads[0].runtime().spawn(async move {
        entered.send(()).unwrap();
        let _ = blocked.recv();
    });
    running.await.unwrap();
    assert_eq!(workers.end(Duration::from_millis(1)).await, 1);
    drop(unblock);
}

#[tokio::test]
async fn every_worker_has_a_thread_and_a_number_of_its_own() {
    let workers = Workers::start(3).unwrap();
    let mut seen: Vec<(usize, ThreadId)> = Vec::new();
    for worker in &workers.threads {
        let place = worker.runtime().spawn(async { (current(), thread::current().id()) });
        seen.push(place.await.unwrap());
    }
    seen.sort_by_key(|(number, _)| *number);
    seen.dedup_by_key(|(number, _)| *number);
    assert_eq!(seen.len(), 3);
    assert!(seen.iter().all(|(number, _)| *number > 0));
    assert_eq!(current(), 0, "this thread is none of them");
}
