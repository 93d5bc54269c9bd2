//! One connection of a simulated network: two directions, each of which delays,
//! holds and throttles as its link says at that moment.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, ReadHalf, WriteHalf},
    sync::{Notify, mpsc},
    time::{Instant, sleep_until},
};

use super::memory::Book;
use crate::net::Stream;

/// Bytes that either end holds for a slow reader: a kernel's usual buffer.
const BUFFER: usize = 64 << 10;
/// Bytes that are carried at once.
const PIECE: usize = 16 << 10;
/// Pieces on their way, which with a latency are what bounds the throughput.
const UNDER_WAY: usize = 64;

/// A connection, known by both of its ends.
#[derive(Debug)]
pub(super) struct Cable {
    pub(super) caller: String,
    pub(super) to: SocketAddr,
    is_cut: AtomicBool,
    severed: Notify,
}

impl Cable {
    pub(super) fn new(caller: String, to: SocketAddr) -> Arc<Self> {
        Arc::new(Self { caller, to, is_cut: AtomicBool::new(false), severed: Notify::new() })
    }

    /// Ends the connection for both ends; `false` when it was cut before.
    pub(super) fn cut(&self) -> bool {
        let first = !self.is_cut.swap(true, Relaxed);
        // One permit, for the one task that carries.
        self.severed.notify_one();
        first
    }
}

/// Waits as the handshake of TCP does: there and back, and for as long as the
/// link swallows what it is given.
pub(super) async fn travel(book: &Arc<Book>, caller: &str, to: SocketAddr) {
    open(book, caller, to).await;
    let there = delay(book, caller, to);
    let back = delay(book, caller, to);
    if there + back > Duration::ZERO {
        tokio::time::sleep(there + back).await;
        open(book, caller, to).await;
    }
}

/// Both ends of a connection.
pub(super) fn lay(book: &Arc<Book>, cable: &Arc<Cable>) -> (Stream, Stream) {
    let (near, near_end) = tokio::io::duplex(BUFFER);
    let (far, far_end) = tokio::io::duplex(BUFFER);
    let (book, cable) = (book.clone(), cable.clone());
    tokio::spawn(async move {
        let (from_near, to_near) = tokio::io::split(near_end);
        let (from_far, to_far) = tokio::io::split(far_end);
        let both = async {
            let there = carry(&book, &cable, from_near, to_far);
            let back = carry(&book, &cable, from_far, to_near);
            tokio::join!(there, back)
        };
        tokio::select! {
            biased;
            () = cable.severed.notified() => {}
            _ = both => {}
        }
    });
    (Stream::of(near), Stream::of(far))
}

async fn carry(
    book: &Arc<Book>,
    cable: &Cable,
    from: ReadHalf<DuplexStream>,
    to: WriteHalf<DuplexStream>,
) {
    let (queue, queued) = mpsc::channel(UNDER_WAY);
    let take = async {
        take(book, cable, from, queue).await;
        // What was taken must still arrive.
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = take => {}
        () = give(book, cable, queued, to) => {}
    }
}

async fn take(
    book: &Arc<Book>,
    cable: &Cable,
    mut from: ReadHalf<DuplexStream>,
    queue: mpsc::Sender<(Instant, Bytes)>,
) {
    let mut piece = vec![0; PIECE];
    let mut free = Instant::now();
    while let Ok(length @ 1..) = from.read(&mut piece).await {
        let condition = book.condition(&cable.caller, cable.to);
        let rate = condition.bytes_per_second.unwrap_or(u32::MAX).max(1);
        let begins = free.max(Instant::now());
        let occupied = Duration::from_secs_f64(length as f64 / f64::from(rate));
        // Without a rate no time passes, to the nanosecond.
        free = if condition.bytes_per_second.is_some() { begins + occupied } else { begins };
        let due = free + delay(book, &cable.caller, cable.to);
        // In order, whatever the jitter.
        free = if condition.jitter.is_zero() { free } else { due };
        if queue.send((due, Bytes::copy_from_slice(&piece[..length]))).await.is_err() {
            return;
        }
    }
}

async fn give(
    book: &Arc<Book>,
    cable: &Cable,
    mut queued: mpsc::Receiver<(Instant, Bytes)>,
    mut to: WriteHalf<DuplexStream>,
) {
    while let Some((due, bytes)) = queued.recv().await {
        if due > Instant::now() {
            book.pages().faults.delayed += 1;
            sleep_until(due).await;
        }
        open(book, &cable.caller, cable.to).await;
        if to.write_all(&bytes).await.is_err() {
            return;
        }
    }
    // An error means that nobody is there to read the end.
    let _ = to.shutdown().await;
}

/// Returns when the link swallows nothing.
async fn open(book: &Arc<Book>, caller: &str, to: SocketAddr) {
    let mut held = false;
    loop {
        let mut changed = std::pin::pin!(book.changed.notified());
        changed.as_mut().enable();
        if !book.condition(caller, to).swallows {
            return;
        }
        book.pages().faults.held += u64::from(!held);
        held = true;
        changed.await;
    }
}

fn delay(book: &Book, caller: &str, to: SocketAddr) -> Duration {
    let mut pages = book.pages();
    let condition = pages.condition(caller, to);
    condition.latency + condition.jitter.mul_f64(pages.random.f64())
}
