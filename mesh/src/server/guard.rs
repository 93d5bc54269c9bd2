//! Watches the frames of a connection go by, by their nine bytes of header
//! alone, and ends the connection of a peer that abuses what costs it nothing:
//! pings, settings, priorities. The h2 crate answers such frames by itself and
//! does not tell of them.
//!
//! A ping that follows something that was sent is not counted: clients measure
//! the line with it (BDP probes of gRPC and hyper).

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};

/// Pings that come too early before the connection is ended (gRFC A8).
const MAX_PING_STRIKES: u32 = 2;
/// Frames that only cost us, in one [`WINDOW`]: SETTINGS to acknowledge,
/// PRIORITY, and types that nobody knows. Clients send a handful at their start.
const MAX_IDLE_FRAMES: u32 = 100;
/// In which they are counted.
const WINDOW: Duration = Duration::from_secs(10);

/// What a client sends before its first frame (RFC 9113 §3.4).
const PREFACE_BYTES: usize = 24;
const HEADER_BYTES: usize = 9;

const DATA: u8 = 0x0;
const HEADERS: u8 = 0x1;
const RST_STREAM: u8 = 0x3;
const PING: u8 = 0x6;
const GOAWAY: u8 = 0x7;
const WINDOW_UPDATE: u8 = 0x8;
const CONTINUATION: u8 = 0x9;
const ACK: u8 = 0x1;

const ENHANCE_YOUR_CALM: u32 = 0xb;

/// Finds the headers of frames in bytes, whatever pieces they come in.
#[derive(Debug)]
struct Scanner {
    /// Bytes to the next header.
    skip: usize,
    header: [u8; HEADER_BYTES],
    /// Bytes of the header that have come.
    filled: usize,
}

impl Scanner {
    fn after(skip: usize) -> Self {
        Self { skip, header: [0; HEADER_BYTES], filled: 0 }
    }

    /// Whether everything so far is whole frames.
    fn between_frames(&self) -> bool {
        self.skip == 0 && self.filled == 0
    }

    /// Tells type and flags of every frame whose header these bytes complete.
    fn scan(&mut self, mut bytes: &[u8], mut seen: impl FnMut(u8, u8)) {
        loop {
            let skipped = self.skip.min(bytes.len());
            self.skip -= skipped;
            bytes = &bytes[skipped..];
            if bytes.is_empty() {
                return;
            }
            let taken = (HEADER_BYTES - self.filled).min(bytes.len());
            let (head, rest) = bytes.split_at(taken);
            self.header[self.filled..self.filled + taken].copy_from_slice(head);
            self.filled += taken;
            bytes = rest;
            if self.filled == HEADER_BYTES {
                let [a, b, c, kind, flags, ..] = self.header;
                self.skip = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
                self.filled = 0;
                seen(kind, flags);
            }
        }
    }
}

/// What a peer has sent of that which costs it nothing.
#[derive(Debug)]
struct Conduct {
    min_ping_interval: Duration,
    last_ping: Option<Instant>,
    strikes: u32,
    idle_frames: u32,
    counted_since: Option<Instant>,
}

impl Conduct {
    fn new(min_ping_interval: Duration) -> Self {
        let (last_ping, counted_since) = (None, None);
        Self { min_ping_interval, last_ping, strikes: 0, idle_frames: 0, counted_since }
    }

    /// A ping has come; `excused` when something was sent since the one before.
    /// Answers why the connection must end.
    fn ping(&mut self, excused: bool, now: Instant) -> Option<&'static str> {
        let early = self.last_ping.is_some_and(|last| now - last < self.min_ping_interval);
        self.last_ping = Some(now);
        if excused {
            self.strikes = 0;
        } else if early {
            self.strikes += 1;
        }
        (self.strikes > MAX_PING_STRIKES).then_some("too_many_pings")
    }

    /// A frame has come that does nothing for its sender.
    fn idle(&mut self, now: Instant) -> Option<&'static str> {
        if self.counted_since.is_none_or(|since| now - since >= WINDOW) {
            self.counted_since = Some(now);
            self.idle_frames = 0;
        }
        self.idle_frames += 1;
        (self.idle_frames > MAX_IDLE_FRAMES).then_some("too_many_control_frames")
    }
}

/// A connection that is watched.
#[derive(Debug)]
pub(super) struct Guard<S> {
    stream: S,
    read: Scanner,
    written: Scanner,
    conduct: Conduct,
    /// Whether a part of an answer was sent since the last ping.
    sent: bool,
    begun: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Guard<S> {
    pub(super) fn new(stream: S, min_ping_interval: Duration) -> Self {
        Self {
            stream,
            read: Scanner::after(PREFACE_BYTES),
            written: Scanner::after(0),
            conduct: Conduct::new(min_ping_interval),
            sent: false,
            begun: false,
        }
    }

    /// Looks at what has come; answers why the connection must end.
    fn watch(&mut self, bytes: &[u8]) -> Option<&'static str> {
        let Self { conduct, sent, .. } = self;
        let mut abuse = None;
        self.read.scan(bytes, |kind, flags| {
            let found = match kind {
                // h2 itself bounds resets, headers and their continuations, and
                // DATA that is empty or tiny.
                DATA | HEADERS | RST_STREAM | GOAWAY | WINDOW_UPDATE | CONTINUATION => None,
                PING if flags & ACK != 0 => None,
                PING => conduct.ping(std::mem::take(sent), Instant::now()),
                _ => conduct.idle(Instant::now()),
            };
            abuse = abuse.or(found);
        });
        abuse
    }

    /// Says why, if that is possible at once, and fails.
    fn end(&mut self, cx: &mut Context<'_>, why: &'static str) -> io::Error {
        if self.written.between_frames() {
            // Who abuses a connection may also not read what it is told.
            let _ = Pin::new(&mut self.stream).poll_write(cx, &goaway(why));
        }
        io::Error::new(io::ErrorKind::ConnectionAborted, why)
    }

    fn wrote(&mut self, slices: &[IoSlice<'_>], mut count: usize) {
        let Self { written, sent, .. } = self;
        for slice in slices {
            let part = &slice[..count.min(slice.len())];
            count -= part.len();
            written.scan(part, |kind, _| *sent |= matches!(kind, DATA | HEADERS));
        }
    }
}

/// A GOAWAY with no last stream: nothing is promised of any.
fn goaway(why: &str) -> Vec<u8> {
    let length = u8::try_from(8 + why.len()).expect("reasons are short");
    let mut frame = vec![0, 0, length, GOAWAY, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    frame.extend(ENHANCE_YOUR_CALM.to_be_bytes());
    frame.extend(why.as_bytes());
    frame
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Guard<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(cx, buffer);
        if matches!(read, Poll::Ready(Ok(())))
            && let Some(why) = this.watch(&buffer.filled()[before..])
        {
            return Poll::Ready(Err(this.end(cx, why)));
        }
        read
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Guard<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.begun = true;
        let wrote = Pin::new(&mut this.stream).poll_write(cx, bytes);
        if let Poll::Ready(Ok(count)) = wrote {
            this.wrote(&[IoSlice::new(bytes)], count);
        }
        wrote
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.begun = true;
        let wrote = Pin::new(&mut this.stream).poll_write_vectored(cx, slices);
        if let Poll::Ready(Ok(count)) = wrote {
            this.wrote(slices, count);
        }
        wrote
    }

    /// Denied until the first byte is written: h2 asks at its start, and puts
    /// messages under a kilobyte (else only those under 256 bytes) together with
    /// other frames when it thinks that each costs a write of its own. What is
    /// larger is then still written without a copy.
    fn is_write_vectored(&self) -> bool {
        self.begun && self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn frame(kind: u8, length: u8) -> Vec<u8> {
        let mut frame = vec![0, 0, length, kind, 0, 0, 0, 0, 1];
        frame.extend(std::iter::repeat_n(PING, length.into()));
        frame
    }

    #[test]
    fn frames_are_found_in_whatever_pieces_they_come() {
        let frames = [frame(HEADERS, 40), frame(DATA, 0), frame(PING, 8), frame(DATA, 255)];
        let bytes = [vec![PING; PREFACE_BYTES], frames.concat()].concat();
        for size in 1..=bytes.len() {
            let mut scanner = Scanner::after(PREFACE_BYTES);
            let mut kinds = Vec::new();
            for piece in bytes.chunks(size) {
                scanner.scan(piece, |kind, _| kinds.push(kind));
            }
            assert_eq!(kinds, [HEADERS, DATA, PING, DATA], "in pieces of {size}");
            assert!(scanner.between_frames());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn two_early_pings_are_forgiven_and_the_third_is_not() {
        let mut conduct = Conduct::new(MINUTE);
        let start = Instant::now();
        for (second, expected) in [
            (0, None),
            (60, None),
            (61, None),
            (62, None),
            (122, None),
            (123, Some("too_many_pings")),
        ] {
            let now = start + Duration::from_secs(second);
            assert_eq!(conduct.ping(false, now), expected, "at {second} s");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_ping_after_an_answer_is_no_strike_and_ends_the_count() {
        let mut conduct = Conduct::new(MINUTE);
        let now = Instant::now();
        for excused in [false, false, false, true, false, false, true] {
            assert_eq!(conduct.ping(excused, now), None);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn settings_are_counted_by_the_window() {
        let mut conduct = Conduct::new(MINUTE);
        let start = Instant::now();
        for window in 0..3 {
            for _ in 0..MAX_IDLE_FRAMES {
                assert_eq!(conduct.idle(start + window * WINDOW), None);
            }
        }
        assert!(conduct.idle(start + 2 * WINDOW).is_some());
    }
}
