//! `mesh/features`: what each policy costs alone, in instructions per call. The
//! same call is made with everything on and with one policy off, by a setting or
//! by a method whose contract lacks it; the difference is what it costs, wherever
//! its code lies. What cannot be turned off is seen in the second table, which
//! tells in which file the mesh's own instructions are spent.

use std::collections::BTreeSet;

use crate::{
    args::{Method, Subject},
    callgrind::{self, Instructions},
    child::{Plan, Serving},
    report::{Report, Table},
    run::Bench,
};

/// A way to make the call.
#[derive(Clone, Copy, Debug)]
struct Variant {
    method: Method,
    /// Whether the caller proves its name.
    proof: bool,
    /// A setting of the server.
    setting: Option<&'static str>,
}

const EVERYTHING: Variant = Variant { method: Method::Echo, proof: true, setting: None };
/// Open to all: the proof of a name can be left out and the call still goes.
const PUBLIC: Variant = Variant { method: Method::Public, ..EVERYTHING };

/// What is turned off, the call with it, the call without it.
const FEATURES: [(&str, Variant, Variant); 6] = [
    (
        "deadline: timer on both sides, header",
        EVERYTHING,
        Variant { method: Method::WithoutDeadline, ..EVERYTHING },
    ),
    ("validation of the request", EVERYTHING, Variant { method: Method::Unchecked, ..EVERYTHING }),
    ("access rule", EVERYTHING, PUBLIC),
    (
        "proof of the caller's name: made, sent, verified",
        PUBLIC,
        Variant { proof: false, ..PUBLIC },
    ),
    ("permission to repeat", EVERYTHING, Variant { method: Method::Once, ..EVERYTHING }),
    ("overload control", EVERYTHING, Variant { setting: Some("overload=off"), ..EVERYTHING }),
];

/// Files below this share of a call are summed up.
const SMALL: f64 = 0.004;

pub(crate) fn bench(bench: &Bench<'_>, report: &mut Report) -> anyhow::Result<()> {
    if !callgrind::available() {
        report.section("mesh/features was skipped: valgrind is not on the PATH.\n");
        return Ok(());
    }
    let everything = count(bench, EVERYTHING)?;
    let public = count(bench, PUBLIC)?;
    report.section(&switches(bench, &everything, &public)?);
    report.section(&files(&everything));
    report.section(&crates(bench, &everything)?);
    Ok(())
}

fn calls(bench: &Bench<'_>) -> usize {
    if bench.quick { 600 } else { 2_000 }
}

fn count(bench: &Bench<'_>, variant: Variant) -> anyhow::Result<Instructions> {
    let client = if variant.proof { bench.everything.clone() } else { Vec::new() };
    let mut server = bench.everything.clone();
    server.extend(variant.setting.map(str::to_owned));
    let serving = Serving::new(Subject::Mesh, &server);
    let plan =
        Plan { calls: calls(bench), method: variant.method, settings: client, ..Plan::default() };
    callgrind::per_call(&serving, Subject::Mesh, &plan, bench.folder)
}

fn switches(
    bench: &Bench<'_>,
    everything: &Instructions,
    public: &Instructions,
) -> anyhow::Result<String> {
    let title = "mesh/features: instructions per call of 64 B that a policy alone costs";
    let mut table = Table::new(title, &["", "client", "server", "both", "share of the call"]);
    let whole = everything.both();
    for (name, with, without) in FEATURES {
        let with = if matches!(with.method, Method::Public) { public } else { everything };
        let known = matches!(without.method, Method::Public) && without.proof;
        let without = if known { public.clone() } else { count(bench, without)? };
        let client = with.client.total() - without.client.total();
        let server = with.server.total() - without.server.total();
        table.row([name.to_owned()].into_iter().chain(cells(client, server, whole)));
    }
    let cells = cells(everything.client.total(), everything.server.total(), whole);
    table.row(["**the whole call, everything on**".to_owned()].into_iter().chain(cells));
    Ok(table.finish())
}

fn cells(client: f64, server: f64, whole: f64) -> [String; 4] {
    let both = client + server;
    let share = format!("{:.1} %", both / whole * 100.0);
    [format!("{client:.0}"), format!("{server:.0}"), format!("{both:.0}"), share]
}

/// Where the mesh's own instructions are spent: what a file's lines do
/// themselves, inlined or not; what they call elsewhere is in the third table.
fn files(everything: &Instructions) -> String {
    let title = "mesh/features: instructions per call by file of the mesh, callees not included";
    let mut table =
        Table::new(title, &["mesh/src/", "client", "server", "both", "share of the call"]);
    let whole = everything.both();
    let (client, server) = (&everything.client, &everything.server);
    let all: BTreeSet<_> = client.files().chain(server.files()).map(|(source, _)| source).collect();
    let mut costs: Vec<_> =
        all.into_iter().map(|source| (source, client.of(source), server.of(source))).collect();
    costs.sort_by(|a, b| (b.1 + b.2).total_cmp(&(a.1 + a.2)));
    let (large, small): (Vec<_>, Vec<_>) =
        costs.into_iter().partition(|(_, client, server)| client + server >= whole * SMALL);
    for (source, client, server) in large {
        let name = source.file().unwrap_or_default().to_owned();
        table.row([name].into_iter().chain(cells(client, server, whole)));
    }
    let rest =
        small.iter().fold((0.0, 0.0), |sum, (_, client, server)| (sum.0 + client, sum.1 + server));
    let name = format!("{} others", small.len());
    table.row([name].into_iter().chain(cells(rest.0, rest.1, whole)));
    table.finish()
}

/// The same by crate, beside tonic and the floor.
fn crates(bench: &Bench<'_>, everything: &Instructions) -> anyhow::Result<String> {
    let plan = Plan { calls: calls(bench), ..Plan::default() };
    let mut all = vec![everything.clone()];
    for subject in [Subject::TonicCurrentThread, Subject::H2] {
        let serving = Serving::new(subject, &[]);
        all.push(callgrind::per_call(&serving, subject, &plan, bench.folder)?);
    }
    let title = "mesh/features: instructions per call of both sides, by crate";
    let columns = ["", "mesh", "tonic current-thread", "h2 alone"];
    let mut table = Table::new(title, &columns);
    let sides = |one: &Instructions, name: &str| {
        [&one.client, &one.server]
            .map(|side| side.crates().get(name).copied().unwrap_or_default())
            .iter()
            .sum::<f64>()
    };
    let names: BTreeSet<&str> = all
        .iter()
        .flat_map(|one| one.client.crates().into_keys().chain(one.server.crates().into_keys()))
        .collect();
    let mut rows: Vec<(&str, Vec<f64>)> = names
        .into_iter()
        .map(|name| (name, all.iter().map(|one| sides(one, name)).collect()))
        .collect();
    rows.retain(|(_, costs)| costs.iter().zip(&all).any(|(cost, one)| *cost >= one.both() * SMALL));
    rows.sort_by(|a, b| b.1[0].total_cmp(&a.1[0]));
    for (name, costs) in rows {
        let cells = costs.into_iter().map(|cost| format!("{cost:.0}"));
        table.row([name.to_owned()].into_iter().chain(cells));
    }
    table.row(
        ["**all**".to_owned()]
            .into_iter()
            .chain(all.iter().map(|one| format!("{:.0}", one.both()))),
    );
    Ok(table.finish())
}
