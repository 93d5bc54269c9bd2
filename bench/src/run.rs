//! A whole measurement: rounds of subject and baselines in turn, so that what
//! disturbs the machine disturbs all of them.

use crate::{
    args::{Run, Subject},
    child::{Load, Loader, Plan, Server},
    edge, report, unary,
};

/// Rounds and calls.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    pub(crate) rounds: usize,
    pub(crate) calls: usize,
}

/// One round of one subject.
#[derive(Debug)]
pub(crate) struct Sample {
    pub(crate) load: Load,
    pub(crate) server_cpu_ns: f64,
}

impl Sample {
    pub(crate) fn server_us_per_call(&self) -> f64 {
        self.server_cpu_ns / self.load.calls / 1e3
    }

    pub(crate) fn client_us_per_call(&self) -> f64 {
        self.load.cpu_ns / self.load.calls / 1e3
    }

    pub(crate) fn both_us_per_call(&self) -> f64 {
        self.server_us_per_call() + self.client_us_per_call()
    }
}

/// Measures one round.
pub(crate) fn sample(server: &mut Server, loader: Subject, plan: &Plan) -> anyhow::Result<Sample> {
    let loading = Loader::start(loader, &server.address, plan)?;
    let before = server.cpu_ns()?;
    let load = loading.run()?;
    let server_cpu_ns = server.cpu_ns()? - before;
    Ok(Sample { load, server_cpu_ns })
}

/// The middle of a figure over all rounds.
pub(crate) fn middle(samples: &[Sample], figure: impl Fn(&Sample) -> f64) -> f64 {
    report::median(samples.iter().map(figure).collect())
}

pub(crate) fn run(options: &Run) -> anyhow::Result<()> {
    let effort = if options.quick {
        Effort { rounds: 3, calls: 20_000 }
    } else {
        Effort { rounds: 9, calls: 100_000 }
    };
    let mut rows = Vec::new();
    for (name, bench) in [
        ("mesh/unary", unary::bench as fn(&str, Effort) -> anyhow::Result<Vec<report::Row>>),
        ("edge/rest", edge::bench),
    ] {
        let wanted = name.starts_with(&options.only) || options.only.starts_with(name);
        if wanted {
            rows.extend(bench(&options.only, effort)?);
        }
    }
    anyhow::ensure!(!rows.is_empty(), "there is no bench whose name begins with {}", options.only);
    report::write(&rows, &options.report)
}
