//! What a generated server does not reach: trailers of a call that succeeds, and
//! the compressed flags of its messages.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use http::{HeaderName, HeaderValue, Request, Response};
use http_body::Frame;
use http_body_util::BodyExt as _;
use mesh::RequestBody;
use tonic::{body::Body, server::NamedService};

use crate::packing::Flags;

const INITIAL: HeaderName = HeaderName::from_static("x-grpc-test-echo-initial");
const TRAILING: HeaderName = HeaderName::from_static("x-grpc-test-echo-trailing-bin");

/// Echoes metadata around a service, and tells it how messages came.
#[derive(Clone, Debug)]
pub(super) struct Envelope<S> {
    inner: S,
}

impl<S> Envelope<S> {
    pub(super) fn around(inner: S) -> Self {
        Self { inner }
    }
}

impl<S: NamedService> NamedService for Envelope<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> tower::Service<Request<RequestBody>> for Envelope<S>
where
    S: tower::Service<Request<RequestBody>, Response = Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<RequestBody>) -> Self::Future {
        let flags = Flags::default();
        let noted = flags.clone();
        request.body_mut().watch_packing(move |packed| noted.note(packed));
        request.extensions_mut().insert(flags);
        let initial = request.headers().get(INITIAL).cloned();
        let trailing = request.headers().get(TRAILING).cloned();
        let response = self.inner.call(request);
        Box::pin(async move { Ok(echo(response.await?, initial, trailing)) })
    }
}

fn echo(
    mut response: Response<Body>,
    initial: Option<HeaderValue>,
    trailing: Option<HeaderValue>,
) -> Response<Body> {
    if let Some(initial) = initial {
        response.headers_mut().insert(INITIAL, initial);
    }
    let Some(trailing) = trailing else { return response };
    if response.headers().contains_key("grpc-status") {
        // Headers and trailers are one.
        response.headers_mut().insert(TRAILING, trailing);
        return response;
    }
    response.map(|body| {
        Body::new(body.map_frame(move |frame| match frame.into_trailers() {
            Ok(mut trailers) => {
                trailers.insert(TRAILING, trailing.clone());
                Frame::trailers(trailers)
            }
            Err(data) => data,
        }))
    })
}
