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
    run::{Bench, sample},
};

/// A sidecar mesh must cost at least so many times as much.
const BAR: f64 = 6.0;
/// A tonic application on its cheaper runtime.
const APPLICATION: Subject = Subject::TonicCurrentThread;
/// Calls a second of the rounds that are not busy.
const CALM: u32 = 1_000;

/// The servers, and the two hops before one of them.
struct Ways {
    mesh: Server,
    application: Server,
    /// The one beside the client, then the one beside the server.
    hops: [Envoy; 2],
}

/// How a call gets to its server.
#[derive(Clone, Copy, Debug)]
enum Way {
    Mesh,
    Direct,
    Sidecars,
}

const WAYS: [Way; 3] = [Way::Mesh, Way::Direct, Way::Sidecars];

impl Way {
    fn name(self) -> &'static str {
        match self {
            Self::Mesh => "mesh, everything on",
            Self::Direct => "tonic, direct",
            Self::Sidecars => "tonic through two Envoys",
        }
    }
}

/// One round of one way.
#[derive(Clone, Copy)]
struct Round {
    cpu_us: f64,
    hops_us: f64,
    p50_us: f64,
    p99_us: f64,
}

pub(crate) fn bench(bench: &Bench<'_>, report: &mut Report) -> anyhow::Result<()> {
    let Some(program) = envoy::find() else {
        let why = "mesh/sidecar was skipped: no `envoy` on the PATH or in TITAN_BENCH_ENVOY.\n";
        report.section(why);
        return Ok(());
    };
    let mut ways = Ways::start(bench, &program)?;
    let busy = Plan { calls: bench.effort.calls, ..Plan::default() };
    let calm = Plan { calls: bench.calm_calls(), rate: Some(CALM), ..Plan::default() };
    let busy = of(bench, &mut ways, "busy, 16 in flight", &busy, report)?;
    of(bench, &mut ways, "calm, 1,000 calls/s", &calm, report)?;
    let held = busy >= BAR;
    let name = "CPU per call, two sidecars / mesh";
    report.bar(name, format!(">= {BAR}"), format!("{busy:.1}"), held);
    Ok(())
}

impl Ways {
    fn start(bench: &Bench<'_>, program: &Path) -> anyhow::Result<Self> {
        let mesh = Server::start(&Serving::new(Subject::Mesh, &bench.everything), Under::Nothing)?;
        let application = Server::start(&Serving::new(APPLICATION, &[]), Under::Nothing)?;
        let hop = |upstream: &str| {
            Envoy::start(program, bench.folder, |port| config::hop(port, upstream))
        };
        let second = hop(&application.address)?;
        let first = hop(&second.address)?;
        Ok(Self { mesh, application, hops: [first, second] })
    }

    fn round(&mut self, way: Way, plan: &Plan, bench: &Bench<'_>) -> anyhow::Result<Round> {
        let before = self.hops_ns()?;
        let sample = match way {
            Way::Mesh => {
                let plan = Plan { settings: bench.everything.clone(), ..plan.clone() };
                sample(&mut self.mesh, Subject::Mesh, &plan, Under::Nothing)?
            }
            Way::Direct => sample(&mut self.application, APPLICATION, plan, Under::Nothing)?,
            Way::Sidecars => {
                // The server is asked what it used; its sidecar is called.
                let direct = self.application.address.clone();
                self.application.address.clone_from(&self.hops[0].address);
                let sample = sample(&mut self.application, APPLICATION, plan, Under::Nothing);
                self.application.address = direct;
                sample?
            }
        };
        // Of the warm-up too, over all of its calls. What an idle Envoy does is
        // nobody's cost.
        let used = (self.hops_ns()? - before) / sample.load.calls_ever / 1e3;
        let hops_us = if matches!(way, Way::Sidecars) { used } else { 0.0 };
        Ok(Round {
            cpu_us: sample.both_us_per_call() + hops_us,
            hops_us,
            p50_us: sample.load.p50_us,
            p99_us: sample.load.p99_us,
        })
    }

    fn hops_ns(&self) -> anyhow::Result<f64> {
        Ok(self.hops[0].cpu_ns()? + self.hops[1].cpu_ns()?)
    }
}

/// Measures all ways in turn; returns how many times as much the sidecars cost.
fn of(
    bench: &Bench<'_>,
    ways: &mut Ways,
    load: &str,
    plan: &Plan,
    report: &mut Report,
) -> anyhow::Result<f64> {
    let mut rounds: [Vec<Round>; WAYS.len()] = Default::default();
    for _ in 0..bench.effort.rounds {
        for (way, rounds) in WAYS.into_iter().zip(&mut rounds) {
            rounds.push(ways.round(way, plan, bench)?);
        }
    }
    let title = format!("mesh/sidecar, {load}: CPU of all processes per call of 64 B, in µs");
    let columns = ["", "CPU", "of the Envoys", "p50", "p99", "CPU / mesh"];
    let mut table = Table::new(&title, &columns);
    let name = format!("mesh/sidecar/{}", if plan.rate.is_some() { "calm" } else { "busy" });
    let mut times = 0.0;
    for (way, of) in WAYS.into_iter().zip(&rounds) {
        let all = |figure: fn(&Round) -> f64| of.iter().map(figure).collect::<Vec<f64>>();
        let ours = rounds[0].iter().map(|round| round.cpu_us).collect();
        let cpu = Row::of(&name, "cpu_us_per_call", ours, way.name(), all(|round| round.cpu_us));
        times = 1.0 / cpu.ratio;
        let figures: [fn(&Round) -> f64; 4] = [
            |round| round.cpu_us,
            |round| round.hops_us,
            |round| round.p50_us,
            |round| round.p99_us,
        ];
        let cells = figures.map(|figure| format!("{:.1}", median(all(figure))));
        let cells = [way.name().to_owned()].into_iter().chain(cells);
        table.row(cells.chain([format!("{times:.2}")]));
        if !matches!(way, Way::Mesh) {
            report.rows([cpu]);
        }
    }
    report.section(&table.finish());
    Ok(times)
}
