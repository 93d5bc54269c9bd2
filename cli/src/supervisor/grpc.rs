//! `titan.mesh.v1.SupervisorService`, by which the other `titan` commands reach
//! the one that runs everything.

use std::{fs, sync::Arc};

use mesh::{
    proto::{
        self, GetStatusRequest, GetStatusResponse, RestartRequest, RestartResponse, StopRequest,
        StopResponse, process::State as Wire, supervisor_service_server::SupervisorService,
    },
    status,
};
use tokio::sync::Notify;
use tonic::{Code, Request, Response, Status};

use super::{
    Supervisor,
    process::{Process, State},
};

/// Answers for a supervisor.
#[derive(Clone, Debug)]
pub(crate) struct Control {
    /// Who is answered for.
    pub supervisor: Supervisor,
    /// Where the edge serves, as a URL; empty when none runs.
    pub edge: String,
    /// Where the registry serves.
    pub registry: String,
    /// Where data and logs are.
    pub directory: String,
    /// Told when somebody asks for the end.
    pub stop: Arc<Notify>,
}

#[tonic::async_trait]
impl SupervisorService for Control {
    async fn get_status(
        &self,
        _: Request<GetStatusRequest>,
    ) -> Result<Response<GetStatusResponse>, Status> {
        Ok(Response::new(GetStatusResponse {
            processes: self.supervisor.processes().iter().map(describe).collect(),
            edge: self.edge.clone(),
            registry: self.registry.clone(),
            directory: self.directory.clone(),
        }))
    }

    async fn restart(
        &self,
        request: Request<RestartRequest>,
    ) -> Result<Response<RestartResponse>, Status> {
        let app = request.into_inner().app;
        let mut processes = self.supervisor.of(&app).peekable();
        if processes.peek().is_none() {
            let message = format!("{app} is not among what runs");
            return Err(status::refuse(Code::NotFound, "APPLICATION_NOT_FOUND", message));
        }
        // One after the other: where there are several, some always serve.
        for process in processes {
            process.restart().await.map_err(|exit| {
                let message = format!("{} did not come up again: {exit}", process.name);
                status::refuse(Code::FailedPrecondition, "RESTART_FAILED", message)
            })?;
        }
        Ok(Response::new(RestartResponse {}))
    }

    async fn stop(&self, _: Request<StopRequest>) -> Result<Response<StopResponse>, Status> {
        self.stop.notify_one();
        Ok(Response::new(StopResponse {}))
    }
}

fn describe(process: &Process) -> proto::Process {
    let status = process.status();
    let state = match status.state {
        State::Starting => Wire::Starting,
        State::Up => Wire::Up,
        State::BackingOff => Wire::BackingOff,
        State::Stopping => Wire::Stopping,
        State::Stopped => Wire::Stopped,
    };
    proto::Process {
        name: process.name.clone(),
        app: process.app.clone(),
        state: state.into(),
        pid: status.pid,
        address: status.address,
        admin_address: status.admin_address,
        restarts: status.restarts,
        start_time: status.started.map(Into::into),
        last_exit: status.last_exit,
        resident_bytes: resident_bytes(status.pid).unwrap_or_default(),
    }
}

/// Resident memory of a process, where the system tells it as Linux does.
fn resident_bytes(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}
