//! Instructions per call, counted by callgrind. Two runs that differ in nothing
//! but the number of calls cancel what starting and ending takes. Only
//! instructions in user space are seen: a system call counts as one, so waking a
//! thread looks cheaper here than it is.

mod profile;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

pub(crate) use self::profile::Profile;
use crate::{
    args::Subject,
    child::{Loader, Plan, Server, Serving, Under},
};

/// Instructions of a call, on each side.
#[derive(Clone, Debug)]
pub(crate) struct Instructions {
    pub(crate) client: Profile,
    pub(crate) server: Profile,
}

impl Instructions {
    pub(crate) fn both(&self) -> f64 {
        self.client.total() + self.server.total()
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
        client: long.client.since(&short.client, calls),
        server: long.server.since(&short.server, calls),
    })
}

/// A whole run of both processes.
struct Run {
    client: Profile,
    server: Profile,
    calls: f64,
}

fn count(
    serving: &Serving<'_>,
    loader: Subject,
    plan: &Plan,
    folder: &Path,
) -> anyhow::Result<Run> {
    let file = |side: &str| -> PathBuf { folder.join(format!("{side}.callgrind")) };
    let (of_server, of_client) = (file("server"), file("client"));
    let server = Server::start(serving, Under::Callgrind(&of_server))?;
    let loading = Loader::start(loader, &server.address, plan, Under::Callgrind(&of_client))?;
    let calls = loading.run()?.calls_ever;
    server.finish()?;
    let read = |file| anyhow::Ok(Profile::parse(&fs::read_to_string(file)?));
    Ok(Run { client: read(of_client)?, server: read(of_server)?, calls })
}
