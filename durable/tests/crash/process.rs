//! Processes that run the program, and what they leave behind.

use std::{
    env,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use durable::{
    Store, params,
    saga::{self, Direction, Status},
    testing::Backend,
};
use prost::Message as _;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    time::timeout,
};

use crate::program::{OTHERS, PARTICIPANTS, SCENARIO, SERVICE, STORE, Trip};

/// Far above what a run takes, also on a machine with other things to do.
const PATIENCE: Duration = Duration::from_secs(120);

/// The databases of one run of the program.
pub(crate) struct Case {
    service: Backend,
    participants: Backend,
    pub(crate) scenario: &'static str,
}

/// One for each database that there is on this machine.
pub(crate) async fn cases(scenario: &'static str) -> Vec<Case> {
    let (services, others) =
        (durable::testing::backends().await, durable::testing::backends().await);
    let case = |(service, participants)| Case { service, participants, scenario };
    services.into_iter().zip(others).map(case).collect()
}

/// On SQLite alone.
pub(crate) fn sqlite(scenario: &'static str) -> Case {
    let (service, participants) = (durable::testing::sqlite(), durable::testing::sqlite());
    Case { service, participants, scenario }
}

/// All that a run leaves behind. Equal for runs that ended in the same way.
#[derive(Debug, PartialEq)]
pub(crate) struct Found {
    status: Option<Status>,
    booked: Vec<String>,
    refusal: Option<String>,
    history: Vec<String>,
    trip: Vec<String>,
    accounts: Vec<String>,
    log: Vec<String>,
    told: Vec<String>,
    tasks: Vec<String>,
}

impl Case {
    pub(crate) fn name(&self) -> &'static str {
        self.service.name
    }

    /// The program in a process of its own, under `wrapper` if that is not empty.
    pub(crate) fn command(&self, wrapper: &[&str], settings: &[(&str, &str)]) -> Command {
        self.test("program::program", wrapper, settings)
    }

    /// A test of this file as a process of its own.
    pub(crate) fn test(&self, test: &str, wrapper: &[&str], settings: &[(&str, &str)]) -> Command {
        let me = env::current_exe().unwrap();
        let mut line: Vec<&str> = wrapper.to_vec();
        line.extend([me.to_str().unwrap(), test, "--exact", "--nocapture", "--test-threads=1"]);
        let mut command = Command::new(line[0]);
        command
            .args(&line[1..])
            .env(STORE, &self.service.url)
            .env(PARTICIPANTS, &self.participants.url)
            .env(SCENARIO, self.scenario)
            .envs(settings.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        command
    }

    /// Runs the program to its end; its lines that begin with `@`.
    pub(crate) async fn run(
        &self,
        wrapper: &[&str],
        settings: &[(&str, &str)],
    ) -> (ExitStatus, Vec<String>) {
        finish(self.command(wrapper, settings)).await
    }

    /// Of the service's database.
    pub(crate) fn url(&self) -> String {
        self.service.url.clone()
    }

    /// Whether the saga that was asked for is there.
    pub(crate) async fn is_started(&self) -> bool {
        let store = self.service().await;
        let saga = saga::get(&store, "t1").await.unwrap();
        store.close().await;
        saga.is_some()
    }

    pub(crate) async fn service(&self) -> Store {
        self.service.open(SERVICE).await
    }

    pub(crate) async fn found(&self) -> Found {
        let (service, others) = (self.service().await, self.participants.open(OTHERS).await);
        let saga = saga::get(&service, "t1").await.unwrap();
        let data = saga.as_ref().map(|saga| Trip::decode(&*saga.data).unwrap());
        let history = saga::history(&service, "t1").await.unwrap();
        let entry = |entry: &saga::Entry| {
            let arrow = if entry.direction == Direction::Do { ">" } else { "<" };
            format!("{arrow}{} {:?}", entry.step, entry.happening)
        };
        let log = "SELECT stream, version, type, correlation FROM durable_event
            ORDER BY stream, version";
        let found = Found {
            status: saga.as_ref().map(|saga| saga.status),
            booked: data.map(|data| data.booked).unwrap_or_default(),
            refusal: saga.and_then(|saga| saga.refusal).map(|refusal| refusal.reason),
            history: history.iter().map(entry).filter(|entry| !self.is_doubt(entry)).collect(),
            trip: texts(&service, "SELECT state AS text FROM trip").await,
            accounts: texts(
                &others,
                "SELECT step || ' ' || charged AS text FROM account WHERE charged <> 0
                 ORDER BY step",
            )
            .await,
            log: rows(&service, log).await,
            told: rows(
                &others,
                "SELECT stream, version, type, correlation FROM told ORDER BY stream, version",
            )
            .await,
            tasks: texts(&service, "SELECT kind || ' ' || key AS text FROM durable_task").await,
        };
        service.close().await;
        others.close().await;
        found
    }

    /// A step that is refused after a crash may have been called before it, so it
    /// is undone too: a note in the history that the run without a crash has not.
    fn is_doubt(&self, entry: &str) -> bool {
        self.scenario == "refused" && entry == "<hotel Done"
    }
}

/// Waits for the end of a process; its lines that begin with `@`.
pub(crate) async fn finish(mut command: Command) -> (ExitStatus, Vec<String>) {
    let child = command.spawn().unwrap();
    let output = timeout(PATIENCE, child.wait_with_output()).await;
    let output = output.expect("the program ends").unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status, text.lines().filter_map(word).collect())
}

/// `--nocapture` writes the name of the test before its first line.
fn word(line: &str) -> Option<String> {
    line.split_once('@').map(|(_, word)| word.to_owned())
}

/// A process that is watched while it runs.
pub(crate) struct Watched {
    pub(crate) child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Watched {
    pub(crate) fn spawn(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// Waits until it has said this.
    pub(crate) async fn says(&mut self, wanted: &str) {
        let said = async {
            while let Some(line) = self.lines.next_line().await.unwrap() {
                if word(&line).as_deref() == Some(wanted) {
                    return true;
                }
            }
            false
        };
        let said = timeout(PATIENCE, said).await.expect("it says something");
        assert!(said, "the program ended without saying {wanted}");
    }

    pub(crate) async fn ends(&mut self) -> ExitStatus {
        timeout(PATIENCE, self.child.wait()).await.expect("the program ends").unwrap()
    }

    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().expect("it runs").to_string();
        let sent = std::process::Command::new("kill").args([name, &id]).status().unwrap();
        assert!(sent.success());
    }
}

async fn texts(store: &Store, sql: &'static str) -> Vec<String> {
    let rows = store.query(sql, params![]).await.unwrap();
    rows.iter().map(|row| row.get("text").unwrap()).collect()
}

async fn rows(store: &Store, sql: &'static str) -> Vec<String> {
    let rows = store.query(sql, params![]).await.unwrap();
    let text = |row: &durable::Row, column| row.get::<String>(column).unwrap();
    rows.iter()
        .map(|row| {
            let version: i64 = row.get("version").unwrap();
            let [stream, kind, correlation] =
                ["stream", "type", "correlation"].map(|column| text(row, column));
            format!("{stream} {version} {kind} {correlation}")
        })
        .collect()
}
