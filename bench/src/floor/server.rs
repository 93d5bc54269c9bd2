//! Accepts connections and hands each stream to the generated service, in a task
//! of its own.

use bytes::Bytes;
use h2::{RecvStream, server::SendResponse};
use http::{Request, Response};
use http_body_util::BodyExt as _;
use tokio::net::{TcpListener, TcpStream};
use tower::Service as _;

use super::{CONNECTION_WINDOW, STREAM_WINDOW, client::Incoming};
use crate::echo::{Echo, echo_service_server::EchoServiceServer};

type Service = EchoServiceServer<Echo>;

/// Serves until the process ends.
pub(crate) async fn serve(listener: TcpListener) -> anyhow::Result<()> {
    let service = EchoServiceServer::new(Echo);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(connection(stream, service.clone()));
    }
}

/// Ends with the connection; how it ended is the client's to tell.
async fn connection(stream: TcpStream, service: Service) -> Result<(), h2::Error> {
    let mut connection = h2::server::Builder::new()
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .handshake(stream)
        .await?;
    while let Some(accepted) = connection.accept().await {
        let (request, respond) = accepted?;
        tokio::spawn(call(service.clone(), request, respond));
    }
    Ok(())
}

async fn call(
    mut service: Service,
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
) -> Result<(), h2::Error> {
    let response = match service.call(request.map(Incoming)).await {
        Ok(response) => response,
        Err(never) => match never {},
    };
    let (head, mut body) = response.into_parts();
    let mut stream = respond.send_response(Response::from_parts(head, ()), false)?;
    while let Some(Ok(frame)) = body.frame().await {
        match frame.into_data() {
            Ok(data) => stream.send_data(data, false)?,
            Err(frame) => stream.send_trailers(frame.into_trailers().unwrap_or_default())?,
        }
    }
    Ok(())
}
