//! Rate, errors and duration of every method, on both sides, by the names of
//! gRFC A66, printed in Prometheus' text format.
//!
//! The handles stand in the method's record, so that counting a call is a few
//! atomic additions: no label is hashed and no lock is taken. Labels are bounded
//! by the contracts; peers and paths that no contract knows are not counted
//! apart.

use std::{
    fmt::Write as _,
    sync::{
        OnceLock,
        atomic::{AtomicI64, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tonic::Code;

use super::destinations::Destinations;
use crate::contract::{Contracts, Method};

/// Upper bounds of the duration buckets, in microseconds. A66 proposes a list
/// from 10 µs to 100 s; this is the part of it that a mesh within one region
/// fills, to keep the page small.
const BOUNDS_MICROS: [u64; 16] = [
    100, 300, 600, 1_000, 2_000, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    1_000_000, 2_500_000, 5_000_000, 10_000_000,
];

/// `Code` has seventeen values, 0 to 16.
const CODES: usize = 17;

/// The handles of one method on one side.
#[derive(Debug, Default)]
pub(crate) struct MethodMetrics {
    started: AtomicU64,
    in_flight: AtomicI64,
    by_code: [OnceLock<Box<Histogram>>; CODES],
}

#[derive(Debug, Default)]
struct Histogram {
    /// The last one counts what is above every bound.
    buckets: [AtomicU64; BOUNDS_MICROS.len() + 1],
    sum_micros: AtomicU64,
}

impl MethodMetrics {
    pub(crate) fn start(&self) {
        self.started.fetch_add(1, Relaxed);
        self.in_flight.fetch_add(1, Relaxed);
    }

    pub(crate) fn finish(&self, code: Code, took: Duration) {
        self.in_flight.fetch_sub(1, Relaxed);
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let histogram = self.by_code[code as usize].get_or_init(Box::default);
        let bucket = BOUNDS_MICROS.partition_point(|bound| *bound < micros);
        histogram.buckets[bucket].fetch_add(1, Relaxed);
        histogram.sum_micros.fetch_add(micros, Relaxed);
    }
}

/// The page for Prometheus.
pub(crate) fn page(contracts: &Contracts, destinations: &Destinations) -> String {
    let mut methods: Vec<&Method> = contracts.methods().map(AsRef::as_ref).collect();
    methods.sort_by(|a, b| a.path.cmp(&b.path));
    let mut page = String::new();
    for (side, of) in [
        ("server", (|method| &method.served) as fn(&Method) -> &MethodMetrics),
        ("client", |method| &method.called),
    ] {
        let used: Vec<(&str, &MethodMetrics)> = methods
            .iter()
            .map(|method| (&method.path[1..], of(method)))
            .filter(|(_, metrics)| metrics.started.load(Relaxed) > 0)
            .collect();
        side_page(&mut page, side, &used);
    }
    destinations.write(&mut page);
    process_page(&mut page);
    page
}

fn side_page(page: &mut String, side: &str, used: &[(&str, &MethodMetrics)]) {
    let started = format!("grpc_{side}_call_started_total");
    head(page, &started, "counter", "Calls started, by method.");
    for (method, metrics) in used {
        let value = metrics.started.load(Relaxed);
        line(page, format_args!("{started}{{grpc_method=\"{method}\"}} {value}"));
    }
    let in_flight = format!("grpc_{side}_calls_in_flight");
    head(page, &in_flight, "gauge", "Calls that have not finished, by method.");
    for (method, metrics) in used {
        let value = metrics.in_flight.load(Relaxed);
        line(page, format_args!("{in_flight}{{grpc_method=\"{method}\"}} {value}"));
    }
    let duration = format!("grpc_{side}_call_duration_seconds");
    head(
        page,
        &duration,
        "histogram",
        "Time from the first header to the last trailer, by method and status.",
    );
    for (method, metrics) in used {
        for (code, histogram) in metrics.by_code.iter().enumerate() {
            let Some(histogram) = histogram.get() else {
                continue;
            };
            let status = STATUS[code];
            let labels = format!("grpc_method=\"{method}\",grpc_status=\"{status}\"");
            histogram_lines(page, &duration, &labels, histogram);
        }
    }
}

fn histogram_lines(page: &mut String, name: &str, labels: &str, histogram: &Histogram) {
    let mut count = 0;
    for (bucket, bound) in histogram.buckets.iter().zip(BOUNDS_MICROS) {
        count += bucket.load(Relaxed);
        let bound = seconds(bound);
        line(page, format_args!("{name}_bucket{{{labels},le=\"{bound}\"}} {count}"));
    }
    count += histogram.buckets[BOUNDS_MICROS.len()].load(Relaxed);
    line(page, format_args!("{name}_bucket{{{labels},le=\"+Inf\"}} {count}"));
    let sum = seconds(histogram.sum_micros.load(Relaxed));
    line(page, format_args!("{name}_sum{{{labels}}} {sum}"));
    line(page, format_args!("{name}_count{{{labels}}} {count}"));
}

#[expect(clippy::cast_precision_loss, reason = "microseconds stay exact for 285 years")]
fn seconds(micros: u64) -> f64 {
    micros as f64 / 1e6
}

fn process_page(page: &mut String) {
    if let Some(bytes) = resident_bytes() {
        let name = "process_resident_memory_bytes";
        head(page, name, "gauge", "Resident memory.");
        line(page, format_args!("{name} {bytes}"));
    }
}

/// Resident memory of this process as Linux tells it; elsewhere unknown.
#[must_use]
pub fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

pub(super) fn head(page: &mut String, name: &str, kind: &str, help: &str) {
    line(page, format_args!("# HELP {name} {help}\n# TYPE {name} {kind}"));
}

pub(super) fn line(page: &mut String, text: std::fmt::Arguments<'_>) {
    writeln!(page, "{text}").expect("a String takes everything");
}

/// Names of the status codes as the label has them, by code.
pub(crate) const STATUS: [&str; CODES] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finished_call_is_on_the_page_once() {
        let contracts = Contracts::load(&[]).unwrap();
        let method = contracts.method("/titan.mesh.v1.KeyService/ListKeys").unwrap();
        method.served.start();
        method.served.finish(Code::NotFound, Duration::from_millis(2));
        let page = page(&contracts, &Destinations::default());
        let labels = "grpc_method=\"titan.mesh.v1.KeyService/ListKeys\",grpc_status=\"NOT_FOUND\"";
        for expected in [
            format!("grpc_server_call_duration_seconds_bucket{{{labels},le=\"0.001\"}} 0\n"),
            format!("grpc_server_call_duration_seconds_bucket{{{labels},le=\"0.002\"}} 1\n"),
            format!("grpc_server_call_duration_seconds_bucket{{{labels},le=\"+Inf\"}} 1\n"),
            format!("grpc_server_call_duration_seconds_sum{{{labels}}} 0.002\n"),
            format!("grpc_server_call_duration_seconds_count{{{labels}}} 1\n"),
        ] {
            assert!(page.contains(&expected), "{expected} is missing in\n{page}");
        }
        assert!(!page.contains("RegistryService"), "what was never called is not listed");
    }
}
