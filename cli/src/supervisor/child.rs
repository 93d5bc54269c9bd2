//! A process of the operating system: started so that it ends with the
//! supervisor, its output captured.

use std::{io, process::Stdio, time::Duration};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::{
    process::{self, ChildStdin, Command},
    task::JoinSet,
    time,
};

use super::{
    logs::{Log, capture},
    process::Spec,
    topology::OWN_VARIABLES,
};

/// How long the last lines of a process that ended are waited for: something it
/// started may still hold its output open.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// A process that runs.
pub(super) struct Child {
    process: process::Child,
    /// Its process id.
    pub(super) pid: u32,
    /// Its end tells the process that the supervisor is gone; so it is held, and
    /// not in `process`, which closes it as soon as it waits.
    _stdin: Option<ChildStdin>,
    output: JoinSet<()>,
}

impl Child {
    /// Starts it, with its output going to a log.
    pub(super) fn start(spec: &Spec, log: &Log) -> io::Result<Self> {
        let mut command = Command::new(&spec.program);
        for name in OWN_VARIABLES {
            command.env_remove(name);
        }
        command
            .args(&spec.arguments)
            .envs(spec.settings.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A group of its own: Ctrl-C at the terminal reaches the supervisor
            // alone, which then ends everything in order.
            .process_group(0);
        let mut process = command.spawn()?;
        let mut output = JoinSet::new();
        if let Some(stdout) = process.stdout.take() {
            output.spawn(capture(stdout, log.clone()));
        }
        if let Some(stderr) = process.stderr.take() {
            output.spawn(capture(stderr, log.clone()));
        }
        let pid = process.id().unwrap_or_default();
        Ok(Self { pid, _stdin: process.stdin.take(), process, output })
    }

    /// How it ended, once it has. May be dropped and asked again.
    pub(super) async fn exit(&mut self) -> String {
        let exit = match self.process.wait().await {
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        };
        let all_said = async { while self.output.join_next().await.is_some() {} };
        let _ = time::timeout(LAST_WORDS, all_said).await;
        exit
    }

    /// Asks it to end.
    pub(super) fn terminate(&self) {
        if let Some(pid) = self.id() {
            let _ = kill_process(pid, Signal::TERM);
        }
    }

    /// Ends it, with what it may have started: that is in its group.
    pub(super) fn kill(&self) {
        if let Some(pid) = self.id() {
            let _ = kill_process_group(pid, Signal::KILL);
        }
    }

    /// Its id, as long as that cannot be anybody else's: until it was waited for.
    fn id(&self) -> Option<Pid> {
        Pid::from_raw(i32::try_from(self.process.id()?).ok()?)
    }
}
