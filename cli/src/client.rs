//! Finds the `titan up` that runs in a data directory.

use std::{path::Path, time::Duration};

use anyhow::{Context as _, anyhow};
use mesh::{
    App, Channel, Settings,
    proto::{
        GetStatusRequest, GetStatusResponse, process::State,
        supervisor_service_client::SupervisorServiceClient,
    },
};
use tonic::{Code, Status};

use crate::directory::{Directory, Run};

/// A supervisor that runs.
pub(crate) struct Running {
    /// The directory that it runs in.
    pub directory: Directory,
    /// What it told about itself.
    pub run: Run,
    /// What makes channels to its processes.
    pub app: App,
    /// Its client.
    pub supervisor: SupervisorServiceClient<Channel>,
}

impl Running {
    /// Finds it; `None` when nothing runs in the directory.
    ///
    /// # Errors
    /// A key of the mesh that cannot be read.
    pub(crate) fn find(data: &Path) -> anyhow::Result<Option<Self>> {
        let directory = Directory::at(data);
        let Some(run) = directory.run() else { return Ok(None) };
        // One that died leaves its word behind, but not its lock.
        if directory.wait_until_free(Duration::ZERO)? {
            return Ok(None);
        }
        let key = directory.key_path().display().to_string();
        let app =
            App::new(Settings::from_pairs("titan", &[("mesh_key_file", &key), ("log", "off")]))?;
        let supervisor = SupervisorServiceClient::new(app.endpoint(&run.address.to_string()));
        Ok(Some(Self { directory, run, app, supervisor }))
    }

    /// Finds it, or says how to start it.
    pub(crate) fn need(data: &Path) -> anyhow::Result<Self> {
        Self::find(data)?.with_context(|| nothing_runs(data))
    }

    /// Asks for its status.
    pub(crate) async fn status(&mut self) -> anyhow::Result<GetStatusResponse> {
        let answer = self.supervisor.get_status(GetStatusRequest {}).await;
        Ok(answer.map_err(|status| self.trouble(&status))?.into_inner())
    }

    /// A channel to a process of an application that is up.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) async fn channel(&mut self, app: &str) -> anyhow::Result<Channel> {
        let processes = self.status().await?.processes;
        let up = processes.iter().find(|it| it.app == app && it.state() == State::Up);
        let up = up.with_context(|| format!("no process of {app} is up; see `titan status`"))?;
        Ok(self.app.endpoint(&up.address))
    }

    /// What a refused call means to a person.
    pub(crate) fn trouble(&self, status: &Status) -> anyhow::Error {
        match status.code() {
            Code::Unavailable | Code::DeadlineExceeded => anyhow!(
                "the titan in {} (process {}) does not answer; it starts or ends just now",
                self.directory.path().display(),
                self.run.pid
            ),
            _ => anyhow!("{}", status.message().to_owned()),
        }
    }
}

/// Where nothing runs, and what to do about it.
pub(crate) fn nothing_runs(data: &Path) -> String {
    format!("nothing runs in {}; start it with `titan up`", data.display())
}
