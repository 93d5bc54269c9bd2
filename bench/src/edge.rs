//! `edge/rest`: a REST call through the gateway to a service, beside a handler
//! that does the same by hand: axum, serde, tonic's channel.

use crate::{
    args::Subject,
    child::{Plan, Server},
    report::Row,
    run::{Effort, Sample, middle, sample},
};

const SUBJECTS: [Subject; 3] =
    [Subject::Edge, Subject::AxumMultiThread, Subject::AxumCurrentThread];

pub(crate) fn bench(only: &str, effort: Effort) -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (kind, post) in [("get", false), ("post", true)] {
        let name = format!("edge/rest/{kind}");
        if name.starts_with(only) {
            rows.extend(of(&name, post, effort)?);
        }
    }
    Ok(rows)
}

fn of(name: &str, post: bool, effort: Effort) -> anyhow::Result<Vec<Row>> {
    // All of them call the same service, whose cost is not counted.
    let upstream = Server::start(Subject::Mesh, None)?;
    let post = upstream.token.clone().filter(|_| post);
    let plan = Plan { calls: effort.calls / 2, concurrency: 16, post };
    let mut servers = SUBJECTS
        .into_iter()
        .map(|subject| {
            let server = Server::start(subject, Some(&upstream.address))?;
            Ok((subject, server, Vec::new()))
        })
        .collect::<anyhow::Result<Vec<(Subject, Server, Vec<Sample>)>>>()?;
    for _ in 0..effort.rounds {
        for (_, server, samples) in &mut servers {
            samples.push(sample(server, Subject::Http, &plan)?);
        }
    }
    let (_, _, ours) = &servers[0];
    let mut rows = Vec::new();
    for (baseline, _, theirs) in &servers[1..] {
        for (metric, figure) in [
            ("cpu_us_per_request", Sample::server_us_per_call as fn(&Sample) -> f64),
            ("p50_us", |sample| sample.load.p50_us),
            ("p99_us", |sample| sample.load.p99_us),
        ] {
            let (subject, base) = (middle(ours, figure), middle(theirs, figure));
            rows.push(Row::new(name, (metric, "us"), subject, (baseline.name(), base)));
        }
    }
    Ok(rows)
}
