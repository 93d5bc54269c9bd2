//! One connection that generated clients can call.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use anyhow::Context as _;
use bytes::Bytes;
use h2::{RecvStream, client::SendRequest};
use http::{
    Request, Response,
    uri::{Authority, Scheme},
};
use http_body::Frame;
use http_body_util::BodyExt as _;
use tokio::net::TcpStream;
use tonic::body::Body;

use super::{CONNECTION_WINDOW, STREAM_WINDOW};

type Error = Box<dyn std::error::Error + Send + Sync>;

/// One connection. Clones share it.
#[derive(Clone)]
pub(crate) struct Direct {
    send: SendRequest<Bytes>,
    authority: Authority,
}

pub(crate) async fn connect(address: &str) -> anyhow::Result<Direct> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (send, connection) = h2::client::Builder::new()
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .enable_push(false)
        .handshake(stream)
        .await?;
    tokio::spawn(connection);
    Ok(Direct { send, authority: address.parse()? })
}

impl Direct {
    async fn unary(mut self, request: Request<Body>) -> Result<Response<Incoming>, Error> {
        let (mut head, mut body) = request.into_parts();
        let mut uri = head.uri.into_parts();
        uri.scheme = Some(Scheme::HTTP);
        uri.authority = Some(self.authority);
        head.uri = uri.try_into()?;
        head.version = http::Version::HTTP_2;
        let frame = body.frame().await.context("a unary call has a message")??;
        let message = frame.into_data().unwrap_or_default();
        let (response, mut stream) =
            self.send.send_request(Request::from_parts(head, ()), false)?;
        stream.send_data(message, true)?;
        Ok(response.await?.map(Incoming))
    }
}

impl tower::Service<Request<Body>> for Direct {
    type Response = Response<Incoming>;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.send.poll_ready(cx).map_err(Error::from)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(self.clone().unary(request))
    }
}

/// What arrives on a stream, as generated code reads it.
pub(crate) struct Incoming(pub(super) RecvStream);

impl http_body::Body for Incoming {
    type Data = Bytes;
    type Error = h2::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, h2::Error>>> {
        if let Some(data) = ready!(self.0.poll_data(cx)?) {
            self.0.flow_control().release_capacity(data.len())?;
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        let trailers = ready!(self.0.poll_trailers(cx)?);
        Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }
}
