//! Logs: one JSON object a line, or text for people, each with the trace id of
//! the call that it belongs to.

use std::{collections::BTreeMap, fmt, io::IsTerminal as _, time::SystemTime};

use tracing::{Event, Subscriber, field::Visit};
use tracing_subscriber::{
    fmt::{FmtContext, FormatEvent, FormatFields, format::Writer},
    registry::LookupSpan,
};

use crate::{call, settings::Setting};

/// `log_format`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Json,
    Text,
}

impl Format {
    /// Text for a person at a terminal, JSON for everything that collects logs.
    pub(crate) fn for_output() -> Self {
        if std::io::stderr().is_terminal() { Self::Text } else { Self::Json }
    }
}

impl Setting for Format {
    fn parse(text: &str) -> Result<Self, &'static str> {
        match text {
            "json" => Ok(Self::Json),
            "text" => Ok(Self::Text),
            _ => Err("json or text"),
        }
    }
}

/// A filter such as `info` or `info,mesh=debug`, checked when it is read.
#[derive(Clone, Debug)]
pub(crate) struct Filter(pub(crate) String);

impl Setting for Filter {
    fn parse(text: &str) -> Result<Self, &'static str> {
        text.parse::<tracing_subscriber::EnvFilter>()
            .map(|_| Self(text.to_owned()))
            .map_err(|_| "a log filter such as info,mesh=debug")
    }
}

/// Writes events as JSON objects.
pub(crate) struct Json {
    pub(crate) app: &'static str,
}

impl<S, N> FormatEvent<S, N> for Json
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = Line::default();
        let metadata = event.metadata();
        line.put("time", prost_types::Timestamp::from(SystemTime::now()).to_string());
        line.put("level", metadata.level().to_string());
        line.put("app", self.app.to_owned());
        line.put("target", metadata.target().to_owned());
        if let Some(id) = call::trace_id() {
            line.put("trace_id", id);
        }
        event.record(&mut line);
        let line = serde_json::to_string(&line.fields).map_err(|_| fmt::Error)?;
        writeln!(writer, "{line}")
    }
}

#[derive(Default)]
struct Line {
    fields: BTreeMap<&'static str, serde_json::Value>,
}

impl Line {
    fn put(&mut self, key: &'static str, value: impl Into<serde_json::Value>) {
        self.fields.insert(key, value.into());
    }
}

impl Visit for Line {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn fmt::Debug) {
        self.put(field.name(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &tracing::field::Field, value: &str) {
        self.put(field.name(), value);
    }

    fn record_bool(&mut self, field: &tracing::field::Field, value: bool) {
        self.put(field.name(), value);
    }

    fn record_i64(&mut self, field: &tracing::field::Field, value: i64) {
        self.put(field.name(), value);
    }

    fn record_u64(&mut self, field: &tracing::field::Field, value: u64) {
        self.put(field.name(), value);
    }

    fn record_f64(&mut self, field: &tracing::field::Field, value: f64) {
        self.put(field.name(), value);
    }
}
