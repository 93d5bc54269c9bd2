//! `mesh/unary`: unary calls through the mesh with everything on (contract
//! look-up, proof of the caller's name, access rule, deadline, validation,
//! bulkhead, overload control, retry budget, breaker and outlier statistics,
//! balancing, trace context, metrics), beside tonic with nothing, and beside the
//! `h2` crate alone. All four are called through the same generated stubs.

mod counts;

use std::fmt;

use crate::{
    args::Subject,
    child::{Plan, Server, Serving, Under},
    report::{Report, Row, Table, median},
    run::{Bench, Sample, sample},
};

/// The subject, then its baselines.
const SUBJECTS: [Subject; 4] =
    [Subject::Mesh, Subject::TonicMultiThread, Subject::TonicCurrentThread, Subject::H2];

/// With everything on, no call may cost more than this share of tonic's.
const BARS: [(Subject, f64); 2] =
    [(Subject::TonicMultiThread, 0.55), (Subject::TonicCurrentThread, 0.95)];

/// What is called, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Scenario {
    size: usize,
    concurrency: usize,
    connections: usize,
}

impl Scenario {
    /// One call at a time needs no second connection.
    fn all() -> impl Iterator<Item = Self> {
        let ways = [(1, 1), (1, 16), (1, 64), (4, 16), (4, 64)];
        [64, 1024].into_iter().flat_map(move |size| {
            ways.map(|(connections, concurrency)| Self { size, concurrency, connections })
        })
    }

    fn plan(self, bench: &Bench<'_>) -> Plan {
        // Alone, a call mostly waits: fewer take as long.
        let calls = if self.concurrency == 1 { bench.effort.calls / 3 } else { bench.effort.calls };
        Plan {
            calls,
            concurrency: self.concurrency,
            connections: self.connections,
            size: self.size,
            ..Plan::default()
        }
    }

    /// Alone, a call costs twice as much where the scheduler has put the two sides on
    /// different cores, each of which the other has to wake. It draws that anew for
    /// every process, so that three rounds tell its luck and nothing else.
    fn rounds(self, bench: &Bench<'_>) -> usize {
        if self.concurrency == 1 { 3 * bench.effort.rounds } else { bench.effort.rounds }
    }

    fn cells(self) -> [String; 3] {
        [format!("{} B", self.size), self.concurrency.to_string(), self.connections.to_string()]
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { size, concurrency, connections } = self;
        write!(f, "mesh/unary/{size}-bytes/{concurrency}-at-once/{connections}-connections")
    }
}

/// A scenario and its rounds, by subject.
struct Measured {
    scenario: Scenario,
    samples: [Vec<Sample>; SUBJECTS.len()],
}

pub(crate) fn bench(bench: &Bench<'_>, report: &mut Report) -> anyhow::Result<()> {
    let mut all = Vec::new();
    for scenario in Scenario::all().filter(|scenario| bench.wants(&scenario.to_string())) {
        all.push(measure(bench, scenario)?);
    }
    if !all.is_empty() {
        report.rows(all.iter().flat_map(rows));
        report.section(&costs(&all));
        report.section(&sides(&all));
        report.section(&latencies(&all));
        bars(&all, report);
    }
    counts::bench(bench, report)
}

fn measure(bench: &Bench<'_>, scenario: Scenario) -> anyhow::Result<Measured> {
    let mut servers = Vec::new();
    for subject in SUBJECTS {
        let settings = settings(subject, bench);
        servers.push(Server::start(&Serving::new(subject, settings), Under::Nothing)?);
    }
    let mut samples: [Vec<Sample>; SUBJECTS.len()] = Default::default();
    for round in 0..scenario.rounds(bench) {
        // Each round begins with another one: who comes first finds a colder
        // machine.
        for turn in 0..SUBJECTS.len() {
            let at = (round + turn) % SUBJECTS.len();
            let settings = settings(SUBJECTS[at], bench).to_vec();
            let plan = Plan { settings, ..scenario.plan(bench) };
            samples[at].push(sample(&mut servers[at], SUBJECTS[at], &plan, Under::Nothing)?);
        }
    }
    Ok(Measured { scenario, samples })
}

fn settings<'a>(subject: Subject, bench: &'a Bench<'_>) -> &'a [String] {
    if subject == Subject::Mesh { &bench.everything } else { &[] }
}

type Figure = fn(&Sample) -> f64;

/// What is compared in every scenario.
const FIGURES: [(&str, Figure); 5] = [
    ("cpu_us_per_call", Sample::both_us_per_call),
    ("client_cpu_us_per_call", Sample::client_us_per_call),
    ("server_cpu_us_per_call", Sample::server_us_per_call),
    ("p50_us", |sample| sample.load.p50_us),
    ("p99_us", |sample| sample.load.p99_us),
];

impl Measured {
    fn row(&self, baseline: usize, (metric, figure): (&'static str, Figure)) -> Row {
        let of = |at: usize| self.samples[at].iter().map(figure).collect();
        let name = SUBJECTS[baseline].name();
        Row::of(&self.scenario.to_string(), metric, of(0), name, of(baseline))
    }

    fn middle(&self, subject: usize, figure: Figure) -> f64 {
        median(self.samples[subject].iter().map(figure).collect())
    }
}

fn rows(measured: &Measured) -> impl Iterator<Item = Row> {
    let baselines = 1..SUBJECTS.len();
    baselines.flat_map(move |at| FIGURES.into_iter().map(move |figure| measured.row(at, figure)))
}

fn costs(all: &[Measured]) -> String {
    let title = "mesh/unary: CPU per call, client and server together, in µs";
    let columns = [
        "message",
        "in flight",
        "connections",
        "mesh",
        "tonic, multi-thread",
        "tonic, current-thread",
        "h2 alone",
        "mesh / multi-thread",
        "mesh / current-thread",
        "mesh / h2",
    ];
    let mut table = Table::new(title, &columns);
    for measured in all {
        let cpu = (0..SUBJECTS.len()).map(|at| measured.middle(at, Sample::both_us_per_call));
        let ratios = (1..SUBJECTS.len()).map(|at| {
            let Row { ratio, spread, .. } = measured.row(at, FIGURES[0]);
            format!("**{ratio:.2}** ({:.2} to {:.2})", spread.0, spread.1)
        });
        let cells = measured.scenario.cells().into_iter();
        table.row(cells.chain(cpu.map(|us| format!("{us:.1}"))).chain(ratios));
    }
    table.finish()
}

fn sides(all: &[Measured]) -> String {
    pairs(
        all,
        "mesh/unary: CPU per call, client + server, in µs",
        (Sample::client_us_per_call, Sample::server_us_per_call),
        " + ",
    )
}

fn latencies(all: &[Measured]) -> String {
    let title = "mesh/unary: p50 / p99 of a call in a closed loop on a busy machine, in µs";
    pairs(all, title, (|sample| sample.load.p50_us, |sample| sample.load.p99_us), " / ")
}

/// A table of two figures by subject.
fn pairs(all: &[Measured], title: &str, (one, other): (Figure, Figure), between: &str) -> String {
    let columns = ["message", "in flight", "connections"];
    let columns: Vec<&str> = columns.into_iter().chain(SUBJECTS.map(Subject::name)).collect();
    let mut table = Table::new(title, &columns);
    for measured in all {
        let both = (0..SUBJECTS.len()).map(|at| {
            let (one, other) = (measured.middle(at, one), measured.middle(at, other));
            format!("{one:.1}{between}{other:.1}")
        });
        table.row(measured.scenario.cells().into_iter().chain(both));
    }
    table.finish()
}

fn bars(all: &[Measured], report: &mut Report) {
    for (baseline, bar) in BARS {
        let at = SUBJECTS.iter().position(|subject| *subject == baseline).expect("it is measured");
        let ratios: Vec<f64> = all.iter().map(|one| one.row(at, FIGURES[0]).ratio).collect();
        let worst = ratios.iter().copied().fold(0.0, f64::max);
        let measured = format!("{:.2} (worst {worst:.2})", median(ratios));
        let name = format!("CPU per unary call / {}", baseline.name());
        report.bar(&name, format!("<= {bar}"), measured, worst <= bar);
    }
}
