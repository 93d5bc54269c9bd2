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

/// Upper bounds of the size buckets, in bytes, as A66 has them.
const BOUNDS_BYTES: [u64; 14] = [
    0,
    1 << 10,
    2 << 10,
    4 << 10,
    16 << 10,
    64 << 10,
    256 << 10,
    1 << 20,
    4 << 20,
    16 << 20,
    64 << 20,
    256 << 20,
    1 << 30,
    4 << 30,
];

/// Calls that no contract knows, together: paths are made up by whoever calls.
/// One for the process, as is its page.
pub(crate) static OTHER: MethodMetrics = MethodMetrics {
    started: AtomicU64::new(0),
    in_flight: AtomicI64::new(0),
    hedged: [const { AtomicU64::new(0) }; MOST_HEDGES],
    by_code: [const { OnceLock::new() }; CODES],
};

/// `Code` has seventeen values, 0 to 16.
const CODES: usize = 17;

/// Hedges of one call, by the contract's bound of three attempts.
const MOST_HEDGES: usize = 2;

/// The handles of one method on one side.
#[derive(Debug, Default)]
pub(crate) struct MethodMetrics {
    started: AtomicU64,
    in_flight: AtomicI64,
    /// Calls that were hedged once, and twice.
    hedged: [AtomicU64; MOST_HEDGES],
    by_code: [OnceLock<Box<Histogram>>; CODES],
}

#[derive(Debug, Default)]
struct Histogram {
    /// The last one counts what is above every bound.
    buckets: [AtomicU64; BOUNDS_MICROS.len() + 1],
    sum_micros: AtomicU64,
    /// Of a server: bytes of all messages of a call.
    sent: Sizes,
    received: Sizes,
}

#[derive(Debug, Default)]
struct Sizes {
    buckets: [AtomicU64; BOUNDS_BYTES.len() + 1],
    sum: AtomicU64,
}

impl Sizes {
    fn add(&self, bytes: u64) {
        let bucket = BOUNDS_BYTES.partition_point(|bound| *bound < bytes);
        self.buckets[bucket].fetch_add(1, Relaxed);
        self.sum.fetch_add(bytes, Relaxed);
    }
}

impl MethodMetrics {
    pub(crate) fn start(&self) {
        self.started.fetch_add(1, Relaxed);
        self.in_flight.fetch_add(1, Relaxed);
    }

    pub(crate) fn finish(&self, code: Code, took: Duration) {
        self.in_flight.fetch_sub(1, Relaxed);
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let histogram = self.histogram(code);
        let bucket = BOUNDS_MICROS.partition_point(|bound| *bound < micros);
        histogram.buckets[bucket].fetch_add(1, Relaxed);
        histogram.sum_micros.fetch_add(micros, Relaxed);
    }

    /// A call has ended that was hedged so often, which is at least once.
    pub(crate) fn hedged(&self, hedges: usize) {
        self.hedged[hedges.clamp(1, MOST_HEDGES) - 1].fetch_add(1, Relaxed);
    }

    /// A served call has ended; its messages had so many bytes, compressed.
    pub(crate) fn finish_served(&self, code: Code, took: Duration, sent: u64, received: u64) {
        self.finish(code, took);
        let histogram = self.histogram(code);
        histogram.sent.add(sent);
        histogram.received.add(received);
    }

    fn histogram(&self, code: Code) -> &Histogram {
        self.by_code[code as usize].get_or_init(Box::default)
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
        let other = (side == "server").then_some(("other", &OTHER));
        let used: Vec<(&str, &MethodMetrics)> = methods
            .iter()
            .map(|method| (&method.path[1..], of(method)))
            .chain(other)
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
    if side == "client" {
        hedges_page(page, used);
    }
    if side == "server" {
        sizes_page(page, "sent", used, |histogram| &histogram.sent);
        sizes_page(page, "rcvd", used, |histogram| &histogram.received);
    }
}

/// As gRFC A96 has it: calls that were not hedged are not in it.
fn hedges_page(page: &mut String, used: &[(&str, &MethodMetrics)]) {
    let name = "grpc_client_call_hedges";
    head(page, name, "histogram", "Hedges of the calls that were hedged, by method.");
    for (method, metrics) in used {
        let (mut count, mut sum) = (0, 0);
        let counts = metrics.hedged.each_ref().map(|counter| counter.load(Relaxed));
        if counts.iter().sum::<u64>() == 0 {
            continue;
        }
        let labels = format!("grpc_method=\"{method}\"");
        for (hedges, calls) in (1_u64..).zip(counts) {
            count += calls;
            sum += calls * hedges;
            line(page, format_args!("{name}_bucket{{{labels},le=\"{hedges}\"}} {count}"));
        }
        line(page, format_args!("{name}_bucket{{{labels},le=\"+Inf\"}} {count}"));
        line(page, format_args!("{name}_sum{{{labels}}} {sum}"));
        line(page, format_args!("{name}_count{{{labels}}} {count}"));
    }
}

fn sizes_page(
    page: &mut String,
    way: &str,
    used: &[(&str, &MethodMetrics)],
    of: fn(&Histogram) -> &Sizes,
) {
    let name = format!("grpc_server_call_{way}_total_compressed_message_size_bytes");
    head(page, &name, "histogram", "Bytes of a call's messages, by method and status.");
    for (method, metrics) in used {
        for (code, histogram) in metrics.by_code.iter().enumerate() {
            let Some(sizes) = histogram.get().map(|histogram| of(histogram)) else {
                continue;
            };
            let labels = format!("grpc_method=\"{method}\",grpc_status=\"{}\"", STATUS[code]);
            let mut count = 0;
            for (bucket, bound) in sizes.buckets.iter().zip(BOUNDS_BYTES) {
                count += bucket.load(Relaxed);
                line(page, format_args!("{name}_bucket{{{labels},le=\"{bound}\"}} {count}"));
            }
            count += sizes.buckets[BOUNDS_BYTES.len()].load(Relaxed);
            line(page, format_args!("{name}_bucket{{{labels},le=\"+Inf\"}} {count}"));
            line(page, format_args!("{name}_sum{{{labels}}} {}", sizes.sum.load(Relaxed)));
            line(page, format_args!("{name}_count{{{labels}}} {count}"));
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
        method.served.finish_served(Code::NotFound, Duration::from_millis(2), 0, 1_500);
        let page = page(&contracts, &Destinations::default());
        let labels = "grpc_method=\"titan.mesh.v1.KeyService/ListKeys\",grpc_status=\"NOT_FOUND\"";
        for expected in [
            format!("grpc_server_call_duration_seconds_bucket{{{labels},le=\"0.001\"}} 0\n"),
            format!("grpc_server_call_duration_seconds_bucket{{{labels},le=\"0.002\"}} 1\n"),
            format!("grpc_server_call_duration_seconds_bucket{{{labels},le=\"+Inf\"}} 1\n"),
            format!("grpc_server_call_duration_seconds_sum{{{labels}}} 0.002\n"),
            format!("grpc_server_call_duration_seconds_count{{{labels}}} 1\n"),
            format!(
                "grpc_server_call_sent_total_compressed_message_size_bytes_bucket\
                 {{{labels},le=\"0\"}} 1\n"
            ),
            format!(
                "grpc_server_call_rcvd_total_compressed_message_size_bytes_bucket\
                 {{{labels},le=\"1024\"}} 0\n"
            ),
            format!(
                "grpc_server_call_rcvd_total_compressed_message_size_bytes_sum{{{labels}}} 1500\n"
            ),
        ] {
            assert!(page.contains(&expected), "{expected} is missing in\n{page}");
        }
        assert!(!page.contains("RegistryService"), "what was never called is not listed");
    }
}
