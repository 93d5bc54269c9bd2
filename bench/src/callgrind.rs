//! Instructions per call, counted by callgrind. Two runs that differ in nothing
//! but the number of calls cancel what starting and ending takes. Only
//! instructions in user space are seen: a system call counts as one, so waking a
//! thread looks cheaper here than it is.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::Context as _;

use crate::{
    args::Subject,
    child::{Loader, Plan, Server, Serving, Under},
};

/// Instructions of a call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Instructions {
    pub(crate) client: f64,
    pub(crate) server: f64,
}

impl Instructions {
    pub(crate) fn both(self) -> f64 {
        self.client + self.server
    }
}

/// Whether valgrind is there.
pub(crate) fn available() -> bool {
    let version = Command::new("valgrind").arg("--version").stdout(Stdio::null()).status();
    version.is_ok_and(|status| status.success())
}

/// Counts the instructions of a call of `plan`, whose number of calls makes the
/// difference of the two runs.
pub(crate) fn per_call(
    serving: &Serving<'_>,
    loader: Subject,
    plan: &Plan,
    folder: &Path,
) -> anyhow::Result<Instructions> {
    let short = Plan { calls: plan.calls / 2, ..plan.clone() };
    let long = Plan { calls: plan.calls / 2 + plan.calls, ..plan.clone() };
    let short = count(serving, loader, &short, folder)?;
    let long = count(serving, loader, &long, folder)?;
    let calls = long.calls - short.calls;
    Ok(Instructions {
        client: (long.client - short.client) / calls,
        server: (long.server - short.server) / calls,
    })
}

/// Of a whole run of both processes.
struct Totals {
    client: f64,
    server: f64,
    calls: f64,
}

fn count(
    serving: &Serving<'_>,
    loader: Subject,
    plan: &Plan,
    folder: &Path,
) -> anyhow::Result<Totals> {
    let (of_server, of_client) = (folder.join("server.callgrind"), folder.join("client.callgrind"));
    let server = Server::start(serving, Under::Callgrind(&of_server))?;
    let loading = Loader::start(loader, &server.address, plan, Under::Callgrind(&of_client))?;
    let calls = loading.run()?.calls_ever;
    server.finish()?;
    Ok(Totals { client: total(&of_client)?, server: total(&of_server)?, calls })
}

/// The sum that callgrind writes.
fn total(file: &Path) -> anyhow::Result<f64> {
    let text = fs::read_to_string(file)?;
    let line = text.lines().find_map(|line| line.strip_prefix("summary: "));
    Ok(line.context("callgrind wrote no summary")?.trim().parse()?)
}
