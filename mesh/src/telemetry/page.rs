//! The page of metrics, in Prometheus' text format or in OpenMetrics, which can
//! carry exemplars: a trace id beside a bucket.

use std::fmt::{self, Write as _};

use http::{HeaderMap, header};

/// How the page is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// Prometheus' text format, 0.0.4.
    Prometheus,
    /// OpenMetrics 1.0.0.
    OpenMetrics,
}

impl Format {
    /// What a collector asks for. One that names OpenMetrics gets it, unless it
    /// likes plain text better.
    pub(crate) fn accepted(headers: &HeaderMap) -> Self {
        let values = headers.get_all(header::ACCEPT).iter();
        let items = values.filter_map(|value| value.to_str().ok()).flat_map(|text| text.split(','));
        let (mut open, mut plain) = (0.0, 0.0);
        for item in items {
            let mut parts = item.split(';').map(str::trim);
            let kind = parts.next().unwrap_or_default();
            let (mut quality, mut known) = (1.0_f32, true);
            for (name, value) in parts.filter_map(|part| part.split_once('=')) {
                match name.trim() {
                    "q" => quality = value.trim().parse().unwrap_or(0.0),
                    "version" => known = value.trim() == "1.0.0",
                    _ => {}
                }
            }
            match kind {
                "application/openmetrics-text" if known => open = quality.max(open),
                "text/plain" => plain = quality.max(plain),
                _ => {}
            }
        }
        if open > 0.0 && open >= plain { Self::OpenMetrics } else { Self::Prometheus }
    }

    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// A page that is being written.
#[derive(Debug)]
pub(crate) struct Page {
    text: String,
    format: Format,
}

impl Page {
    pub(crate) fn new(format: Format) -> Self {
        Self { text: String::new(), format }
    }

    /// Whether exemplars can stand on it.
    pub(super) fn is_open(&self) -> bool {
        self.format == Format::OpenMetrics
    }

    /// The head of a metric. OpenMetrics names a counter without the `_total` that
    /// its samples end in.
    pub(crate) fn head(&mut self, name: &str, kind: &str, help: &str) {
        let counter = self.is_open() && kind == "counter";
        let name = if counter { name.trim_end_matches("_total") } else { name };
        self.line(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}"));
    }

    pub(crate) fn line(&mut self, text: fmt::Arguments<'_>) {
        writeln!(self.text, "{text}").expect("a String takes everything");
    }

    /// The upper bound of a bucket as the label has it.
    pub(crate) fn bound(&self, value: f64) -> String {
        if self.is_open() { canonical(value) } else { value.to_string() }
    }

    /// The whole page.
    pub(crate) fn finish(mut self) -> String {
        if self.is_open() {
            self.text.push_str("# EOF\n");
        }
        self.text
    }
}

/// OpenMetrics' canonical numbers: those of Go's `%g`, with `.0` where nothing
/// else says that it is a float.
fn canonical(value: f64) -> String {
    let scientific = format!("{value:e}");
    let (digits, exponent) = scientific.split_once('e').expect("it is written with an exponent");
    let exponent: i32 = exponent.parse().expect("an exponent is a number");
    if (-4..6).contains(&exponent) {
        return format!("{value:?}");
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn open_metrics_is_for_those_who_ask_for_it() {
        for (accept, format) in [
            ("", Format::Prometheus),
            ("*/*", Format::Prometheus),
            ("text/plain;version=0.0.4", Format::Prometheus),
            ("application/openmetrics-text; version=1.0.0", Format::OpenMetrics),
            ("application/openmetrics-text", Format::OpenMetrics),
            ("application/openmetrics-text;version=2.0.0", Format::Prometheus),
            ("application/openmetrics-text;version=1.0.0;q=0", Format::Prometheus),
            (
                "application/openmetrics-text;version=1.0.0;q=0.5,\
                 application/openmetrics-text;version=0.0.1;q=0.4,text/plain;q=0.3,*/*;q=0.2",
                Format::OpenMetrics,
            ),
            ("text/plain, application/openmetrics-text;q=0.5", Format::Prometheus),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
            assert_eq!(Format::accepted(&headers), format, "{accept}");
        }
    }

    #[test]
    fn numbers_are_canonical() {
        for (value, text) in [
            (0.0, "0.0"),
            (0.000_01, "1e-05"),
            (0.000_1, "0.0001"),
            (0.25, "0.25"),
            (1024.0, "1024.0"),
            (1_048_576.0, "1.048576e+06"),
        ] {
            assert_eq!(canonical(value), text);
        }
    }
}
