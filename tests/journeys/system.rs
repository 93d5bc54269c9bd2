//! A whole system of its own, in a folder of its own, on ports of its own.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use mesh::proto::{Event, SubscribeRequest, feed_service_client::FeedServiceClient};
use serde_json::Value;

use crate::{
    client::{Client, PASSWORD},
    tools::{said, stdout},
};

/// Longer than any start or restart takes on a busy machine; waiting ends when
/// what is waited for is there.
const PATIENCE: Duration = Duration::from_secs(60);

/// Who administers every system of a journey.
const ADMIN: &str = "admin@example.com";

/// A running system; it ends with the test.
pub struct System {
    folder: tempfile::TempDir,
    supervisor: Child,
}

/// Where cargo has put the programs that are tested.
pub fn program(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let program = test.parent().unwrap().parent().unwrap().join(name);
    assert!(program.is_file(), "{} is missing: run `make build` first", program.display());
    program
}

fn up(folder: &Path, arguments: &[&str]) -> Child {
    Command::new(program("titan"))
        .arg("--data")
        .arg(folder)
        .args(["up", "--listen", "127.0.0.1:0"])
        .args(arguments)
        .env("TITAN_BOOTSTRAP_ADMIN_EMAIL", ADMIN)
        .env("TITAN_BOOTSTRAP_ADMIN_PASSWORD_FILE", folder.join("admin.password"))
        // Some two seconds until a saga asks, instead of ten minutes.
        .env("TITAN_UNDO_ATTEMPTS", "6")
        .stdin(Stdio::null())
        .stdout(std::fs::File::create(folder.join("up.out")).unwrap())
        .stderr(std::fs::File::create(folder.join("up.err")).unwrap())
        .spawn()
        .unwrap()
}

impl System {
    /// Starts everything and waits until it is healthy.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    pub fn start_with(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("admin.password"), PASSWORD).unwrap();
        let supervisor = up(folder.path(), arguments);
        let system = Self { folder, supervisor };
        system.until_up();
        system
    }

    /// Starts everything again after [`System::down`].
    pub fn up_again(&mut self) {
        self.supervisor = up(self.folder.path(), &[]);
        self.until_up();
    }

    fn until_up(&self) {
        self.until("everything is up", || self.all_up().then_some(()));
        self.until("the edge knows everyone", || {
            (self.client().get("/readyz").status == 200).then_some(())
        });
    }

    /// `titan` in this system's folder.
    pub fn titan(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(program("titan"));
        command.arg("--data").arg(self.folder.path()).args(arguments);
        command.env("XDG_STATE_HOME", self.folder.path().join("state")).env_remove("TITAN_TOKEN");
        command
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// `titan status --json`, or nothing while nobody answers.
    fn try_status(&self) -> Option<Value> {
        let output = self.titan(&["status", "--json"]).output().unwrap();
        output.status.success().then(|| serde_json::from_slice(&output.stdout).unwrap())
    }

    pub fn status(&self) -> Value {
        serde_json::from_str(&stdout(&mut self.titan(&["status", "--json"]))).unwrap()
    }

    fn all_up(&self) -> bool {
        self.try_status().is_some_and(|status| {
            let processes = status["processes"].as_array().cloned().unwrap_or_default();
            !processes.is_empty() && processes.iter().all(|process| process["state"] == "STATE_UP")
        })
    }

    /// The first process of an application.
    pub fn process(&self, app: &str) -> Value {
        let status = self.status();
        let processes = status["processes"].as_array().unwrap();
        processes.iter().find(|process| process["app"] == app).unwrap().clone()
    }

    pub fn address(&self, app: &str) -> String {
        self.process(app)["address"].as_str().unwrap().to_owned()
    }

    /// `127.0.0.1:41234`
    pub fn edge(&self) -> String {
        let status = self.status();
        status["edge"].as_str().unwrap().trim_start_matches("http://").to_owned()
    }

    /// A client of the edge.
    pub fn client(&self) -> Client {
        Client::new(&self.edge())
    }

    /// The administrator, signed in.
    pub fn admin(&self) -> Client {
        self.client().sign_in(ADMIN)
    }

    /// Ends a process as a crash does, and tells which one it was.
    pub fn kill(&self, app: &str) -> u64 {
        let pid = self.process(app)["pid"].as_u64().unwrap_or_default();
        let process = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
        if let Some(process) = process {
            // It may have ended by itself a moment ago.
            let _ = rustix::process::kill_process(process, rustix::process::Signal::KILL);
        }
        pid
    }

    /// Waits until the application runs in another process than `before`.
    pub fn until_restarted(&self, app: &str, before: u64) {
        self.until(&format!("{app} is back"), || {
            let process = self.process(app);
            let back = process["state"] == "STATE_UP" && process["pid"].as_u64() != Some(before);
            back.then_some(())
        });
    }

    /// Everything that an application has logged of these types, as another
    /// process of the mesh reads it.
    pub fn events(&self, app: &str, types: &[&str]) -> Vec<Event> {
        let key = self.path().join("mesh.key");
        let pairs = [("mesh_key_file", key.to_str().unwrap()), ("log", "warn")];
        let address = self.address(app);
        let types = types.iter().map(|kind| (*kind).to_owned()).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let reader = mesh::App::new(mesh::Settings::from_pairs("journey", &pairs)).unwrap();
            let mut feed = FeedServiceClient::new(reader.endpoint(&address));
            let consumer = "journey".to_owned();
            let request = SubscribeRequest { types, consumer, ..SubscribeRequest::default() };
            let mut batches = feed.subscribe(request).await.unwrap().into_inner();
            let mut events = Vec::new();
            loop {
                let batch = batches.message().await.unwrap().unwrap();
                // An empty batch is a heartbeat: nothing more has come for a while.
                if batch.events.is_empty() {
                    return events;
                }
                events.extend(batch.events);
            }
        })
    }

    /// Waits for something that comes by itself.
    pub fn until<T>(&self, what: &str, mut check: impl FnMut() -> Option<T>) -> T {
        let started = Instant::now();
        loop {
            if let Some(found) = check() {
                return found;
            }
            assert!(started.elapsed() < PATIENCE, "waited in vain until {what}\n{}", self.told());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// What the system said, for the report of a failure.
    pub fn told(&self) -> String {
        let read = |name: &str| std::fs::read_to_string(self.path().join(name)).unwrap_or_default();
        let mut told = format!("{}{}", read("up.out"), read("up.err"));
        if let Ok(output) = self.titan(&["logs", "-n", "20"]).output() {
            told.push_str(&said(&output));
        }
        told
    }

    /// `titan down`.
    pub fn down(&mut self) {
        stdout(&mut self.titan(&["down"]));
        assert!(self.supervisor.wait().unwrap().success());
    }
}

impl Drop for System {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.told());
        }
        // Its children end when their standard input does.
        let _ = self.supervisor.kill();
        let _ = self.supervisor.wait();
    }
}
