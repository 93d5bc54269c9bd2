//! What a process tells about its calls: metrics, traces, logs.

pub(crate) mod client;
pub(crate) mod destinations;
mod histogram;
pub(crate) mod log;
pub(crate) mod metrics;
pub(crate) mod page;
pub(crate) mod request;
pub(crate) mod span;
#[cfg(test)]
mod tests;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::WithExportConfig as _;
use opentelemetry_sdk::{Resource, trace::SdkTracerProvider};
use tracing_subscriber::{EnvFilter, Layer as _, filter::LevelFilter, layer::SubscriberExt as _};

use crate::settings::Settings;

/// Sends spans until it is dropped; then flushes what it has.
#[derive(Debug)]
pub(crate) struct Telemetry {
    provider: Option<SdkTracerProvider>,
}

/// What is set about telemetry.
#[derive(Debug)]
pub(crate) struct Config {
    app: &'static str,
    filter: log::Filter,
    format: log::Format,
    endpoint: Option<String>,
    /// Share of new traces that are recorded; a caller's decision is followed.
    pub(crate) ratio: f64,
}

impl Config {
    pub(crate) fn read(settings: &mut Settings) -> Self {
        let config = Self {
            app: settings.app(),
            filter: settings.get("log", log::Filter("info".to_owned())),
            format: settings.get("log_format", log::Format::for_output()),
            endpoint: settings.optional("otlp_endpoint"),
            ratio: settings.get("trace_ratio", 1.0),
        };
        let share = (0.0..=1.0).contains(&config.ratio);
        settings.require("trace_ratio", share, "must be between 0 and 1");
        config
    }
}

impl Telemetry {
    /// Starts logs and, with an endpoint, the export of spans. A process does so
    /// once; a second application in the same process joins the first one's.
    pub(crate) fn start(config: &Config) -> Result<Self, opentelemetry_otlp::ExporterBuildError> {
        let provider = config.endpoint.as_deref().map(|url| exporter(config, url)).transpose()?;
        let spans = provider.as_ref().map(|provider| {
            tracing_opentelemetry::layer()
                .with_tracer(provider.tracer("mesh"))
                .with_location(false)
                .with_threads(false)
                .with_filter(LevelFilter::INFO)
        });
        let filter = EnvFilter::new(&config.filter.0);
        let writer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
        let logs = match config.format {
            log::Format::Json => {
                writer.event_format(log::Json { app: config.app }).with_filter(filter).boxed()
            }
            log::Format::Text => writer.compact().with_filter(filter).boxed(),
        };
        let subscriber = tracing_subscriber::registry().with(spans).with(logs);
        let first = tracing::subscriber::set_global_default(subscriber).is_ok();
        if first && provider.is_some() {
            span::exporting(true);
        }
        Ok(Self { provider: provider.filter(|_| first) })
    }

    /// Sends what is not sent yet. Waits for the collector for five seconds at
    /// most, off the runtime's thread, since the exporter needs that one.
    pub(crate) async fn flush(&self) {
        let Some(provider) = self.provider.clone() else {
            return;
        };
        let flushed = tokio::task::spawn_blocking(move || {
            provider.shutdown_with_timeout(std::time::Duration::from_secs(5))
        });
        if let Ok(Err(error)) = flushed.await {
            tracing::warn!(%error, "spans were not flushed");
        }
    }
}

fn exporter(
    config: &Config,
    endpoint: &str,
) -> Result<SdkTracerProvider, opentelemetry_otlp::ExporterBuildError> {
    let exporter =
        opentelemetry_otlp::SpanExporter::builder().with_tonic().with_endpoint(endpoint).build()?;
    Ok(SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_sampler(span::ByCall { ratio: config.ratio })
        .with_resource(Resource::builder().with_service_name(config.app).build())
        .build())
}
