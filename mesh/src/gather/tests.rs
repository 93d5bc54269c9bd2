//! What arrives is what was written, in fewer writes.

use std::task::Waker;

use proptest::prelude::*;
use tokio::io::AsyncWriteExt as _;

use super::*;

/// A stream that takes so many bytes of each write, and none when it has no more
/// turns to give.
#[derive(Debug, Default)]
struct Sink {
    writes: Vec<Vec<u8>>,
    takes: usize,
    pauses: bool,
    fails: bool,
    closed: bool,
}

impl AsyncRead for Sink {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Poll::Pending
    }
}

impl AsyncWrite for Sink {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.fails {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        // Every other write finds the stream full.
        self.pauses = !self.pauses && self.takes < usize::MAX;
        if self.pauses {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let count = bytes.len().min(self.takes);
        self.writes.push(bytes[..count].to_vec());
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.closed = true;
        Poll::Ready(Ok(()))
    }
}

fn sink(takes: usize) -> (Gather<Sink>, Turns<Sink>) {
    gather(Sink { takes, ..Sink::default() })
}

/// A turn in which h2 writes and flushes as it does for each message.
fn turn(stream: &mut Gather<Sink>, turns: &Turns<Sink>, messages: &[Vec<u8>]) {
    let mut cx = Context::from_waker(Waker::noop());
    let (mut at, mut written) = (0, 0);
    for _ in 0..100_000 {
        let polled = turns.poll(&mut cx, |cx| {
            while at < messages.len() {
                written += ready!(Pin::new(&mut *stream).poll_write(cx, &messages[at][written..]))?;
                if written == messages[at].len() {
                    (at, written) = (at + 1, 0);
                    ready!(Pin::new(&mut *stream).poll_flush(cx))?;
                }
            }
            Poll::Ready(io::Result::Ok(()))
        });
        let empty = lock(&turns.0).bytes.is_empty();
        if let (Poll::Ready(ended), true) = (polled, empty) {
            return ended.unwrap();
        }
    }
    panic!("the turn does not end");
}

fn writes(turns: &Turns<Sink>) -> Vec<usize> {
    lock(&turns.0).stream.writes.iter().map(Vec::len).collect()
}

#[test]
fn messages_of_a_turn_leave_in_one_write() {
    let (mut stream, turns) = sink(usize::MAX);
    turn(&mut stream, &turns, &[]);
    turn(&mut stream, &turns, &vec![vec![7; 1_100]; 10]);
    turn(&mut stream, &turns, &[vec![7; 1_100]]);
    assert_eq!(writes(&turns), [11_000, 1_100]);
}

#[test]
fn nothing_is_held_while_hands_are_shaken() {
    let (mut stream, turns) = sink(usize::MAX);
    let mut cx = Context::from_waker(Waker::noop());
    assert!(Pin::new(&mut stream).poll_write(&mut cx, b"settings").is_ready());
    assert_eq!(writes(&turns), [8]);
}

#[test]
fn a_full_frame_is_not_copied_and_does_not_overtake() {
    let (mut stream, turns) = sink(usize::MAX);
    turn(&mut stream, &turns, &[]);
    turn(&mut stream, &turns, &[vec![1; 100], vec![2; MOST + 9], vec![3; 100]]);
    assert_eq!(writes(&turns), [100, MOST + 9, 100]);
}

#[tokio::test]
async fn what_is_held_leaves_before_the_end() {
    let (mut stream, turns) = sink(usize::MAX);
    turn(&mut stream, &turns, &[]);
    stream.write_all(b"goodbye").await.unwrap();
    assert!(writes(&turns).is_empty());
    stream.shutdown().await.unwrap();
    assert_eq!(writes(&turns), [7]);
    assert!(lock(&turns.0).stream.closed);
}

#[test]
fn a_stream_that_breaks_under_what_is_held_is_told_to_who_wrote_it() {
    let (mut stream, turns) = sink(usize::MAX);
    turn(&mut stream, &turns, &[]);
    lock(&turns.0).stream.fails = true;
    let mut cx = Context::from_waker(Waker::noop());
    let mut wrote = false;
    let told = turns.poll(&mut cx, |cx| {
        if !wrote {
            wrote = true;
            assert!(Pin::new(&mut stream).poll_write(cx, b"lost").is_ready());
            return Poll::Pending;
        }
        let mut bytes = [0; 8];
        Pin::new(&mut stream).poll_read(cx, &mut ReadBuf::new(&mut bytes))
    });
    let Poll::Ready(Err(error)) = told else { panic!("{told:?}") };
    assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
}

proptest! {
    #[test]
    fn no_byte_is_lost_or_out_of_order(
        takes in 1_usize..5_000,
        sizes in prop::collection::vec(prop::collection::vec(1_usize..MOST * 5 / 4, 0..12), 1..8),
    ) {
        let (mut stream, turns) = sink(takes);
        let mut all = Vec::new();
        let mut next = 0_u8;
        for sizes in sizes {
            let message = |size: usize| -> Vec<u8> {
                (0..size).map(|_| { next = next.wrapping_mul(5).wrapping_add(1); next }).collect()
            };
            let messages: Vec<_> = sizes.into_iter().map(message).collect();
            turn(&mut stream, &turns, &messages);
            all.extend(messages.concat());
        }
        prop_assert_eq!(lock(&turns.0).stream.writes.concat(), all);
    }
}
