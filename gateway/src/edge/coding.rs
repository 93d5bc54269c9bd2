//! Content codings of REST bodies (RFC 9110 §8.4): gzip and zstd, both ways.
//! gRPC packs its own messages, and raw bodies are their service's business.

use std::io::{Read as _, Write as _};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use tonic::Code;

use crate::error::Failure;

/// Smaller answers fit into one packet with their headers: packing them saves
/// nothing and costs time.
const PACK_FROM: usize = 1 << 10;
/// Larger bodies take milliseconds, in which a worker's other requests would
/// wait; they are packed elsewhere.
const INLINE_UP_TO: usize = 128 << 10;
/// Half of what better levels cost, and nearly as small for JSON.
const GZIP_LEVEL: flate2::Compression = flate2::Compression::new(4);
const ZSTD_LEVEL: i32 = 1;
/// A frame that asks its reader for more memory than this is refused (RFC 9659
/// asks it of HTTP).
const ZSTD_WINDOW_LOG: u32 = 23;
/// What a request's body may be packed with.
const TAKEN: HeaderValue = HeaderValue::from_static("gzip, zstd");

/// How a body is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    Gzip,
    Zstd,
}

impl Coding {
    fn parse(name: &str) -> Option<Coding> {
        if name.eq_ignore_ascii_case("zstd") {
            Some(Coding::Zstd)
        } else if name.eq_ignore_ascii_case("gzip") || name.eq_ignore_ascii_case("x-gzip") {
            Some(Coding::Gzip)
        } else {
            None
        }
    }

    fn name(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Coding::Gzip => "gzip",
            Coding::Zstd => "zstd",
        })
    }

    fn pack(self, body: &[u8]) -> std::io::Result<Vec<u8>> {
        match self {
            Coding::Gzip => {
                let room = Vec::with_capacity(body.len() / 4);
                let mut encoder = flate2::write::GzEncoder::new(room, GZIP_LEVEL);
                encoder.write_all(body)?;
                encoder.finish()
            }
            Coding::Zstd => zstd::bulk::compress(body, ZSTD_LEVEL),
        }
    }

    /// At most one byte more than `limit`, so that more can be told from enough.
    fn unpack(self, body: &[u8], limit: usize) -> std::io::Result<Vec<u8>> {
        let limit = limit as u64 + 1;
        let mut unpacked = Vec::new();
        match self {
            Coding::Gzip => {
                flate2::read::MultiGzDecoder::new(body).take(limit).read_to_end(&mut unpacked)?
            }
            Coding::Zstd => {
                let mut decoder = zstd::Decoder::with_buffer(body)?;
                decoder.window_log_max(ZSTD_WINDOW_LOG)?;
                decoder.take(limit).read_to_end(&mut unpacked)?
            }
        };
        Ok(unpacked)
    }
}

/// What the client takes that the edge has: the one with the higher weight, zstd
/// when they are equal.
pub(super) fn accepted(headers: &HeaderMap) -> Option<Coding> {
    let mut weights: [Option<u16>; 2] = [None; 2];
    let mut others = None;
    for value in headers.get_all(header::ACCEPT_ENCODING) {
        for item in value.to_str().ok()?.split(',') {
            let (name, weight) = weighted(item);
            match Coding::parse(name) {
                Some(Coding::Gzip) => weights[0] = Some(weight),
                Some(Coding::Zstd) => weights[1] = Some(weight),
                None if name == "*" => others = Some(weight),
                None => {}
            }
        }
    }
    let [gzip, zstd] = weights.map(|weight| weight.or(others).unwrap_or(0));
    match (gzip, zstd) {
        (0, 0) => None,
        _ if zstd >= gzip => Some(Coding::Zstd),
        _ => Some(Coding::Gzip),
    }
}

/// A name and its weight in thousandths; a weight that is none counts as zero.
fn weighted(item: &str) -> (&str, u16) {
    let (name, parameter) = item.split_once(';').unwrap_or((item, ""));
    let parameter = parameter.trim();
    let weight = match parameter.strip_prefix("q=").or_else(|| parameter.strip_prefix("Q=")) {
        None => 1_000,
        Some(text) => match text.trim().parse::<f32>() {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "0 to 1000"
            )]
            Ok(weight) if (0.0..=1.0).contains(&weight) => (weight * 1_000.0) as u16,
            _ => 0,
        },
    };
    (name.trim(), weight)
}

/// Said of every answer that could have come packed, packed or not: a cache must
/// not give one client what another asked for.
pub(super) const VARY: HeaderValue = HeaderValue::from_static("accept-encoding");

/// Packs an answer when it is worth it; tells whether it was.
pub(super) async fn pack(body: Bytes, coding: Coding, headers: &mut HeaderMap) -> (Bytes, bool) {
    if body.len() < PACK_FROM {
        return (body, false);
    }
    let packed = if body.len() <= INLINE_UP_TO {
        coding.pack(&body)
    } else {
        let body = body.clone();
        let packing = tokio::task::spawn_blocking(move || coding.pack(&body));
        packing.await.unwrap_or_else(|error| Err(std::io::Error::other(error)))
    };
    match packed {
        Ok(packed) if packed.len() < body.len() => {
            headers.insert(header::CONTENT_ENCODING, coding.name());
            (packed.into(), true)
        }
        // It is sent as it is.
        _ => (body, false),
    }
}

/// A request's body without its coding.
///
/// # Errors
/// A coding that the edge does not have, a body that is not what it says, and one
/// that grows beyond `limit`.
pub(super) fn unpack(body: Bytes, headers: &HeaderMap, limit: usize) -> Result<Bytes, Failure> {
    let mut body = body;
    for coding in codings(headers)?.into_iter().rev() {
        let unpacked = coding.unpack(&body, limit).map_err(|_| {
            let message = "the body is not packed as `content-encoding` says";
            Failure::new(Code::InvalidArgument, "MALFORMED_CONTENT_ENCODING", message)
        })?;
        if unpacked.len() > limit {
            return Err(super::rest::body::too_large(limit));
        }
        body = unpacked.into();
    }
    Ok(body)
}

/// Codings in the order in which they were applied. Two at most: nobody needs
/// more, and each is work.
fn codings(headers: &HeaderMap) -> Result<Vec<Coding>, Failure> {
    let mut codings = Vec::new();
    for value in headers.get_all(header::CONTENT_ENCODING) {
        let names = value.to_str().map_err(|_| unknown())?.split(',').map(str::trim);
        for name in names.filter(|name| !name.is_empty() && !name.eq_ignore_ascii_case("identity"))
        {
            codings.push(Coding::parse(name).ok_or_else(unknown)?);
        }
    }
    if codings.len() > 2 { Err(unknown()) } else { Ok(codings) }
}

/// A body that goes on as it comes is not unpacked: it has no limit that would
/// bound what comes out.
pub(super) fn refuse_coded(headers: &HeaderMap) -> Result<(), Failure> {
    if codings(headers)?.is_empty() {
        return Ok(());
    }
    let message = "this body is streamed, and taken without a `content-encoding` only";
    Err(Failure::new(Code::InvalidArgument, "UNSUPPORTED_CONTENT_ENCODING", message)
        .with_http(StatusCode::UNSUPPORTED_MEDIA_TYPE)
        .with_header(header::ACCEPT_ENCODING, HeaderValue::from_static("identity")))
}

/// 415, with what would have been taken (RFC 9110 §12.5.3).
fn unknown() -> Failure {
    let message = "the body's `content-encoding` is not one of gzip and zstd";
    Failure::new(Code::InvalidArgument, "UNSUPPORTED_CONTENT_ENCODING", message)
        .with_http(StatusCode::UNSUPPORTED_MEDIA_TYPE)
        .with_header(header::ACCEPT_ENCODING, TAKEN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: header::HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, value.parse().unwrap())])
    }

    #[test]
    fn the_client_says_what_it_takes() {
        let taken = |value| accepted(&with(header::ACCEPT_ENCODING, value));
        assert_eq!(accepted(&HeaderMap::new()), None);
        for (value, coding) in [
            ("gzip", Some(Coding::Gzip)),
            ("gzip, deflate, br, zstd", Some(Coding::Zstd)),
            ("GZIP;q=0.5 , zstd;q=0.4", Some(Coding::Gzip)),
            ("zstd;q=0, gzip;q=0.001", Some(Coding::Gzip)),
            ("*", Some(Coding::Zstd)),
            ("*;q=0.1, zstd;q=0", Some(Coding::Gzip)),
            ("identity, br", None),
            ("gzip;q=0", None),
            ("gzip;q=2", None),
            ("gzip;q=x", None),
            ("", None),
        ] {
            assert_eq!(taken(value), coding, "{value}");
        }
    }

    #[tokio::test]
    async fn what_is_packed_is_unpacked_the_same() {
        let body = Bytes::from(r#"{"title": "A bridge"}"#.repeat(20_000));
        for (coding, name) in [(Coding::Gzip, "gzip"), (Coding::Zstd, "zstd")] {
            let mut headers = HeaderMap::new();
            let (packed, done) = pack(body.clone(), coding, &mut headers).await;
            assert!(done && packed.len() < body.len() / 10);
            assert_eq!(headers[header::CONTENT_ENCODING], name);
            assert_eq!(unpack(packed, &headers, body.len()).unwrap(), body);
        }
    }

    #[tokio::test]
    async fn what_is_small_or_does_not_shrink_goes_as_it_is() {
        let noise: Vec<u8> = std::iter::repeat_with(|| fastrand::u8(..)).take(4_096).collect();
        for body in [vec![b'a'; PACK_FROM - 1], noise] {
            let mut headers = HeaderMap::new();
            let (sent, packed) = pack(body.clone().into(), Coding::Gzip, &mut headers).await;
            assert_eq!((sent.as_ref(), packed), (body.as_slice(), false));
            assert!(headers.is_empty());
        }
    }

    #[test]
    fn a_body_that_grows_beyond_the_limit_is_refused_before_it_is_held() {
        for coding in [Coding::Gzip, Coding::Zstd] {
            let bomb = coding.pack(&vec![0; 64 << 20]).unwrap();
            assert!(bomb.len() < 100 << 10);
            let headers = HeaderMap::from_iter([(header::CONTENT_ENCODING, coding.name())]);
            let refused = unpack(bomb.into(), &headers, 1 << 20).unwrap_err();
            assert_eq!(refused.code(), Code::ResourceExhausted);
        }
    }

    #[test]
    fn a_coding_that_is_unknown_or_a_lie_is_refused() {
        let tried = |value| {
            let headers = with(header::CONTENT_ENCODING, value);
            unpack(Bytes::from_static(b"{}"), &headers, 100).map_err(|failure| failure.code())
        };
        for value in ["identity", "", "Identity"] {
            assert_eq!(tried(value), Ok(Bytes::from_static(b"{}")), "{value}");
        }
        for value in ["br", "gzip", "zstd", "gzip, br", "gzip, gzip, gzip"] {
            assert_eq!(tried(value), Err(Code::InvalidArgument), "{value}");
        }
    }
}
