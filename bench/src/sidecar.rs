//! `mesh/sidecar`: what a sidecar mesh costs for the same call. A plain tonic
//! client calls a plain tonic server through two Envoys, as the two sidecars of a
//! mesh would stand, over plain HTTP/2; the mesh calls directly, with everything
//! on. CPU of all processes counts.

use std::path::Path;

use crate::{
    args::Subject,
    child::{Plan, Server, Serving, Under},
    envoy::{self, Envoy, config},
    report::{Report, Row, Table, median},
    run::{Bench, Sample, sample},
};

/// A sidecar mesh must cost at least so many times as much.
const BAR: f64 = 6.0;
/// A tonic application on its cheaper runtime.
const APPLICATION: Subject = Subject::TonicCurrentThread;
/// Calls a second of the round that is not busy.
const CALM: usize = 1_000;

/// One round of one way.
struct Round {
    cpu_us: f64,
    p50_us: f64,
    p99_us: f64,
}

pub(crate) fn bench(bench: &Bench<'_>, report: &mut Report) -> anyhow::Result<()> {
    let Some(program) = envoy::find() else {
        let skipped = "mesh/sidecar was skipped: no `envoy` on the PATH nor in TITAN_BENCH_ENVOY.\n";
        report.section(skipped);
        return Ok(());
    };
    let ways = Ways::start(bench, &program)?;
    for (name, rate) in [("busy", None), ("calm", Some(CALM))] {
        of(bench, ways, name, rate, report)?;
    }
    Ok(())
}
