//! What can be counted exactly, whatever else the machine does: allocations, by a
//! process whose allocator counts, and instructions, by callgrind.

use super::{SUBJECTS, settings};
use crate::{
    args::Subject,
    callgrind::{self, Instructions},
    child::{Plan, Server, Serving, Under},
    report::{Report, Row, Table},
    run::{Bench, Sample, sample},
};

/// Allocations of a call beside tonic's.
const ALLOCATIONS_BAR: f64 = 2.0;
/// Calls that allocations are counted over: a buffer that grows now and then
/// disappears among them.
const COUNTED_CALLS: usize = 8_000;

pub(super) fn bench(bench: &Bench<'_>, report: &mut Report) -> anyhow::Result<()> {
    for size in [64, 1024] {
        if bench.wants("mesh/unary/allocations") {
            allocations(bench, size, report)?;
        }
        // Under callgrind, everything takes fifty times as long.
        if bench.wants("mesh/unary/instructions") && !(bench.quick && size > 64) {
            instructions(bench, size, report)?;
        }
    }
    Ok(())
}

fn allocations(bench: &Bench<'_>, size: usize, report: &mut Report) -> anyhow::Result<()> {
    let title = format!("mesh/unary: allocations per call of {size} B, 16 in flight");
    let columns = ["", "client", "server", "both", "bytes, client", "bytes, server"];
    let mut table = Table::new(&title, &columns);
    let mut all = Vec::new();
    for subject in SUBJECTS {
        let counted = count(bench, subject, size)?;
        let per_call = |all: f64| all / counted.load.calls;
        let (client, server) = (counted.load.used, counted.server);
        let both = per_call(client.allocations + server.allocations);
        let cells = [per_call(client.allocations), per_call(server.allocations), both];
        let bytes = [per_call(client.allocated_bytes), per_call(server.allocated_bytes)];
        let cells = cells.map(|count| format!("{count:.1}"));
        let bytes = bytes.map(|count| format!("{count:.0}"));
        table.row([subject.name().to_owned()].into_iter().chain(cells).chain(bytes));
        all.push((subject, both));
    }
    report.section(&table.finish());
    let name = format!("mesh/unary/allocations/{size}-bytes");
    report.rows(compared(&name, "allocations_per_call", &all));
    let ours = all[0].1;
    for (subject, theirs) in all.iter().filter(|(subject, _)| is_tonic(*subject)) {
        let more = ours - theirs;
        let name = format!("allocations per call of {size} B beyond {}", subject.name());
        let bar = format!("<= {ALLOCATIONS_BAR}");
        report.bar(&name, bar, format!("{more:.1}"), more <= ALLOCATIONS_BAR);
    }
    Ok(())
}

fn is_tonic(subject: Subject) -> bool {
    matches!(subject, Subject::TonicMultiThread | Subject::TonicCurrentThread)
}

fn count(bench: &Bench<'_>, subject: Subject, size: usize) -> anyhow::Result<Sample> {
    let settings = settings(subject, bench);
    let serving = Serving::new(subject, settings);
    let mut server = Server::start(&serving, Under::Counter)?;
    let plan = Plan { calls: COUNTED_CALLS, size, settings: settings.to_vec(), ..Plan::default() };
    sample(&mut server, subject, &plan, Under::Counter)
}

fn instructions(bench: &Bench<'_>, size: usize, report: &mut Report) -> anyhow::Result<()> {
    if !callgrind::available() {
        report.section("Instructions were not counted: valgrind is not on the PATH.\n");
        return Ok(());
    }
    let title =
        format!("mesh/unary: instructions per call of {size} B in user space, 16 in flight");
    let mut table = Table::new(&title, &["", "client", "server", "both"]);
    let mut all = Vec::new();
    for subject in SUBJECTS {
        let counted = per_call(bench, subject, size)?;
        let cells = [counted.client.total(), counted.server.total(), counted.both()];
        let cells = cells.map(|count| format!("{count:.0}"));
        table.row([subject.name().to_owned()].into_iter().chain(cells));
        all.push((subject, counted.both()));
    }
    report.section(&table.finish());
    let name = format!("mesh/unary/instructions/{size}-bytes");
    report.rows(compared(&name, "instructions_per_call", &all));
    Ok(())
}

fn per_call(bench: &Bench<'_>, subject: Subject, size: usize) -> anyhow::Result<Instructions> {
    let settings = settings(subject, bench);
    let serving = Serving::new(subject, settings);
    let calls = if bench.quick { 600 } else { 2_000 };
    let plan = Plan { calls, size, settings: settings.to_vec(), ..Plan::default() };
    callgrind::per_call(&serving, subject, &plan, bench.folder)
}

/// The first beside each of the others.
fn compared(name: &str, metric: &'static str, all: &[(Subject, f64)]) -> Vec<Row> {
    let ours = all[0].1;
    let baselines = all[1..].iter();
    baselines
        .map(|(subject, theirs)| Row::of(name, metric, vec![ours], subject.name(), vec![*theirs]))
        .collect()
}
