//! What a call tells when its trace is recorded: spans as an exporter gets them,
//! and exemplars.

use std::sync::{Arc, Mutex};

use opentelemetry::trace::{SpanKind, TracerProvider as _};
use opentelemetry_sdk::{
    error::OTelSdkResult,
    trace::{SdkTracerProvider, SpanData, SpanExporter},
};
use tonic::Status;
use tracing_subscriber::{Layer as _, filter::LevelFilter, layer::SubscriberExt as _};

use super::{page::Format, span};
use crate::{
    proto::{ListKeysRequest, ListKeysResponse, key_service_client::KeyServiceClient},
    testing::{Mesh, Peer, Reply},
    trace::{self, Trace},
};

#[derive(Clone, Debug, Default)]
struct Kept(Arc<Mutex<Vec<SpanData>>>);

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

#[tokio::test(start_paused = true)]
async fn a_recorded_call_has_a_span_with_a_child_for_each_attempt_and_exemplars() {
    let kept = Kept::default();
    let provider = SdkTracerProvider::builder()
        .with_simple_exporter(kept.clone())
        .with_sampler(span::ByCall { ratio: 1.0 })
        .build();
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("mesh"));
    let layer = layer.with_filter(LevelFilter::INFO);
    let _here = tracing::subscriber::set_default(tracing_subscriber::registry().with(layer));
    span::exporting(true);

    let mesh = Mesh::simulated(1).await;
    let once = Peer::new().once(Reply::status(Status::unavailable("once")));
    let peer = mesh.peer("keys", once.always(Reply::message(&ListKeysResponse::default()))).await;
    let app = mesh.app("caller");
    let mut client = KeyServiceClient::new(app.channel("keys"));
    client.list_keys(ListKeysRequest {}).await.unwrap();
    span::exporting(false);

    let spans = kept.0.lock().unwrap().clone();
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
