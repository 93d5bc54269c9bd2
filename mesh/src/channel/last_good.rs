//! A channel that keeps answers, so that the last good one is given when the
//! service cannot answer: [`fallback`](crate::fallback). Only calls that do nothing
//! but read, with one message each way; all others pass by.
//!
//! The whole answer is read before it is handed on, since a call may fail with its
//! last trailer.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, atomic::Ordering::Relaxed},
    task::{Context, Poll},
};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Request, Response, header, request};
use http_body::{Body as _, Frame};
use http_body_util::{BodyExt as _, Full, StreamBody};
use ring::digest;
use tokio::time::Instant;
use tonic::{Code, Status, body::Body};

use super::{
    Channel,
    response::{ResponseBody, code_of},
};
use crate::{
    call,
    contract::Idempotency,
    deadline,
    fallback::{
        self, AGE, FALLBACK, LAST_GOOD, LastGood,
        kept::{Answer, Kept, Key},
    },
    trace,
};

/// See [`Channel::with_last_good`]. Clones share what is kept.
#[derive(Clone, Debug)]
pub struct LastGoodChannel {
    channel: Channel,
    kept: Arc<Kept>,
}

impl Channel {
    /// A channel whose calls that only read are answered by the last good answer
    /// when they fail as UNAVAILABLE, DEADLINE_EXCEEDED or RESOURCE_EXHAUSTED. That
    /// answer was given to the same request: path, message, `authorization` and the
    /// caller's own metadata. It has metadata
    /// [`titan-fallback: last-good`](crate::fallback::LAST_GOOD) and
    /// [`titan-fallback-age`](crate::fallback::AGE), in seconds.
    ///
    /// Only methods with one message each way whose contract says NO_SIDE_EFFECTS;
    /// others are called as ever. Who lost a right since an answer was given still
    /// gets it until it is too old.
    #[must_use]
    pub fn with_last_good(&self, config: LastGood) -> LastGoodChannel {
        LastGoodChannel { channel: self.clone(), kept: Arc::new(Kept::new(config)) }
    }

    /// Whether the method at a path only reads, with one message each way.
    fn reads(&self, path: &str) -> bool {
        let contracts = self.shared.common.contracts.load();
        contracts.method(path).is_some_and(|method| {
            method.idempotency == Idempotency::NoSideEffects
                && !method.client_streaming
                && !method.server_streaming
        })
    }
}

type Answered = Pin<Box<dyn Future<Output = Result<Response<Body>, Status>> + Send>>;

impl tower::Service<Request<Body>> for LastGoodChannel {
    type Response = Response<Body>;
    type Error = Status;
    type Future = Answered;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Status>> {
        self.channel.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Answered {
        let mut channel = self.channel.clone();
        if !channel.reads(request.uri().path()) {
            let call = channel.call(request);
            return Box::pin(async move { Ok(call.await?.map(Body::new)) });
        }
        Box::pin(make(channel, self.kept.clone(), request))
    }
}

async fn make(
    mut channel: Channel,
    kept: Arc<Kept>,
    request: Request<Body>,
) -> Result<Response<Body>, Status> {
    let (head, body) = request.into_parts();
    let message = body.collect().await?.to_bytes();
    let key = key_of(&head, &message, &channel);
    let request = Request::from_parts(head, Body::new(Full::new(message)));
    let most = channel.shared.common.max_message_bytes;
    let made = tower::Service::call(&mut channel, request).await;
    let read = match made {
        Ok(response) => Read::all(response, most).await,
        Err(status) => Read::Broken(status),
    };
    let now = Instant::now();
    let (code, failed) = match read {
        Read::Whole(Code::Ok, answer) => {
            // What is itself a fallback further down is not good.
            if !answer.headers.contains_key(FALLBACK) {
                kept.put(key, Answer::clone(&answer), now);
            }
            return Ok(response(*answer));
        }
        Read::Whole(code, answer) => (code, Ok(response(*answer))),
        Read::Broken(status) => (status.code(), Err(status)),
    };
    let last = fallback::answers(code).then(|| kept.get(&key, now)).flatten();
    let Some((mut answer, at)) = last else { return failed };
    channel.shared.destination.last_good.fetch_add(1, Relaxed);
    let age = now.saturating_duration_since(at).as_secs();
    answer.headers.insert(FALLBACK, HeaderValue::from_static(LAST_GOOD));
    answer.headers.insert(AGE, HeaderValue::from(age));
    Ok(response(answer))
}

/// Who asks for what: path, message, the token that is sent, and all metadata of
/// the caller's own, since an answer may depend on it. Every part is preceded by
/// its length, so that no two requests read the same.
fn key_of(head: &request::Parts, message: &[u8], channel: &Channel) -> Key {
    let mut hash = digest::Context::new(&digest::SHA256);
    let mut add = |part: &[u8]| {
        hash.update(&(part.len() as u64).to_be_bytes());
        hash.update(part);
    };
    add(head.uri.path().as_bytes());
    add(message);
    add(&[u8::from(channel.carried.outsider)]);
    let handled = call::current();
    let inherited = handled.as_ref().and_then(|call| call.authorization.as_ref());
    let own = head.headers.get(header::AUTHORIZATION);
    let token = own.or(channel.carried.authorization.as_ref()).or(inherited);
    add(token.map_or(b"", |token| token.as_bytes()));
    // Another order of the same metadata is another key: nothing wrong is given.
    for (name, value) in &head.headers {
        // Different in every call, and nothing that an answer depends on.
        let passing = [deadline::HEADER, trace::TRACEPARENT, trace::TRACESTATE];
        if !passing.iter().any(|passing| name == *passing) {
            add(name.as_str().as_bytes());
            add(value.as_bytes());
        }
    }
    hash.finish().as_ref().try_into().expect("SHA-256 has 32 bytes")
}

/// An answer that was read to its end.
enum Read {
    Whole(Code, Box<Answer>),
    Broken(Status),
}

impl Read {
    /// At most so many bytes: no message may be larger.
    async fn all(response: Response<ResponseBody>, most: usize) -> Self {
        let (parts, mut body) = response.into_parts();
        let (mut message, mut trailers) = (BytesMut::new(), HeaderMap::new());
        loop {
            let next = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await;
            match next.map(|next| next.map(Frame::into_data)) {
                None => break,
                Some(Ok(Ok(data))) => message.extend_from_slice(&data),
                Some(Ok(Err(frame))) => trailers = frame.into_trailers().unwrap_or_default(),
                Some(Err(status)) => return Self::Broken(status),
            }
            if message.len() > most.saturating_add(PREFIX_BYTES) {
                let limit = format!("the answer is larger than {most} bytes");
                return Self::Broken(Status::out_of_range(limit));
            }
        }
        let told = code_of(&trailers).or_else(|| code_of(&parts.headers));
        let code = match told.unwrap_or(Code::Unknown) {
            Code::Ok if parts.status != http::StatusCode::OK => Code::Unknown,
            code => code,
        };
        Self::Whole(code, Box::new(Answer::copied(&parts.headers, &message, &trailers)))
    }
}

/// Flag and length in front of a message.
const PREFIX_BYTES: usize = 5;

fn response(answer: Answer) -> Response<Body> {
    let Answer { headers, message, trailers } = answer;
    let frames = [
        (!message.is_empty()).then(|| Frame::data(message)),
        (!trailers.is_empty()).then(|| Frame::trailers(trailers)),
    ];
    let frames = frames.into_iter().flatten().map(Ok::<Frame<Bytes>, Status>);
    let mut response =
        Response::new(Body::new(StreamBody::new(futures_util::stream::iter(frames))));
    *response.version_mut() = http::Version::HTTP_2;
    *response.headers_mut() = headers;
    response
}
