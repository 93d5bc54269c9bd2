//! `edge/rest`: a REST call through the gateway to a service, beside a handler
//! that does the same by hand: axum, serde, tonic's channel.

use crate::{
    args::Subject,
    child::{Plan, Server, Serving, Under},
    report::{Report, Row, Table, median},
    run::{Bench, Sample, sample},
};

/// The subject, then its baselines.
const SUBJECTS: [Subject; 3] =
    [Subject::Edge, Subject::AxumMultiThread, Subject::AxumCurrentThread];

type Figure = fn(&Sample) -> f64;

const FIGURES: [(&str, Figure); 3] = [
    ("cpu_us_per_request", Sample::server_us_per_call),
    ("p50_us", |sample| sample.load.p50_us),
    ("p99_us", |sample| sample.load.p99_us),
];

pub(crate) fn bench(bench: &Bench<'_>, report: &mut Report) -> anyhow::Result<()> {
    for (kind, post) in [("get", false), ("post", true)] {
        let name = format!("edge/rest/{kind}");
        if bench.wants(&name) {
            let samples = measure(bench, post)?;
            report.section(&table(&name, &samples));
            report.rows(rows(&name, &samples));
        }
    }
    Ok(())
}

fn measure(bench: &Bench<'_>, post: bool) -> anyhow::Result<Vec<Vec<Sample>>> {
    // All of them call the same service, whose cost is not counted.
    let upstream = Serving { subject: Subject::Mesh, upstream: None, settings: &[] };
    let upstream = Server::start(&upstream, Under::Nothing)?;
    let post = upstream.token.clone().filter(|_| post);
    let plan = Plan { calls: bench.effort.calls / 2, post, ..Plan::default() };
    let mut servers = Vec::new();
    for subject in SUBJECTS {
        let serving = Serving { subject, upstream: Some(&upstream.address), settings: &[] };
        servers.push(Server::start(&serving, Under::Nothing)?);
    }
    let mut samples = vec![Vec::new(); SUBJECTS.len()];
    for _ in 0..bench.effort.rounds {
        for (server, samples) in servers.iter_mut().zip(&mut samples) {
            samples.push(sample(server, Subject::Http, &plan, Under::Nothing)?);
        }
    }
    Ok(samples)
}

fn rows(name: &str, samples: &[Vec<Sample>]) -> Vec<Row> {
    let mut rows = Vec::new();
    for (baseline, theirs) in SUBJECTS.into_iter().zip(samples).skip(1) {
        for (metric, figure) in FIGURES {
            let of = |samples: &[Sample]| samples.iter().map(figure).collect();
            rows.push(Row::of(name, metric, of(&samples[0]), baseline.name(), of(theirs)));
        }
    }
    rows
}

fn table(name: &str, samples: &[Vec<Sample>]) -> String {
    let title = format!("{name}: of the edge's process, 16 requests in flight, in µs");
    let columns = ["", "CPU per request", "p50", "p99", "titan / this"];
    let mut table = Table::new(&title, &columns);
    for (subject, theirs) in SUBJECTS.into_iter().zip(samples) {
        let figures = FIGURES.map(|(_, figure)| median(theirs.iter().map(figure).collect()));
        let of = |samples: &[Sample]| samples.iter().map(FIGURES[0].1).collect();
        let ratio = Row::of(name, "", of(&samples[0]), subject.name(), of(theirs)).ratio;
        let cells = figures.map(|figure| format!("{figure:.1}")).into_iter();
        let name = [subject.name().to_owned()].into_iter();
        table.row(name.chain(cells).chain([format!("{ratio:.2}")]));
    }
    table.finish()
}
