//! Messages that go out: who asks for which of them to be packed, and the body
//! that does it.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use http_body::Frame;
use tonic::{Status, body::Body};

use super::{
    ENCODING, Encoding,
    frames::{Frames, PREFIX, framed},
};

type Choice = Arc<dyn Fn(usize) -> bool + Send + Sync>;

/// Asks for messages to be packed; stands in the extensions of a
/// [`tonic::Request`] or a [`tonic::Response`].
///
/// A request is packed with gzip unless told otherwise. A response is packed with
/// the best encoding that its caller accepts, and not at all when there is none. A
/// message that would not get smaller goes as it is.
///
/// ```
/// use mesh::compression::{Encoding, Pack};
///
/// let mut request = tonic::Request::new(());
/// request.extensions_mut().insert(Pack::all().with(Encoding::Zstd));
/// ```
#[derive(Clone, Default)]
pub struct Pack {
    encoding: Option<Encoding>,
    only: Option<Choice>,
}

impl Pack {
    /// Every message.
    #[must_use]
    pub fn all() -> Self {
        Self::default()
    }

    /// With this encoding and no other.
    #[must_use]
    pub fn with(self, encoding: Encoding) -> Self {
        Self { encoding: Some(encoding), ..self }
    }

    /// Only the messages whose number, from 0 on, is chosen.
    #[must_use]
    pub fn only(self, chosen: impl Fn(usize) -> bool + Send + Sync + 'static) -> Self {
        Self { only: Some(Arc::new(chosen)), ..self }
    }
}

impl fmt::Debug for Pack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pack").field("encoding", &self.encoding).finish_non_exhaustive()
    }
}

/// A request's body as its caller asks for it.
pub(crate) fn pack_request(
    headers: &mut HeaderMap,
    extensions: &mut http::Extensions,
    body: Body,
) -> Body {
    let Some(pack) = extensions.remove::<Pack>() else { return body };
    let encoding = pack.encoding.unwrap_or(Encoding::Gzip);
    packed(headers, body, Packer::new(encoding, Chosen::By(pack)))
}

/// A response's body as its handler asks for it or, for messages of `compress_from`
/// bytes and more, the operator; as far as the `accepted` encodings allow.
pub(crate) fn pack_response(
    head: &mut http::response::Parts,
    body: Body,
    accepted: &Accepted,
    compress_from: Option<usize>,
) -> Body {
    let chosen = match (head.extensions.remove::<Pack>(), compress_from) {
        (Some(pack), _) => Chosen::By(pack),
        (None, Some(bytes)) => Chosen::From(bytes),
        (None, None) => return body,
    };
    let wanted = match &chosen {
        Chosen::By(Pack { encoding, .. }) => *encoding,
        Chosen::From(_) => None,
    };
    match accepted.best(wanted) {
        // A handler that has packed by itself has said so.
        Some(encoding) if !head.headers.contains_key(ENCODING) => {
            packed(&mut head.headers, body, Packer::new(encoding, chosen))
        }
        _ => body,
    }
}

fn packed(headers: &mut HeaderMap, body: Body, packer: Packer) -> Body {
    headers.insert(ENCODING, packer.encoding.header());
    Body::new(Packed { body, packer })
}

/// What a caller unpacks; read only when something is to be packed.
#[derive(Debug)]
pub(crate) struct Accepted(Option<HeaderValue>);

impl Accepted {
    /// By the header `grpc-accept-encoding`.
    pub(crate) fn by(header: Option<&HeaderValue>) -> Self {
        Self(header.cloned())
    }

    pub(crate) fn best(&self, wanted: Option<Encoding>) -> Option<Encoding> {
        let names = self.0.as_ref()?.as_bytes().split(|byte| *byte == b',');
        let accepted: Vec<Encoding> =
            names.filter_map(|name| Encoding::named(name.trim_ascii())).collect();
        let possible = [Encoding::Zstd, Encoding::Gzip].into_iter();
        possible
            .filter(|encoding| wanted.is_none_or(|wanted| wanted == *encoding))
            .find(|encoding| accepted.contains(encoding))
    }
}

/// Which messages are packed.
enum Chosen {
    By(Pack),
    From(usize),
}

struct Packer {
    encoding: Encoding,
    chosen: Chosen,
    frames: Frames,
    /// Messages so far.
    count: usize,
}

impl Packer {
    fn new(encoding: Encoding, chosen: Chosen) -> Self {
        Self { encoding, chosen, frames: Frames::default(), count: 0 }
    }

    fn push(&mut self, chunk: Bytes) -> Result<Option<Bytes>, Status> {
        let Self { encoding, chosen, frames, count } = self;
        frames.map(chunk, u32::MAX as usize, |frame| {
            let number = *count;
            *count += 1;
            let message = &frame[PREFIX..];
            let asked = match chosen {
                Chosen::By(pack) => pack.only.as_ref().is_none_or(|only| only(number)),
                Chosen::From(bytes) => message.len() >= *bytes,
            };
            if !asked || frame[0] != 0 {
                return Ok(frame);
            }
            // A failure to pack is no failure of the call.
            let packed = encoding.pack(message).ok().filter(|packed| packed.len() < message.len());
            Ok(packed.map_or_else(|| frame.clone(), |packed| framed(true, &packed)))
        })
    }
}

struct Packed {
    body: Body,
    packer: Packer,
}

impl http_body::Body for Packed {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        loop {
            let frame = match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) if frame.is_data() => frame.into_data().unwrap_or_default(),
                _ if !self.packer.frames.complete() => {
                    let cut = Status::internal("the body ends within a message");
                    return Poll::Ready(Some(Err(cut)));
                }
                ended => return Poll::Ready(ended),
            };
            if let Some(packed) = self.packer.push(frame)? {
                return Poll::Ready(Some(Ok(Frame::data(packed))));
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt as _, Full};

    use super::*;

    fn accepted(value: &'static str) -> Accepted {
        let value = HeaderValue::from_static(value);
        Accepted::by(Some(&value))
    }

    /// Flags of three messages of 100, 10 and 100 bytes, and the encoding's name.
    fn sent(pack: Option<Pack>, accept: &'static str, from: Option<usize>) -> (Vec<u8>, String) {
        let messages = [100, 10, 100].map(|size| framed(false, &vec![b'x'; size]));
        let body = Body::new(Full::new(Bytes::from(messages.concat())));
        let (mut head, ()) = http::Response::new(()).into_parts();
        if let Some(pack) = pack {
            head.extensions.insert(pack);
        }
        let body = pack_response(&mut head, body, &accepted(accept), from);
        let collected = futures_util::FutureExt::now_or_never(body.collect()).unwrap();
        let mut bytes = &*collected.unwrap().to_bytes();
        let mut flags = Vec::new();
        while let Some((prefix, rest)) = bytes.split_first_chunk::<PREFIX>() {
            flags.push(prefix[0]);
            let length = u32::from_be_bytes(prefix[1..].try_into().unwrap());
            bytes = &rest[length as usize..];
        }
        let named = head.headers.get(ENCODING).map(|value| value.to_str().unwrap().to_owned());
        (flags, named.unwrap_or_default())
    }

    #[test]
    fn a_response_is_packed_as_its_handler_asks_and_its_caller_accepts() {
        let all = Some(Pack::all());
        let gzip = Some(Pack::all().with(Encoding::Gzip));
        let first = Some(Pack::all().only(|number| number == 0));
        for (pack, accept, from, flags, encoding) in [
            (None, "gzip", None, [0, 0, 0], ""),
            (all.clone(), "identity", None, [0, 0, 0], ""),
            // Ten bytes do not get smaller.
            (all.clone(), "identity,gzip", None, [1, 0, 1], "gzip"),
            (all, "gzip,zstd", None, [1, 0, 1], "zstd"),
            (gzip.clone(), "gzip,zstd", None, [1, 0, 1], "gzip"),
            (gzip, "zstd", None, [0, 0, 0], ""),
            (first.clone(), "gzip", None, [1, 0, 0], "gzip"),
            (Some(Pack::all()), " identity , zstd ", None, [1, 0, 1], "zstd"),
            (Some(Pack::all()), "gzipped", None, [0, 0, 0], ""),
            // The handler knows better than the operator.
            (first, "gzip", Some(0), [1, 0, 0], "gzip"),
            (None, "gzip", Some(100), [1, 0, 1], "gzip"),
            (None, "gzip", Some(101), [0, 0, 0], "gzip"),
            (None, "identity", Some(100), [0, 0, 0], ""),
        ] {
            let case = format!("{pack:?} {accept} {from:?}");
            assert_eq!(sent(pack, accept, from), (flags.to_vec(), encoding.to_owned()), "{case}");
        }
    }
}
