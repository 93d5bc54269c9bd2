//! Rate, errors and duration of every served method, by the names of gRFC A66,
//! and the page that tells of both sides.
//!
//! The handles stand in the method's record, so that counting a call is a few
//! atomic additions: no label is hashed and no lock is taken. Labels are bounded
//! by the contracts; peers and paths that no contract knows are not counted
//! apart.

use std::{
    sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use tonic::Code;

use super::{
    client,
    destinations::Destinations,
    histogram::{ByCode, CODES, Durations, Sizes},
    page::Page,
};
use crate::{
    contract::{Contracts, Method},
    fallback::VALUES,
    trace::Trace,
};

/// Calls that no contract knows, together: paths are made up by whoever calls.
/// One for the process, as is its page.
pub(crate) static OTHER: MethodMetrics = MethodMetrics {
    started: AtomicU64::new(0),
    in_flight: AtomicI64::new(0),
    by_code: ByCode::new(),
};

/// The handles of one method that is served.
#[derive(Debug, Default)]
pub(crate) struct MethodMetrics {
    started: AtomicU64,
    in_flight: AtomicI64,
    by_code: ByCode<Served>,
}

#[derive(Debug, Default)]
struct Served {
    duration: Durations,
    /// Bytes of all messages of a call.
    sent: Sizes,
    received: Sizes,
}

impl MethodMetrics {
    pub(crate) fn start(&self) {
        self.started.fetch_add(1, Relaxed);
        self.in_flight.fetch_add(1, Relaxed);
    }

    /// A served call has ended; its messages had so many bytes, compressed.
    /// `recorded` is its place in a trace that somebody receives.
    pub(crate) fn finish_served(
        &self,
        code: Code,
        took: Duration,
        sent: u64,
        received: u64,
        recorded: Option<Trace>,
    ) {
        self.in_flight.fetch_sub(1, Relaxed);
        let of = self.by_code.of(code);
        of.duration.add(took, recorded);
        of.sent.add(sent);
        of.received.add(received);
    }
}

/// Writes the page.
pub(crate) fn write(page: &mut Page, contracts: &Contracts, destinations: &Destinations) {
    let mut methods: Vec<&Method> = contracts.methods().map(AsRef::as_ref).collect();
    methods.sort_by(|a, b| a.path.cmp(&b.path));
    let served: Vec<(&str, &MethodMetrics)> = methods
        .iter()
        .map(|method| (&method.path[1..], &method.served))
        .chain([("other", &OTHER)])
        .filter(|(_, metrics)| metrics.started.load(Relaxed) > 0)
        .collect();
    server_page(page, &served);
    client::write(page, &methods, destinations);
    destinations.write(page);
    let name = "mesh_fallback_value_total";
    page.head(name, "counter", "Failed calls that were answered by a value of the caller.");
    page.line(format_args!("{name} {}", VALUES.load(Relaxed)));
    process_page(page);
}

fn server_page(page: &mut Page, used: &[(&str, &MethodMetrics)]) {
    let name = "grpc_server_call_started_total";
    page.head(name, "counter", "Calls started, by method.");
    for (method, metrics) in used {
        let value = metrics.started.load(Relaxed);
        page.line(format_args!("{name}{{grpc_method=\"{method}\"}} {value}"));
    }
    let name = "grpc_server_calls_in_flight";
    page.head(name, "gauge", "Calls that have not finished, by method.");
    for (method, metrics) in used {
        let value = metrics.in_flight.load(Relaxed);
        page.line(format_args!("{name}{{grpc_method=\"{method}\"}} {value}"));
    }
    let name = "grpc_server_call_duration_seconds";
    let help = "Time from the first header to the last trailer, by method and status.";
    page.head(name, "histogram", help);
    for (labels, served) in by_status(used) {
        served.duration.write(page, name, &labels);
    }
    type Way = fn(&Served) -> &Sizes;
    for (way, sizes) in [("sent", (|of| &of.sent) as Way), ("rcvd", |of| &of.received)] {
        let name = format!("grpc_server_call_{way}_total_compressed_message_size_bytes");
        page.head(&name, "histogram", "Bytes of a call's messages, by method and status.");
        for (labels, served) in by_status(used) {
            sizes(served).write(page, &name, &labels);
        }
    }
}

fn by_status<'a>(used: &'a [(&str, &MethodMetrics)]) -> impl Iterator<Item = (String, &'a Served)> {
    used.iter().flat_map(|(method, metrics)| {
        let labels = move |status| format!("grpc_method=\"{method}\",grpc_status=\"{status}\"");
        metrics.by_code.used().map(move |(status, served)| (labels(status), served))
    })
}

fn process_page(page: &mut Page) {
    if let Some(bytes) = resident_bytes() {
        let name = "process_resident_memory_bytes";
        page.head(name, "gauge", "Resident memory.");
        page.line(format_args!("{name} {bytes}"));
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
    use crate::telemetry::page::Format;

    #[test]
    fn a_finished_call_is_on_the_page_once() {
        let contracts = Contracts::load(&[]).unwrap();
        let method = contracts.method("/titan.mesh.v1.KeyService/ListKeys").unwrap();
        method.served.start();
        method.served.finish_served(Code::NotFound, Duration::from_millis(2), 0, 1_500, None);
        let mut page = Page::new(Format::Prometheus);
        write(&mut page, &contracts, &Destinations::default());
        let page = page.finish();
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
