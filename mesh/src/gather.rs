//! Small writes of one turn of a connection, gathered into one. h2 hands every
//! message of a kilobyte or more to the socket by itself, and a system call costs
//! several times what it costs to copy a kilobyte. So what it writes while it is
//! polled is held, and sent when it has nothing more to do.
//!
//! h2 flushes after each of those messages too, so that it cannot be h2 that tells
//! the end of a turn: who polls it does, by [`Turns`].

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Most bytes that are held: as many as h2 puts together itself. A full frame of a
/// large message is more, and goes to the socket as it is, without a copy.
const MOST: usize = 16 << 10;

/// A stream as h2 sees it.
#[derive(Debug)]
pub(crate) struct Gather<S>(Arc<Mutex<Held<S>>>);

/// The same stream as it is seen by who polls h2.
#[derive(Debug)]
pub(crate) struct Turns<S>(Arc<Mutex<Held<S>>>);

#[derive(Debug)]
struct Held<S> {
    stream: S,
    bytes: Vec<u8>,
    /// How many of the bytes have left.
    sent: usize,
    /// There is somebody who sends what is held: not before the first turn, in which
    /// connections shake hands.
    turns: bool,
    /// Why nothing can be sent any more, until h2 knows.
    broken: Option<io::Error>,
}

/// Both views of a stream.
pub(crate) fn gather<S>(stream: S) -> (Gather<S>, Turns<S>) {
    let held = Held { stream, bytes: Vec::new(), sent: 0, turns: false, broken: None };
    let held = Arc::new(Mutex::new(held));
    (Gather(held.clone()), Turns(held))
}

impl<S: AsyncRead + AsyncWrite + Unpin> Turns<S> {
    /// Polls what drives h2, and then sends what it has written.
    pub(crate) fn poll<T>(
        &self,
        cx: &mut Context<'_>,
        mut work: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        let polled = work(cx);
        let sent = {
            let mut held = lock(&self.0);
            held.turns = true;
            let sent = held.send(cx);
            if let Poll::Ready(Err(error)) = sent {
                held.broken = Some(error);
                false
            } else {
                true
            }
        };
        if sent || polled.is_ready() { polled } else { work(cx) }
    }
}

fn lock<S>(held: &Mutex<Held<S>>) -> MutexGuard<'_, Held<S>> {
    held.lock().expect("no stream panics")
}

impl<S: AsyncWrite + Unpin> Held<S> {
    /// Sends what is held.
    fn send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.sent < self.bytes.len() {
            let stream = Pin::new(&mut self.stream);
            match ready!(stream.poll_write(cx, &self.bytes[self.sent..]))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => self.sent += count,
            }
        }
        if self.sent > 0 {
            ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
            self.bytes.clear();
            self.sent = 0;
        }
        Poll::Ready(Ok(()))
    }

    /// Makes room for so many bytes beside what is held; whether they are to be held.
    fn room(&mut self, count: usize, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        if let Some(error) = self.broken.take() {
            return Poll::Ready(Err(error));
        }
        if self.bytes.len() + count > MOST {
            ready!(self.send(cx))?;
        }
        Poll::Ready(Ok(self.turns && count <= MOST))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Gather<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut held = lock(&self.0);
        match held.broken.take() {
            Some(error) => Poll::Ready(Err(error)),
            None => Pin::new(&mut held.stream).poll_read(cx, buffer),
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Gather<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut held = lock(&self.0);
        if ready!(held.room(bytes.len(), cx))? {
            held.bytes.extend_from_slice(bytes);
            return Poll::Ready(Ok(bytes.len()));
        }
        Pin::new(&mut held.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut held = lock(&self.0);
        let count = slices.iter().map(|slice| slice.len()).sum();
        if ready!(held.room(count, cx))? {
            slices.iter().for_each(|slice| held.bytes.extend_from_slice(slice));
            return Poll::Ready(Ok(count));
        }
        Pin::new(&mut held.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        lock(&self.0).stream.is_write_vectored()
    }

    /// Leaves what is held to the end of the turn.
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut lock(&self.0).stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut held = lock(&self.0);
        ready!(held.send(cx))?;
        Pin::new(&mut held.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests;
