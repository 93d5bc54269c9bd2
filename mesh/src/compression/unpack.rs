//! Messages that come in: put together, bounded, unpacked.

use std::fmt;

use bytes::Bytes;
use tonic::{Code, Status};

use super::{
    Encoding,
    frames::{Frames, PREFIX, framed, too_large},
};
use crate::status;

/// Is told of each message, in order, whether it came packed.
type Watch = Box<dyn FnMut(bool) + Send + Sync>;

/// The messages of one body as they come.
pub(crate) struct Unpacker {
    encoding: Option<Encoding>,
    /// Counts what comes out, or a small message could fill the memory.
    max_message: usize,
    frames: Frames,
    watch: Option<Watch>,
    /// Who is wrong about a malformed message, by code and reason.
    blame: (Code, &'static str),
}

impl Unpacker {
    /// A caller that sends nonsense must change its request.
    pub(crate) fn of_request(encoding: Option<Encoding>, max_message: usize) -> Self {
        let blame = (Code::InvalidArgument, "MALFORMED_REQUEST");
        Self { encoding, max_message, frames: Frames::default(), watch: None, blame }
    }

    /// A server that sends nonsense is broken.
    pub(crate) fn of_response(encoding: Option<Encoding>, max_message: usize) -> Self {
        let blame = (Code::Internal, "MALFORMED_RESPONSE");
        Self { encoding, max_message, frames: Frames::default(), watch: None, blame }
    }

    pub(crate) fn watch(&mut self, watch: Watch) {
        self.watch = Some(watch);
    }

    /// The messages that a chunk completes, unpacked and checked; `None` when more
    /// must come.
    pub(crate) fn push(
        &mut self,
        chunk: Bytes,
        check: impl Fn(&[u8]) -> Result<(), Status>,
    ) -> Result<Option<Bytes>, Status> {
        let Self { encoding, max_message, frames, watch, blame } = self;
        frames.map(chunk, *max_message, |frame| {
            let frame = unpack(frame, *encoding, *max_message)
                .map_err(|fault| fault.blamed_on(*blame, *max_message))?;
            if let Some(watch) = watch {
                watch(frame.packed);
            }
            check(&frame.bytes[PREFIX..])?;
            Ok(frame.bytes)
        })
    }

    /// Whether no message is waiting for its end.
    pub(crate) fn complete(&self) -> bool {
        self.frames.complete()
    }

    /// The body has ended within a message.
    pub(crate) fn truncated(&self) -> Status {
        status::refuse(self.blame.0, self.blame.1, "the body ends within a message")
    }
}

struct Unpacked {
    /// With its prefix.
    bytes: Bytes,
    packed: bool,
}

enum Fault {
    TooLarge,
    Malformed(String),
}

impl Fault {
    fn blamed_on(self, (code, reason): (Code, &'static str), max: usize) -> Status {
        match self {
            Self::TooLarge => too_large(max),
            Self::Malformed(message) => status::refuse(code, reason, message),
        }
    }
}

fn unpack(frame: Bytes, encoding: Option<Encoding>, max: usize) -> Result<Unpacked, Fault> {
    match frame[0] {
        0 => return Ok(Unpacked { bytes: frame, packed: false }),
        1 => {}
        flag => return Err(Fault::Malformed(format!("message flag {flag} is unknown"))),
    }
    let nameless = "a message is compressed, but grpc-encoding names nothing";
    let encoding = encoding.ok_or_else(|| Fault::Malformed(nameless.to_owned()))?;
    let message = encoding
        .unpack(&frame[PREFIX..], max)
        .map_err(|error| Fault::Malformed(format!("a message does not decompress: {error}")))?;
    if message.len() > max {
        return Err(Fault::TooLarge);
    }
    Ok(Unpacked { bytes: framed(false, &message), packed: true })
}

impl fmt::Debug for Unpacker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unpacker").field("encoding", &self.encoding).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(unpacker: &mut Unpacker, chunk: &[u8]) -> Result<Option<Bytes>, Code> {
        let pushed = unpacker.push(Bytes::copy_from_slice(chunk), |_| Ok(()));
        pushed.map_err(|status| status.code())
    }

    #[test]
    fn messages_are_put_together_from_any_pieces() {
        let message = b"hello, hello, hello, hello, hello";
        let packed = Encoding::Zstd.pack(message).unwrap();
        let bytes = [framed(true, &packed), framed(false, b""), framed(true, &packed)].concat();
        let expected =
            [framed(false, message), framed(false, b""), framed(false, message)].concat();
        for size in 1..=bytes.len() {
            let mut unpacker = Unpacker::of_request(Some(Encoding::Zstd), 100);
            let mut got = Vec::new();
            for chunk in bytes.chunks(size) {
                got.extend(push(&mut unpacker, chunk).unwrap().unwrap_or_default());
            }
            assert_eq!(got, expected, "in pieces of {size}");
            assert!(unpacker.complete());
        }
    }

    #[test]
    fn each_side_is_blamed_for_its_own_nonsense() {
        let nonsense =
            [framed(true, b"no gzip").to_vec(), [&[2], &framed(false, b"")[1..]].concat()];
        for chunk in nonsense {
            let mut request = Unpacker::of_request(Some(Encoding::Gzip), 100);
            assert_eq!(push(&mut request, &chunk), Err(Code::InvalidArgument));
            let mut response = Unpacker::of_response(Some(Encoding::Gzip), 100);
            assert_eq!(push(&mut response, &chunk), Err(Code::Internal));
        }
        let mut nameless = Unpacker::of_response(None, 100);
        assert_eq!(push(&mut nameless, &framed(true, b"x")), Err(Code::Internal));
    }

    #[test]
    fn the_limit_counts_what_comes_out() {
        let packed = Encoding::Gzip.pack(&[0; 101]).unwrap();
        let mut unpacker = Unpacker::of_response(Some(Encoding::Gzip), 100);
        assert_eq!(push(&mut unpacker, &framed(true, &packed)), Err(Code::ResourceExhausted));
    }
}
