//! Compression of messages, one by one: which encodings there are, who asks for
//! them, and what they bound ("Compression" of the gRPC specification).
//!
//! A server always unpacks what it knows, and so does a channel, which says so in
//! `grpc-accept-encoding`; a caller that sets this header itself unpacks itself.
//! Nothing is packed unless somebody asks: a caller or a handler with a [`Pack`],
//! an operator with the setting `compress_from`. Within a machine or a rack, bytes
//! cost less than the time it takes to pack them.

mod frames;
mod pack;
mod unpack;

use std::io::{self, Read, Write as _};

use http::{HeaderMap, HeaderName, HeaderValue, header::Entry};
use tonic::{Code, Status};

pub use self::pack::Pack;
pub(crate) use self::{
    pack::{Accepted, pack_request, pack_response},
    unpack::Unpacker,
};
use crate::status;

pub(crate) const ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
pub(crate) const ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");
/// What both sides of the mesh unpack, best first.
pub(crate) const ACCEPTED: HeaderValue = HeaderValue::from_static("zstd,gzip,identity");

/// A message is waited for while it is packed, so the quickest level of each.
const ZSTD_LEVEL: i32 = 1;
/// Largest window that a peer may make us allocate, 8 MiB: what RFC 8878 (3.1.1.1.2)
/// recommends to support, and twice the largest message by default.
const ZSTD_WINDOW_LOG: u32 = 23;

/// How messages are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// RFC 1952; every implementation of gRPC knows it.
    Gzip,
    /// RFC 8878; packs better in less time, but not everybody knows it.
    Zstd,
}

impl Encoding {
    fn named(name: &[u8]) -> Option<Self> {
        match name {
            b"gzip" => Some(Self::Gzip),
            b"zstd" => Some(Self::Zstd),
            _ => None,
        }
    }

    fn header(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        })
    }

    fn pack(self, message: &[u8]) -> io::Result<Vec<u8>> {
        match self {
            Self::Gzip => {
                let level = flate2::Compression::fast();
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
                encoder.write_all(message)?;
                encoder.finish()
            }
            Self::Zstd => zstd::bulk::compress(message, ZSTD_LEVEL),
        }
    }

    /// At most `limit` bytes, and one more when there would be more.
    fn unpack(self, packed: &[u8], limit: usize) -> io::Result<Vec<u8>> {
        let limit = limit as u64 + 1;
        let mut message = Vec::new();
        match self {
            Self::Gzip => {
                flate2::read::GzDecoder::new(packed).take(limit).read_to_end(&mut message)?;
            }
            Self::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(packed)?;
                decoder.window_log_max(ZSTD_WINDOW_LOG)?;
                decoder.take(limit).read_to_end(&mut message)?;
            }
        }
        Ok(message)
    }
}

/// Offers to unpack the answers to a request; whether the mesh does, since a
/// caller that makes an offer of its own unpacks itself.
pub(crate) fn accept(headers: &mut HeaderMap) -> bool {
    match headers.entry(ACCEPT_ENCODING) {
        Entry::Occupied(_) => false,
        Entry::Vacant(vacant) => {
            vacant.insert(ACCEPTED);
            true
        }
    }
}

/// How the messages after these headers are packed.
///
/// # Errors
/// UNIMPLEMENTED, with what is known, for an encoding that is not.
pub(crate) fn encoding(headers: &HeaderMap) -> Result<Option<Encoding>, Status> {
    read(headers.get(&ENCODING))
}

/// The same by the header itself.
pub(crate) fn read(header: Option<&HeaderValue>) -> Result<Option<Encoding>, Status> {
    let name = match header.map(HeaderValue::as_bytes) {
        None | Some(b"identity") => return Ok(None),
        Some(name) => name,
    };
    Encoding::named(name).map(Some).ok_or_else(|| {
        let name = String::from_utf8_lossy(name);
        let message = format!("compression `{name}` is not supported; zstd and gzip are");
        let mut status = status::refuse(Code::Unimplemented, "UNKNOWN_COMPRESSION", message);
        let accepted = ACCEPTED.to_str().expect("it is written above").parse();
        let accepted = accepted.expect("it is an ASCII text");
        status.metadata_mut().insert("grpc-accept-encoding", accepted);
        status
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_packed_comes_back() {
        let message: Vec<u8> = (0..100_000_u32).map(|n| (n / 100 % 251) as u8).collect();
        for encoding in [Encoding::Gzip, Encoding::Zstd] {
            let packed = encoding.pack(&message).unwrap();
            assert!(packed.len() < message.len() / 10, "{encoding:?}");
            assert_eq!(encoding.unpack(&packed, message.len()).unwrap(), message, "{encoding:?}");
        }
    }

    #[test]
    fn a_message_that_would_fill_the_memory_is_not_unpacked_to_its_end() {
        for encoding in [Encoding::Gzip, Encoding::Zstd] {
            let packed = encoding.pack(&vec![0; 10 << 20]).unwrap();
            assert_eq!(encoding.unpack(&packed, 1_000).unwrap().len(), 1_001, "{encoding:?}");
        }
    }

    #[test]
    fn a_peer_cannot_make_us_allocate_a_window_of_its_choice() {
        let mut encoder = zstd::stream::Encoder::new(Vec::new(), ZSTD_LEVEL).unwrap();
        encoder.window_log(27).unwrap();
        encoder.write_all(&[0; 100]).unwrap();
        let packed = encoder.finish().unwrap();
        Encoding::Zstd.unpack(&packed, 1_000).unwrap_err();
    }

    #[test]
    fn an_unknown_encoding_is_refused_with_the_known_ones() {
        let headers = HeaderMap::from_iter([(ENCODING, HeaderValue::from_static("br"))]);
        let status = encoding(&headers).unwrap_err();
        assert_eq!(status.code(), Code::Unimplemented);
        assert_eq!(status.metadata().get("grpc-accept-encoding").unwrap(), "zstd,gzip,identity");
    }
}
