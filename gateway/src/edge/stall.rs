//! Connections whose peer takes nothing: bytes that wait to be written hold a
//! call, a stream and its buffers, so they do not wait for ever. HTTP/2's pings
//! tell of a peer that is gone, and not of one that does not read.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use mesh::net::Stream;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Sleep,
};

/// Pieces that are together no larger are written as one: to copy them costs less
/// than a system call that takes a list. Most answers are smaller, with their head.
const GATHERED: usize = 2 << 10;

/// A connection that fails when nothing of what it writes is taken for too long.
#[derive(Debug)]
pub(super) struct Watched {
    stream: Stream,
    patience: Duration,
    /// Runs while a write waits.
    timer: Option<Pin<Box<Sleep>>>,
}

impl Watched {
    pub(super) fn new(stream: Stream, patience: Duration) -> Watched {
        Watched { stream, patience, timer: None }
    }

    fn watch<T>(
        &mut self,
        context: &mut Context<'_>,
        write: impl FnOnce(Pin<&mut Stream>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        let written = write(Pin::new(&mut self.stream), context);
        if written.is_ready() {
            self.timer = None;
            return written;
        }
        let patience = self.patience;
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
        timer.as_mut().poll(context).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.watch(context, |stream, context| stream.poll_write(context, bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let length: usize = slices.iter().map(|slice| slice.len()).sum();
        if length > GATHERED {
            return self
                .watch(context, |stream, context| stream.poll_write_vectored(context, slices));
        }
        let mut gathered = [0; GATHERED];
        let mut at = 0;
        for slice in slices {
            gathered[at..at + slice.len()].copy_from_slice(slice);
            at += slice.len();
        }
        self.watch(context, |stream, context| stream.poll_write(context, &gathered[..at]))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.watch(context, Stream::poll_flush)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.watch(context, Stream::poll_shutdown)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    #[tokio::test]
    async fn small_pieces_are_written_at_once_and_in_order() {
        let (near, mut far) = tokio::io::duplex(1 << 20);
        let mut watched = Watched::new(Stream::of(near), PATIENCE);
        for sizes in [[0, 1], [300, 400], [GATHERED - 1, 1], [GATHERED, 1]] {
            let pieces = [vec![b'a'; sizes[0]], vec![b'b'; sizes[1]]];
            let slices = pieces.each_ref().map(|piece| IoSlice::new(piece));
            let written = watched.write_vectored(&slices).await.unwrap();
            let mut read = vec![0; written];
            far.read_exact(&mut read).await.unwrap();
            assert_eq!(read, pieces.concat()[..written], "{sizes:?}");
            let all = sizes[0] + sizes[1];
            assert!(written == all || all > GATHERED, "{sizes:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_takes_nothing_is_given_up() {
        let (near, _far) = tokio::io::duplex(16);
        let mut watched = Watched::new(Stream::of(near), PATIENCE);
        let begun = tokio::time::Instant::now();
        let failed = watched.write_all(&[0; 17]).await.unwrap_err();
        assert_eq!((failed.kind(), begun.elapsed()), (io::ErrorKind::TimedOut, PATIENCE));
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_takes_a_little_now_and_then_is_not() {
        let (near, mut far) = tokio::io::duplex(1);
        let mut watched = Watched::new(Stream::of(near), PATIENCE);
        let reading = async {
            for _ in 0..5 {
                tokio::time::sleep(PATIENCE * 9 / 10).await;
                far.read_u8().await.unwrap();
            }
        };
        let (written, ()) = tokio::join!(watched.write_all(&[0; 5]), reading);
        written.unwrap();
    }
}
