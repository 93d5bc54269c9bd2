//! Carries frames between a peer's HTTP/2 and the network, and puts in between
//! what no HTTP/2 library would send.

use std::future;

use bytes::{Buf as _, BytesMut};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, ReadHalf, WriteHalf},
    sync::{Notify, mpsc},
};

use crate::net::Stream;

/// Length of a frame's header (RFC 9113, section 4.1).
const FRAME_HEADER: usize = 9;

/// What a reply asks of the connection beneath it.
#[derive(Debug)]
pub(super) enum Order {
    /// Bytes to send after what was sent so far, between two frames.
    Send(Vec<u8>),
    /// Nothing more is read.
    StopReading,
    /// The connection is cut.
    Close,
}

/// Returns when either side is gone, or is told to be.
pub(super) async fn run(stream: Stream, own: DuplexStream, orders: mpsc::UnboundedReceiver<Order>) {
    let (from_peer, to_peer) = tokio::io::split(stream);
    let (from_own, to_own) = tokio::io::split(own);
    let deaf = Notify::new();
    tokio::select! {
        () = outwards(from_own, to_peer, orders, &deaf) => {}
        () = inwards(from_peer, to_own, &deaf) => {}
    }
}

async fn inwards(mut from: ReadHalf<Stream>, mut to: WriteHalf<DuplexStream>, deaf: &Notify) {
    tokio::select! {
        biased;
        () = deaf.notified() => future::pending().await,
        // Whatever it was that ended it: the connection is over.
        _ = tokio::io::copy(&mut from, &mut to) => {}
    }
}

async fn outwards(
    mut from: ReadHalf<DuplexStream>,
    mut to: WriteHalf<Stream>,
    mut orders: mpsc::UnboundedReceiver<Order>,
    deaf: &Notify,
) {
    let mut frames = BytesMut::new();
    loop {
        let order = tokio::select! {
            biased;
            read = from.read_buf(&mut frames) => match read {
                Ok(1..) => None,
                _ => return,
            },
            Some(order) = orders.recv() => Some(order),
        };
        let sent = match order {
            None => {
                let whole = whole_frames(&frames);
                let sent = to.write_all(&frames[..whole]).await;
                frames.advance(whole);
                sent
            }
            Some(Order::Send(bytes)) => to.write_all(&bytes).await,
            Some(Order::StopReading) => {
                deaf.notify_one();
                Ok(())
            }
            Some(Order::Close) => return,
        };
        if sent.is_err() || to.flush().await.is_err() {
            return;
        }
    }
}

/// How many of these bytes are frames to their end.
fn whole_frames(bytes: &[u8]) -> usize {
    let mut end = 0;
    while let Some([high, middle, low, ..]) = bytes.get(end..) {
        let next = end + FRAME_HEADER + u32::from_be_bytes([0, *high, *middle, *low]) as usize;
        if next > bytes.len() {
            break;
        }
        end = next;
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_whole_when_its_last_byte_is_there() {
        let mut frames = vec![0, 0, 2, 0, 0, 0, 0, 0, 1, b'a', b'b'];
        frames.extend([0, 0, 1, 0, 0, 0, 0, 0, 1]);
        assert_eq!(whole_frames(&frames[..2]), 0);
        assert_eq!(whole_frames(&frames[..10]), 0);
        assert_eq!(whole_frames(&frames), 11);
        frames.push(b'c');
        assert_eq!(whole_frames(&frames), frames.len());
    }
}
