//! What a call tells when its trace is recorded: spans as an exporter gets them,
//! and exemplars.

use std::sync::Arc;

use http::{HeaderValue, Method};
use opentelemetry::{
    SpanId,
    trace::{SpanKind, TracerProvider as _},
};
use opentelemetry_sdk::{
    error::OTelSdkResult,
    trace::{SdkTracerProvider, SpanData, SpanExporter},
};
use tokio::sync::Mutex;
use tonic::{Code, Status};
use tracing_subscriber::{Layer as _, filter::LevelFilter, layer::SubscriberExt as _};

use super::{page::Format, request::RequestSpan, span};
use crate::{
    proto::{ListKeysRequest, ListKeysResponse, key_service_client::KeyServiceClient},
    testing::{Mesh, Peer, Reply},
    trace::{self, Trace},
};

#[derive(Clone, Debug, Default)]
struct Kept(Arc<std::sync::Mutex<Vec<SpanData>>>);

impl SpanExporter for Kept {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.0.lock().unwrap().extend(batch);
        Ok(())
    }
}

fn attribute(span: &SpanData, key: &str) -> Option<String> {
    let of = span.attributes.iter().find(|attribute| attribute.key.as_str() == key)?;
    Some(of.value.to_string())
}

/// Runs something whose spans are received.
async fn recorded(work: impl Future<Output = ()>) -> Vec<SpanData> {
    // Whether spans are received is said for the whole process.
    static ALONE: Mutex<()> = Mutex::const_new(());
    let _alone = ALONE.lock().await;
    let kept = Kept::default();
    let provider = SdkTracerProvider::builder()
        .with_simple_exporter(kept.clone())
        .with_sampler(span::ByCall { ratio: 1.0 })
        .build();
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("mesh"));
    let layer = layer.with_filter(LevelFilter::INFO);
    let _here = tracing::subscriber::set_default(tracing_subscriber::registry().with(layer));
    span::exporting(true);
    work.await;
    span::exporting(false);
    kept.0.lock().unwrap().clone()
}

#[tokio::test(start_paused = true)]
async fn a_recorded_call_has_a_span_with_a_child_for_each_attempt_and_exemplars() {
    let mesh = Mesh::simulated(1).await;
    let once = Peer::new().once(Reply::status(Status::unavailable("once")));
    let peer = mesh.peer("keys", once.always(Reply::message(&ListKeysResponse::default()))).await;
    let app = mesh.app("caller");
    let mut client = KeyServiceClient::new(app.channel("keys"));
    let work = async { _ = client.list_keys(ListKeysRequest {}).await.unwrap() };
    let spans = recorded(work).await;
    let call = spans.iter().find(|span| span.name == "titan.mesh.v1.KeyService/ListKeys").unwrap();
    assert_eq!(call.span_kind, SpanKind::Client);
    assert_eq!(attribute(call, "server.address").as_deref(), Some("keys"));
    let id = call.span_context.span_id();
    let attempts: Vec<_> = spans.iter().filter(|span| span.parent_span_id == id).collect();
    let arrivals = peer.arrivals();
    assert_eq!((attempts.len(), arrivals.len()), (2, 2));
    for (number, (attempt, code)) in attempts.iter().zip(["14", "0"]).enumerate() {
        for (key, value) in [
            ("rpc.system", "grpc"),
            ("rpc.method", "ListKeys"),
            ("previous-rpc-attempts", number.to_string().as_str()),
            ("transparent-retry", "false"),
            ("rpc.grpc.status_code", code),
            ("server.port", peer.address.port().to_string().as_str()),
        ] {
            assert_eq!(attribute(attempt, key).as_deref(), Some(value), "{key} of {number}");
        }
        let told = Trace::parse(arrivals[number].metadata[trace::TRACEPARENT].as_bytes()).unwrap();
        assert_eq!(told.span.to_be_bytes(), attempt.span_context.span_id().to_bytes());
    }

    let trace = format!(" # {{trace_id=\"{}\",span_id=\"{id}\"}} ", call.span_context.trace_id());
    let open = app.metrics_as(Format::OpenMetrics);
    let beside = open.lines().filter(|line| line.contains(&trace));
    let buckets =
        beside.filter(|line| line.starts_with("grpc_client_call_duration_seconds_bucket"));
    assert_eq!(buckets.count(), 1, "{open}");
    assert!(open.ends_with("\n# EOF\n"));
    let plain = app.metrics();
    assert!(!plain.contains("trace_id") && !plain.contains("# EOF"), "{plain}");
}

#[tokio::test]
async fn a_request_from_outside_has_a_span_by_its_route() {
    let given = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let given = HeaderValue::from_static(given);
    let begin = |method: &Method, given, ratio| RequestSpan::begin(method, "/v1/a", given, ratio);
    let spans = recorded(async {
        let (place, span) = begin(&Method::GET, Some(&given), 0.0);
        let span = span.unwrap();
        span.answered(&Method::GET, Some("/v1/{name=*}"), 503, None);
        assert_ne!(place.header(), given, "the span is a place of its own");
        let odd = Method::from_bytes(b"BREW").unwrap();
        let (_, span) = begin(&odd, None, 1.0);
        span.unwrap().answered(&odd, None, 200, Some(Code::NotFound));
        assert!(begin(&Method::GET, None, 0.0).1.is_none(), "it is not recorded");
    })
    .await;
    assert!(begin(&Method::GET, Some(&given), 1.0).1.is_none(), "nobody receives it");

    let [first, second] = spans.as_slice() else { panic!("{spans:?}") };
    assert_eq!((&*first.name, &first.span_kind), ("GET /v1/{name=*}", &SpanKind::Server));
    assert_eq!(first.parent_span_id.to_string(), "00f067aa0ba902b7");
    assert_eq!(first.status, opentelemetry::trace::Status::error(""));
    assert_eq!(attribute(first, "http.response.status_code").as_deref(), Some("503"));
    assert_eq!(attribute(first, "error.type").as_deref(), Some("503"));
    assert_eq!((&*second.name, second.parent_span_id), ("HTTP", SpanId::INVALID));
    assert_eq!(attribute(second, "http.request.method").as_deref(), Some("_OTHER"));
    assert_eq!(attribute(second, "rpc.grpc.status_code").as_deref(), Some("5"));
    assert_eq!(second.status, opentelemetry::trace::Status::Unset);
}
