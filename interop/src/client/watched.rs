//! A channel that remembers what generated clients do not show: the headers of an
//! answer apart from its trailers, and the compressed flags of its messages.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use http::{HeaderMap, Request, Response};
use mesh::{Channel, ResponseBody};
use tonic::{Status, body::Body};

use crate::packing::Flags;

#[derive(Clone, Debug)]
pub(super) struct Watched {
    channel: Channel,
    flags: Flags,
    headers: Arc<Mutex<HeaderMap>>,
}

impl Watched {
    pub(super) fn over(channel: Channel) -> Self {
        Self { channel, flags: Flags::default(), headers: Arc::default() }
    }

    /// Whether the next message of the answers came packed.
    pub(super) fn packed(&self) -> Option<bool> {
        self.flags.next()
    }

    /// The headers of the last answer.
    pub(super) fn headers(&self) -> HeaderMap {
        self.headers.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl tower::Service<Request<Body>> for Watched {
    type Response = Response<ResponseBody>;
    type Error = Status;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Status>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Status>> {
        tower::Service::poll_ready(&mut self.channel, cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let (flags, headers) = (self.flags.clone(), self.headers.clone());
        let response = tower::Service::call(&mut self.channel, request);
        Box::pin(async move {
            let mut response = response.await?;
            *headers.lock().unwrap_or_else(PoisonError::into_inner) = response.headers().clone();
            response.body_mut().watch_packing(move |packed| flags.note(packed));
            Ok(response)
        })
    }
}
