//! `edge/rest`: a REST call through the gateway to a service, beside a handler
//! that does the same by hand (axum, serde, tonic's channel) and beside Envoy's
//! transcoder where there is one. How long a call takes without any edge stands
//! beside them.

use std::fs;

use crate::{
    args::{Method, Subject},
    child::{Loader, Plan, Server, Serving, Under},
    envoy::{self, Envoy, config},
    report::{Report, Row, Table, median},
    run::{Bench, sample},
};

/// Requests a second of the rounds that are not busy.
const CALM: u32 = 1_000;
/// The gateway's CPU by that of a handler written by hand on its cheaper runtime,
/// and by Envoy's.
const BARS: [(&str, f64); 2] = [(BY_HAND, 0.75), ("Envoy's transcoder", 0.4)];
/// Whose latency the gateway's must not exceed.
const BY_HAND: &str = "axum by hand, current-thread";
/// Bytes of a call that is made directly; the project has so many.
const DIRECT_BYTES: usize = 400;

/// An edge that is measured.
enum Edge {
    Ours(Subject, Server),
    Envoy(Envoy),
}

/// One round of one edge.
#[derive(Clone, Copy)]
struct Round {
    cpu_us: f64,
    p50_us: f64,
    p99_us: f64,
}

type Figure = fn(&Round) -> f64;

const FIGURES: [(&str, Figure); 3] = [
    ("cpu_us_per_request", |round| round.cpu_us),
    ("p50_us", |round| round.p50_us),
    ("p99_us", |round| round.p99_us),
];

pub(crate) fn bench(bench: &Bench<'_>, report: &mut Report) -> anyhow::Result<()> {
    for (kind, post) in [("get", false), ("post", true)] {
        let name = format!("edge/rest/{kind}");
        if bench.wants(&name) {
            of(bench, &name, post, report)?;
        }
    }
    Ok(())
}

fn of(bench: &Bench<'_>, name: &str, post: bool, report: &mut Report) -> anyhow::Result<()> {
    // All of them call the same service, whose cost is not counted.
    let upstream = Server::start(&Serving::new(Subject::Mesh, &[]), Under::Nothing)?;
    let mut edges = edges(bench, &upstream.address)?;
    let post = upstream.token.clone().filter(|_| post);
    let busy = Plan { calls: bench.effort.calls / 2, post: post.clone(), ..Plan::default() };
    let calm = Plan { calls: bench.calm_calls(), rate: Some(CALM), post, ..Plan::default() };
    let loads = [("busy, 16 in flight", busy), ("calm, 1,000 requests/s", calm)];
    for (load, plan) in loads {
        let mut rounds: Vec<Vec<Round>> = edges.iter().map(|_| Vec::new()).collect();
        for _ in 0..bench.effort.rounds {
            for (edge, rounds) in edges.iter_mut().zip(&mut rounds) {
                rounds.push(edge.round(&plan)?);
            }
        }
        let title = format!("{name}, {load}: of the edge's process, in µs");
        let direct = direct(bench, &upstream.address, &plan)?;
        report.section(&table(&title, &edges, &rounds, direct));
        let name = format!("{name}/{}", if plan.rate.is_some() { "calm" } else { "busy" });
        let rows = rows(&name, &edges, &rounds);
        match plan.rate {
            None => bars(&rows, report),
            Some(_) => latency_bar(&rows, report),
        }
        report.rows(rows);
    }
    Ok(())
}

/// The median and the 99th percentile, in µs, of calls of the same service without
/// an edge: gRPC, with a message of about the same size, by tonic's channel.
fn direct(bench: &Bench<'_>, upstream: &str, plan: &Plan) -> anyhow::Result<[f64; 2]> {
    let plan = Plan { method: Method::Public, size: DIRECT_BYTES, post: None, ..plan.clone() };
    let (mut p50, mut p99) = (Vec::new(), Vec::new());
    for _ in 0..bench.effort.rounds {
        let loader = Loader::start(Subject::TonicCurrentThread, upstream, &plan, Under::Nothing)?;
        let load = loader.run()?;
        p50.push(load.p50_us);
        p99.push(load.p99_us);
    }
    Ok([median(p50), median(p99)])
}

/// The gateway, then its baselines.
fn edges(bench: &Bench<'_>, upstream: &str) -> anyhow::Result<Vec<Edge>> {
    let mut edges = Vec::new();
    for subject in [Subject::Edge, Subject::AxumMultiThread, Subject::AxumCurrentThread] {
        let serving = Serving { upstream: Some(upstream), ..Serving::new(subject, &[]) };
        edges.push(Edge::Ours(subject, Server::start(&serving, Under::Nothing)?));
    }
    if let Some(program) = envoy::find() {
        let descriptors = bench.folder.join("descriptors.bin");
        fs::write(&descriptors, titan::DESCRIPTORS)?;
        let descriptors = descriptors.display().to_string();
        let services = ["titan.projects.v1.ProjectsService"];
        let envoy = Envoy::start(&program, bench.folder, |port| {
            config::transcoder(port, upstream, &descriptors, &services)
        })?;
        edges.push(Edge::Envoy(envoy));
    }
    Ok(edges)
}

impl Edge {
    fn name(&self) -> &'static str {
        match self {
            Self::Ours(subject, _) => subject.name(),
            Self::Envoy(_) => "Envoy's transcoder",
        }
    }

    fn round(&mut self, plan: &Plan) -> anyhow::Result<Round> {
        let (load, cpu_us) = match self {
            Self::Ours(_, server) => {
                let sample = sample(server, Subject::Http, plan, Under::Nothing)?;
                let cpu_us = sample.server_us_per_call();
                (sample.load, cpu_us)
            }
            Self::Envoy(envoy) => {
                let loader = Loader::start(Subject::Http, &envoy.address, plan, Under::Nothing)?;
                let before = envoy.cpu_ns()?;
                let load = loader.run()?;
                let cpu_us = (envoy.cpu_ns()? - before) / load.calls / 1e3;
                (load, cpu_us)
            }
        };
        Ok(Round { cpu_us, p50_us: load.p50_us, p99_us: load.p99_us })
    }
}

fn rows(name: &str, edges: &[Edge], rounds: &[Vec<Round>]) -> Vec<Row> {
    let mut rows = Vec::new();
    for (baseline, theirs) in edges.iter().zip(rounds).skip(1) {
        for (metric, figure) in FIGURES {
            let of = |rounds: &[Round]| rounds.iter().map(figure).collect();
            rows.push(Row::of(name, metric, of(&rounds[0]), baseline.name(), of(theirs)));
        }
    }
    rows
}

fn bars(rows: &[Row], report: &mut Report) {
    let bars = BARS.into_iter().filter_map(|(baseline, bar)| {
        let row = rows.iter().find(|row| row.baseline == baseline && row.metric == FIGURES[0].0);
        Some((row?, bar))
    });
    for (row, bar) in bars {
        let name = format!("{}: CPU per request / {}", row.bench, row.baseline);
        report.bar(&name, format!("<= {bar}"), format!("{:.2}", row.ratio), row.ratio <= bar);
    }
}

/// At a rate at which nobody waits for the CPU. The p99 stands beside it
/// without a bar: on two cores it is mostly what the machine did meanwhile.
fn latency_bar(rows: &[Row], report: &mut Report) {
    let ratio = |metric| {
        let row = rows.iter().find(|row| row.baseline == BY_HAND && row.metric == metric);
        row.map(|row| (row.bench.clone(), row.ratio))
    };
    if let (Some((bench, p50)), Some((_, p99))) = (ratio(FIGURES[1].0), ratio(FIGURES[2].0)) {
        let name = format!("{bench}: p50 / {BY_HAND}");
        report.bar(&name, "<= 1".to_owned(), format!("{p50:.2} (p99 {p99:.2})"), p50 <= 1.0);
    }
}

fn table(title: &str, edges: &[Edge], rounds: &[Vec<Round>], direct: [f64; 2]) -> String {
    let columns = ["", "CPU per request", "p50", "p99", "CPU, titan / this"];
    let mut table = Table::new(title, &columns);
    for (edge, theirs) in edges.iter().zip(rounds) {
        let figures = FIGURES.map(|(_, figure)| median(theirs.iter().map(figure).collect()));
        let of = |rounds: &[Round]| rounds.iter().map(FIGURES[0].1).collect();
        let ratio = Row::of("", "", of(&rounds[0]), edge.name(), of(theirs)).ratio;
        let cells = figures.map(|figure| format!("{figure:.1}")).into_iter();
        let name = [edge.name().to_owned()].into_iter();
        table.row(name.chain(cells).chain([format!("{ratio:.2}")]));
    }
    let [p50, p99] = direct.map(|micros| format!("{micros:.1}"));
    table.row(["gRPC, no edge".to_owned(), "0".to_owned(), p50, p99, String::new()]);
    table.finish()
}
