//! `titan up --detach`: runs itself in the background and waits with the user
//! until everything is healthy.

use std::{
    env, fs,
    fs::OpenOptions,
    io::{Read as _, Seek as _, SeekFrom},
    path::Path,
    process::Stdio,
    time::{Duration, SystemTime},
};

use anyhow::{Context as _, bail};
use mesh::proto::{self, GetStatusResponse, process::State};
use tokio::{
    process::{Child, Command},
    time,
};

use crate::{
    args::Up,
    client::Running,
    directory::Directory,
    supervisor::event::{Event, What},
    up::report::Report,
};

/// How often the one in the background is asked how far it is.
const ASK_EVERY: Duration = Duration::from_millis(50);

/// A process that was started this often again will not come up.
const HOPELESS_RESTARTS: u32 = 4;

/// Starts it, and returns when everything is healthy.
///
/// # Errors
/// What kept it from becoming healthy; then nothing is left running.
pub(crate) async fn run(data: &Path, options: &Up) -> anyhow::Result<()> {
    let directory = Directory::create(data)?;
    // Refused here rather than in the background, where nobody reads it.
    drop(directory.lock()?);
    let log = directory.log("titan");
    let begin = fs::metadata(&log).map_or(0, |log| log.len());
    let mut child = start(&log, options)?;

    let mut report: Option<Report> = None;
    let mut told = Vec::new();
    loop {
        if let Some(exit) = child.try_wait()? {
            let said = tail(&log, begin).unwrap_or_default();
            bail!("titan ended in the background ({exit}):\n{}", said.trim_end());
        }
        if let Some(status) = status(data).await {
            let report = report.get_or_insert_with(|| new_report(&status));
            tell(report, &status, &mut told);
            if report.complete() {
                return Ok(());
            }
            if let Some(dead) = status.processes.iter().find(|found| hopeless(found)) {
                return give_up(&directory, &mut child, dead).await;
            }
        }
        time::sleep(ASK_EVERY).await;
    }
}

fn start(log: &Path, options: &Up) -> anyhow::Result<Child> {
    let output = OpenOptions::new().create(true).append(true).open(log);
    let output = output.with_context(|| format!("cannot write {}", log.display()))?;
    let this = env::current_exe().context("cannot tell where this program is")?;
    let arguments = env::args_os().skip(1).filter(|argument| argument != "--detach");
    let child = Command::new(this)
        .args(arguments)
        .arg("--background")
        // Its standard input is at its end from the start.
        .env_remove("TITAN_EXIT_ON_STDIN_EOF")
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output)
        .spawn();
    debug_assert!(options.detach, "there is an argument to leave out");
    child.context("cannot start titan in the background")
}

/// Its status, once it answers.
async fn status(data: &Path) -> Option<GetStatusResponse> {
    let mut running = Running::find(data).ok()??;
    running.status().await.ok()
}

fn new_report(status: &GetStatusResponse) -> Report {
    let names = status.processes.iter().map(|process| process.name.clone());
    Report::new(names, Some(status.edge.clone()).filter(|edge| !edge.is_empty()))
}

/// Reports whoever came up since the last time.
fn tell(report: &mut Report, status: &GetStatusResponse, told: &mut Vec<String>) {
    for process in &status.processes {
        if process.state() == State::Up && !told.contains(&process.name) {
            told.push(process.name.clone());
            let (address, took) = (process.address.clone(), age(process));
            report.tell(Event { name: process.name.clone(), what: What::Up { address, took } });
        }
    }
}

fn age(process: &proto::Process) -> Duration {
    let start = process.start_time.and_then(|time| SystemTime::try_from(time).ok());
    start.and_then(|start| start.elapsed().ok()).unwrap_or_default()
}

fn hopeless(process: &proto::Process) -> bool {
    process.restarts >= HOPELESS_RESTARTS && process.state() == State::BackingOff
}

async fn give_up(
    directory: &Directory,
    child: &mut Child,
    dead: &proto::Process,
) -> anyhow::Result<()> {
    if let Ok(Some(mut running)) = Running::find(directory.path()) {
        let _ = running.supervisor.stop(proto::StopRequest {}).await;
    }
    child.wait().await?;
    let log = directory.log(&dead.name);
    bail!(
        "{} keeps dying, the last time by {}; everything was stopped again. Its log is {}",
        dead.name,
        dead.last_exit,
        log.display()
    )
}

/// What was written to a file from a place on.
fn tail(path: &Path, begin: u64) -> std::io::Result<String> {
    let mut file = fs::File::open(path)?;
    file.seek(SeekFrom::Start(begin))?;
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    Ok(text)
}
