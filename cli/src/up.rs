//! `titan up`: prepares a run, starts it, reports what happens, and ends it when
//! asked.

mod plan;
pub(crate) mod report;

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::{Context as _, bail};
use mesh::{Routes, proto::supervisor_service_server::SupervisorServiceServer};
use tokio::{
    sync::{Notify, mpsc},
    task::JoinHandle,
    time,
};

use self::{plan::Plan, report::Report};
use crate::{
    args::Up,
    directory::Directory,
    doctor, signals,
    supervisor::{Supervisor, event::Event, grpc::Control},
};

/// How long the supervisor's own server may take to end its last answers.
const LAST_ANSWERS: Duration = Duration::from_millis(500);

/// Runs the system until somebody asks it to end.
pub(crate) async fn run(data: &Path, options: &Up) -> anyhow::Result<()> {
    if options.background {
        leave_the_terminal()?;
    }
    let directory = Directory::create(data)?;
    let lock = directory.lock()?;
    if let Some(backup) = directory.interrupted_restore() {
        bail!("the restore of {backup} was interrupted; run `titan restore {backup}` again");
    }
    let plan = Plan::new(&directory, options, lock.stale()).await?;
    doctor::before_start(&plan.databases(), &options.allow).await?;
    let app = plan.app()?;
    let (supervisor, events) = Supervisor::new(plan.specs(&directory), &app)?;

    let stop = Arc::new(Notify::new());
    let asked = stop.clone();
    let control = plan.control(&directory, supervisor.clone(), stop);
    let mut server = tokio::spawn(serve(app, control));
    lock.announce(&plan.run())?;

    let reporter = tokio::spawn(report(plan.report(), events));
    let starting = tokio::spawn({
        let supervisor = supervisor.clone();
        async move { supervisor.start().await }
    });
    let ended = tokio::select! {
        () = signals::end() => Ok(()),
        () = asked.notified() => Ok(()),
        failed = &mut server => failed.context("the supervisor's server broke off")?,
    };
    starting.abort();
    drain(&supervisor).await;
    let _ = time::timeout(LAST_ANSWERS, answered(server)).await;
    reporter.abort();
    ended
}

/// A session of its own: the end of the terminal's is none of ours.
fn leave_the_terminal() -> anyhow::Result<()> {
    rustix::process::setsid().context("cannot leave the terminal")?;
    Ok(())
}

async fn serve(app: mesh::App, control: Control) -> anyhow::Result<()> {
    app.serve()
        .contracts(mesh::DESCRIPTORS)
        .routes(Routes::new().add(SupervisorServiceServer::new(control)))
        .until(std::future::pending())
        .await?;
    Ok(())
}

async fn answered(server: JoinHandle<anyhow::Result<()>>) {
    server.abort();
    let _ = server.await;
}

async fn report(mut report: Report, mut events: mpsc::Receiver<Event>) {
    while let Some(event) = events.recv().await {
        report.tell(event);
    }
}

async fn drain(supervisor: &Supervisor) {
    Report::draining();
    tokio::select! {
        () = supervisor.stop() => {}
        () = signals::insistence() => supervisor.kill().await,
    }
}
