//! The supervisor: starts the applications in order, keeps each process running,
//! ends them in the reverse order.
//!
//! A process is known to be healthy when the registry names it (by its process
//! id) and it answers the gRPC health check at the address named there.

mod child;
pub(crate) mod event;
pub(crate) mod grpc;
mod health;
mod keeper;
pub(crate) mod logs;
pub(crate) mod process;
mod restart;
pub(crate) mod topology;

use std::{io, sync::Arc, time::Duration};

use tokio::{sync::mpsc, task::JoinSet, time};

use self::{
    event::Event,
    process::{Process, Spec},
    topology::REGISTRY,
};

/// How long the others wait for the registry before they start without it: they
/// would find it later, but each only after a wait of its own.
const REGISTRY_FIRST: Duration = Duration::from_secs(3);

/// Reports that wait to be printed. Printing is fast; a terminal that is held
/// delays the supervisor no sooner than after this many.
const EVENTS: usize = 256;

/// Everything that runs. A clone is the same supervisor.
#[derive(Clone, Debug)]
pub(crate) struct Supervisor {
    /// In the order in which they start.
    processes: Arc<[Process]>,
    /// Ends with the last clone.
    _tasks: Arc<JoinSet<()>>,
}

impl Supervisor {
    /// Prepares processes, in the order in which they are to start, and what
    /// watches their health.
    ///
    /// # Errors
    /// A log that cannot be written.
    pub(crate) fn new(
        specs: Vec<Spec>,
        app: &mesh::App,
    ) -> io::Result<(Self, mpsc::Receiver<Event>)> {
        let (events, reported) = mpsc::channel(EVENTS);
        let mut tasks = JoinSet::new();
        let processes = specs
            .into_iter()
            .map(|spec| Process::new(spec, events.clone(), &mut tasks))
            .collect::<io::Result<Arc<[Process]>>>()?;
        health::attend(&processes, app, &mut tasks);
        Ok((Self { processes, _tasks: Arc::new(tasks) }, reported))
    }

    /// The processes, in the order in which they start.
    pub(crate) fn processes(&self) -> &[Process] {
        &self.processes
    }

    /// Starts everything; returns when everything is started, not when it is
    /// healthy.
    pub(crate) async fn start(&self) {
        for process in self.of(REGISTRY) {
            process.start().await;
            let up = process.wait(|status| status.state == process::State::Up);
            let _ = time::timeout(REGISTRY_FIRST, up).await;
        }
        for process in self.processes.iter().filter(|process| process.app != REGISTRY) {
            process.start().await;
        }
    }

    /// Ends everything, the last application first: who calls others ends before
    /// those it calls, so that no call fails on the way.
    pub(crate) async fn stop(&self) {
        let mut apps: Vec<&str> = self.processes.iter().map(|found| found.app.as_str()).collect();
        apps.dedup();
        for app in apps.into_iter().rev() {
            let mut ends = Vec::new();
            for process in self.of(app) {
                ends.push(process.stop().await);
            }
            for end in ends {
                end.come().await;
            }
        }
    }

    /// Ends everything at once.
    pub(crate) async fn kill(&self) {
        let mut ends = Vec::new();
        for process in self.processes.iter() {
            ends.push(process.kill().await);
        }
        for end in ends {
            end.come().await;
        }
    }

    /// The processes of an application.
    pub(crate) fn of<'a>(&'a self, app: &'a str) -> impl Iterator<Item = &'a Process> {
        self.processes.iter().filter(move |process| process.app == app)
    }
}

#[cfg(test)]
mod tests;
