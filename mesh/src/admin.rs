//! The admin port: `/live`, `/ready`, `/metrics` for probes and collectors, and
//! `/endpoints` for people.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};

use crate::{app::App, net::Listener, telemetry::page::Format};

/// A probe that sends its header more slowly than this is none.
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);

/// Serves the pages until it is dropped.
pub(crate) async fn serve(app: App, ready: Arc<AtomicBool>, mut listener: Listener) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of file descriptors: more come when connections end.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let (app, ready) = (app.clone(), ready.clone());
        let service = service_fn(move |request: Request<Incoming>| {
            let response =
                answer(&app, ready.load(Relaxed), request.uri().path(), request.headers());
            async move { Ok::<_, Infallible>(response) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIMEOUT)
            .serve_connection(TokioIo::new(stream), service);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "an admin connection failed");
            }
        });
    }
}

fn answer(app: &App, ready: bool, path: &str, headers: &HeaderMap) -> Response<Full<bytes::Bytes>> {
    let format = Format::accepted(headers);
    let (status, body) = match path {
        // The process runs and its runtime turns: more would let a slow
        // dependency restart every replica at once.
        "/live" => (StatusCode::OK, "live\n".to_owned()),
        "/ready" if ready => (StatusCode::OK, "ready\n".to_owned()),
        "/ready" => (StatusCode::SERVICE_UNAVAILABLE, "not ready\n".to_owned()),
        "/metrics" => (StatusCode::OK, app.metrics_as(format)),
        "/endpoints" => (StatusCode::OK, app.endpoints()),
        _ => (StatusCode::NOT_FOUND, "/live /ready /metrics /endpoints\n".to_owned()),
    };
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    let content = match path {
        "/endpoints" => "application/json",
        "/metrics" => format.content_type(),
        _ => "text/plain; charset=utf-8",
    };
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content));
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Settings;

    #[tokio::test]
    async fn the_pages_are_there_and_tell_what_they_are() {
        let app = App::new(Settings::from_pairs("shop", &[("log", "off")])).unwrap();
        let pages = [
            ("/live", 200, "text/plain"),
            ("/ready", 503, "text/plain"),
            ("/metrics", 200, "text/plain"),
            ("/endpoints", 200, "application/json"),
            ("/", 404, "text/plain"),
        ];
        for (path, status, content) in pages {
            let response = answer(&app, false, path, &HeaderMap::new());
            assert_eq!(response.status(), status, "{path}");
            let told = response.headers()[header::CONTENT_TYPE].to_str().unwrap();
            assert!(told.starts_with(content), "{path} is {told}");
        }
    }
}
