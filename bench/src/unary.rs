//! `mesh/unary`: a small unary call through the mesh with everything that is on
//! by default (contract lookup, deadline, validation, access rule, trace context,
//! metrics), beside tonic with nothing.

use crate::{
    args::Subject,
    child::{Plan, Server},
    report::Row,
    run::{Effort, Sample, middle, sample},
};

const BASELINES: [Subject; 2] = [Subject::TonicMultiThread, Subject::TonicCurrentThread];

pub(crate) fn bench(only: &str, effort: Effort) -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    for concurrency in [1, 16, 64] {
        let name = format!("mesh/unary/concurrency-{concurrency}");
        if name.starts_with(only) {
            rows.extend(at(&name, concurrency, effort)?);
        }
    }
    Ok(rows)
}

fn at(name: &str, concurrency: usize, effort: Effort) -> anyhow::Result<Vec<Row>> {
    let plan = Plan { calls: effort.calls, concurrency, post: None };
    let subjects = [Subject::Mesh].into_iter().chain(BASELINES);
    let mut servers = subjects
        .map(|subject| Ok((subject, Server::start(subject, None)?, Vec::new())))
        .collect::<anyhow::Result<Vec<(Subject, Server, Vec<Sample>)>>>()?;
    for _ in 0..effort.rounds {
        for (subject, server, samples) in &mut servers {
            samples.push(sample(server, *subject, &plan)?);
        }
    }
    let (_, _, ours) = &servers[0];
    let mut rows = Vec::new();
    for (baseline, _, theirs) in &servers[1..] {
        for (metric, figure) in [
            ("cpu_us_per_call", Sample::both_us_per_call as fn(&Sample) -> f64),
            ("client_cpu_us_per_call", Sample::client_us_per_call),
            ("server_cpu_us_per_call", Sample::server_us_per_call),
            ("p50_us", |sample| sample.load.p50_us),
            ("p99_us", |sample| sample.load.p99_us),
        ] {
            let (subject, base) = (middle(ours, figure), middle(theirs, figure));
            rows.push(Row::new(name, (metric, "us"), subject, (baseline.name(), base)));
        }
    }
    Ok(rows)
}
