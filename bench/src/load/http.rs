//! REST calls over HTTP/1.1, each worker on a connection that it keeps.

use bytes::Bytes;
use http::{Request, header};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::pace::Pace;
use crate::{args::Load, fixture};

pub(super) async fn load(options: &Load) -> anyhow::Result<()> {
    let (address, post) = (options.address.clone(), options.post.clone());
    super::measure(options, move |_, calls, pace| {
        worker(address.clone(), post.clone(), calls, pace)
    })
    .await
}

async fn worker(
    address: String,
    post: Option<String>,
    calls: usize,
    mut pace: Pace,
) -> anyhow::Result<Vec<std::time::Duration>> {
    let stream = TcpStream::connect(&address).await?;
    stream.set_nodelay(true)?;
    let (mut send, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let mut latencies = Vec::with_capacity(calls);
    for _ in 0..calls {
        let started = pace.turn().await;
        send.ready().await?;
        let response = send.send_request(request(&address, post.as_deref())?).await?;
        anyhow::ensure!(
            response.status().is_success(),
            "{} answers {}",
            address,
            response.status()
        );
        response.into_body().collect().await?;
        latencies.push(started.elapsed());
    }
    Ok(latencies)
}

fn request(address: &str, post: Option<&str>) -> anyhow::Result<Request<Full<Bytes>>> {
    let request = Request::builder().header(header::HOST, address);
    let Some(token) = post else {
        return Ok(request.uri(format!("/v1/{}", fixture::NAME)).body(Full::default())?);
    };
    let project = fixture::project();
    let body = serde_json::json!({"title": project.title, "description": project.description});
    Ok(request
        .method("POST")
        .uri("/v1/projects")
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::AUTHORIZATION, format!("Bearer {token}"))
        .body(Full::from(body.to_string()))?)
}
