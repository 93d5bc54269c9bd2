//! A whole measurement: rounds of subject and baselines in turn, so that what
//! disturbs the machine disturbs all of them.

use std::path::Path;

use crate::{
    args::{Run, Subject},
    child::{Load, Loader, Plan, Server, Under},
    deadline, durable, edge, features, overload,
    report::{self, Report},
    sidecar, slow, unary,
    usage::Usage,
};

/// What every bench of a run is told.
#[derive(Debug)]
pub(crate) struct Bench<'a> {
    /// Only scenarios whose name begins with this.
    pub(crate) only: &'a str,
    pub(crate) quick: bool,
    pub(crate) effort: Effort,
    /// Settings that turn on in a mesh what is off without them: the proof of the
    /// caller's name, which `titan up` gives to every process.
    pub(crate) everything: Vec<String>,
    /// For files of the run.
    pub(crate) folder: &'a Path,
}

impl Bench<'_> {
    /// Calls of a round at a fixed rate.
    pub(crate) fn calm_calls(&self) -> usize {
        if self.quick { 300 } else { 1_500 }
    }

    pub(crate) fn wants(&self, scenario: &str) -> bool {
        scenario.starts_with(self.only) || self.only.starts_with(scenario)
    }
}

/// Rounds and calls.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    pub(crate) rounds: usize,
    /// In flight at once, a call takes a fraction of the time that it takes
    /// alone; this many make a round of about half a second.
    pub(crate) calls: usize,
}

/// One round of one subject.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    pub(crate) load: Load,
    pub(crate) server: Usage,
}

impl Sample {
    pub(crate) fn server_us_per_call(&self) -> f64 {
        self.server.cpu_ns / self.load.calls / 1e3
    }

    pub(crate) fn client_us_per_call(&self) -> f64 {
        self.load.used.cpu_ns / self.load.calls / 1e3
    }

    pub(crate) fn both_us_per_call(&self) -> f64 {
        self.server_us_per_call() + self.client_us_per_call()
    }
}

/// Measures one round.
pub(crate) fn sample(
    server: &mut Server,
    loader: Subject,
    plan: &Plan,
    under: Under<'_>,
) -> anyhow::Result<Sample> {
    let loading = Loader::start(loader, &server.address, plan, under)?;
    let before = server.used()?;
    let load = loading.run()?;
    let server = server.used()?.since(before);
    Ok(Sample { load, server })
}

pub(crate) fn run(options: &Run) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let key = folder.path().join("mesh.key");
    // Not a secret: it opens servers that live for minutes, on loopback.
    std::fs::write(&key, "5a".repeat(32))?;
    let effort = if options.quick {
        Effort { rounds: 3, calls: 4_000 }
    } else {
        Effort { rounds: 5, calls: 30_000 }
    };
    let bench = Bench {
        only: &options.only,
        quick: options.quick,
        effort,
        everything: vec![format!("mesh_key_file={}", key.display())],
        folder: folder.path(),
    };
    let mut report = Report::new(options.quick);
    for (name, measure) in [
        ("mesh/unary", unary::bench as fn(&Bench<'_>, &mut Report) -> anyhow::Result<()>),
        ("mesh/features", features::bench),
        ("mesh/sidecar", sidecar::bench),
        ("mesh/overload", overload::bench),
        ("mesh/slow", slow::bench),
        ("mesh/deadline", deadline::bench),
        ("edge/rest", edge::bench),
        ("durable", durable::bench),
    ] {
        // Counting under callgrind takes too long for a short run, unless asked for.
        let brief = options.quick && name == "mesh/features" && options.only.is_empty();
        if bench.wants(name) && !brief {
            report::progress(&format!("{name} ..."));
            measure(&bench, &mut report)?;
        }
    }
    anyhow::ensure!(!report.is_empty(), "there is no bench whose name begins with {}", bench.only);
    report.write(&options.report)
}
