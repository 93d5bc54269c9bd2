//! `titan down` and `titan restart`.

use std::{path::Path, time::Duration};

use anyhow::bail;
use mesh::proto::{RestartRequest, StopRequest};
use rustix::process::{Pid, Signal, kill_process};

use crate::{
    args::Restart,
    client::{Running, nothing_runs},
    output,
};

/// How long `titan down` waits. Each application has half a minute to drain, one
/// after the other; usually all of it takes a second.
const PATIENCE: Duration = Duration::from_mins(4);

/// Ends what runs, and waits for its end.
pub(crate) async fn down(data: &Path) -> anyhow::Result<()> {
    let Some(mut running) = Running::find(data)? else {
        output::print(nothing_runs(data));
        return Ok(());
    };
    let pid = running.run.pid;
    if running.supervisor.stop(StopRequest {}).await.is_err() {
        // It holds the lock, so the process is there; a signal reaches it too.
        if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
            kill_process(pid, Signal::TERM)?;
        }
    }
    output::print("titan   draining");
    if !running.directory.wait_until_free(PATIENCE)? {
        bail!("process {pid} still runs; `kill -9 {pid}` ends it, and its children drain");
    }
    output::print("titan   down");
    Ok(())
}

/// Restarts one application's processes.
pub(crate) async fn restart(data: &Path, options: Restart) -> anyhow::Result<()> {
    let mut running = Running::need(data)?;
    let Restart { app } = options;
    let answer = running.supervisor.restart(RestartRequest { app: app.clone() }).await;
    answer.map_err(|status| running.trouble(&status))?;
    output::print(format_args!("titan   {app} restarted"));
    Ok(())
}
