//! The supervisor over processes of a few lines of shell.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::{sync::mpsc, time};

use super::{
    Supervisor,
    event::{Event, What},
    process::{Process, Spec, State},
};

/// Nothing here takes long; who waits this long waits for ever.
const PATIENCE: Duration = Duration::from_secs(60);

struct World {
    supervisor: Supervisor,
    events: mpsc::Receiver<Event>,
    directory: tempfile::TempDir,
}

impl World {
    /// Supervises scripts, each an application of its own unless two share one.
    fn new(scripts: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let specs = scripts.iter().map(|(name, script)| spec(directory.path(), name, script));
        let app = mesh::App::new(mesh::Settings::from_pairs("titan", &[("log", "off")])).unwrap();
        let (supervisor, events) = Supervisor::new(specs.collect(), &app).unwrap();
        Self { supervisor, events, directory }
    }

    fn process(&self, name: &str) -> Process {
        let mut processes = self.supervisor.processes().iter();
        processes.find(|process| process.name == name).unwrap().clone()
    }

    fn log(&self, name: &str) -> String {
        fs::read_to_string(log(self.directory.path(), name)).unwrap()
    }

    async fn event(&mut self) -> What {
        time::timeout(PATIENCE, self.events.recv()).await.unwrap().unwrap().what
    }

    /// Waits until a process has written a line.
    async fn wrote(&self, name: &str, line: &str) {
        let wrote = async {
            while !self.log(name).lines().any(|written| written == line) {
                time::sleep(Duration::from_millis(5)).await;
            }
        };
        time::timeout(PATIENCE, wrote).await.unwrap();
    }
}

fn log(directory: &Path, name: &str) -> PathBuf {
    directory.join(format!("{name}.log"))
}

fn spec(directory: &Path, name: &str, script: &str) -> Spec {
    Spec {
        name: name.to_owned(),
        app: name.split('-').next().unwrap().to_owned(),
        program: "/bin/sh".into(),
        arguments: vec!["-c".to_owned(), script.to_owned()],
        settings: vec![("TITAN_GREETING", "hello".to_owned())],
        log: log(directory, name),
        addresses: None,
        patience: PATIENCE,
    }
}

/// Runs until it is told to end, or its supervisor is gone.
const SERVE: &str = "echo ready; exec cat";

/// Cannot be asked to end.
const DEAF: &str = "trap '' TERM; echo ready; exec cat";

async fn starting(process: &Process) -> u32 {
    let starting = process.wait(|status| status.state == State::Starting);
    time::timeout(PATIENCE, starting).await.unwrap().pid
}

async fn serves(process: &Process) -> u32 {
    let pid = starting(process).await;
    process.serves(pid, "127.0.0.1:1".to_owned(), String::new()).await;
    pid
}

#[tokio::test]
async fn what_a_process_writes_is_logged_and_its_settings_reach_it() {
    let world = World::new(&[("a", "echo $TITAN_GREETING; echo trouble >&2; exec cat")]);
    world.supervisor.start().await;
    world.wrote("a", "hello").await;
    world.wrote("a", "trouble").await;
    world.supervisor.stop().await;
}

#[tokio::test]
async fn a_process_that_dies_is_started_again() {
    let mut world = World::new(&[("a", SERVE)]);
    world.supervisor.start().await;
    let process = world.process("a");
    let first = serves(&process).await;
    assert!(matches!(world.event().await, What::Up { .. }));

    let pid = rustix::process::Pid::from_raw(first.try_into().unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    let What::Died { exit, wait } = world.event().await else { panic!("it died") };
    assert!(exit.contains("signal: 9"), "{exit}");
    assert!(wait <= Duration::from_millis(200));

    let second = serves(&process).await;
    assert_ne!(first, second);
    let status = process.status();
    assert_eq!((status.restarts, status.last_exit), (1, exit));
    world.supervisor.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_process_that_keeps_dying_is_reported_with_its_last_lines() {
    let mut world = World::new(&[("a", "echo cannot open the database >&2; exit 3")]);
    world.supervisor.start().await;
    let mut deaths = 0;
    let what = loop {
        // Without a limit of its own: the clock stands still, but for timers.
        match world.events.recv().await.unwrap().what {
            What::Died { .. } => deaths += 1,
            what => break what,
        }
    };
    assert_eq!(deaths, 5);
    let What::KeepsDying { deaths: 5, exit, last, .. } = what else { panic!("{what:?}") };
    assert_eq!(exit, "exit status: 3");
    assert_eq!(last, ["cannot open the database"]);
    world.supervisor.stop().await;
    assert_eq!(world.process("a").status().state, State::Stopped);
}

#[tokio::test(start_paused = true)]
async fn a_program_that_is_missing_is_a_death_like_others() {
    let directory = tempfile::tempdir().unwrap();
    let spec = Spec { program: "/nowhere/a".into(), ..spec(directory.path(), "a", "") };
    let app = mesh::App::new(mesh::Settings::from_pairs("titan", &[("log", "off")])).unwrap();
    let (supervisor, mut events) = Supervisor::new(vec![spec], &app).unwrap();
    supervisor.start().await;
    let What::Died { exit, .. } = events.recv().await.unwrap().what else { panic!("it died") };
    assert!(exit.starts_with("/nowhere/a does not start"), "{exit}");
    supervisor.stop().await;
}

#[tokio::test]
async fn processes_end_in_the_reverse_order_replicas_together() {
    let directory = tempfile::tempdir().unwrap();
    let order = directory.path().join("order");
    let script = |name: &str| {
        let order = order.display();
        format!(
            "trap 'echo {name} >> {order}; exit' TERM; echo ready; while :; do sleep 0.01; done"
        )
    };
    let names = ["a", "b", "b-2", "c"];
    let scripts = names.map(script);
    let scripts: Vec<_> = names.iter().zip(&scripts).map(|(a, b)| (*a, b.as_str())).collect();
    let world = World::new(&scripts);
    world.supervisor.start().await;
    for name in names {
        world.wrote(name, "ready").await;
    }
    world.supervisor.stop().await;
    let order = fs::read_to_string(order).unwrap();
    let apps: Vec<_> = order.lines().map(|name| &name[..1]).collect();
    assert_eq!(apps, ["c", "b", "b", "a"]);
}

#[tokio::test]
async fn a_process_that_does_not_end_is_killed_when_patience_is() {
    let directory = tempfile::tempdir().unwrap();
    let patience = Duration::from_millis(50);
    let spec = Spec { patience, ..spec(directory.path(), "a", DEAF) };
    let app = mesh::App::new(mesh::Settings::from_pairs("titan", &[("log", "off")])).unwrap();
    let (supervisor, events) = Supervisor::new(vec![spec], &app).unwrap();
    let mut world = World { supervisor, events, directory };
    world.supervisor.start().await;
    world.wrote("a", "ready").await;
    world.supervisor.stop().await;
    assert_eq!(world.event().await, What::Killed { after: patience });
    assert!(world.process("a").status().last_exit.contains("signal: 9"));
}

#[tokio::test]
async fn impatience_kills_what_is_already_ending() {
    let world = World::new(&[("a", DEAF)]);
    world.supervisor.start().await;
    world.wrote("a", "ready").await;
    let end = world.process("a").stop().await;
    world.process("a").wait(|status| status.state == State::Stopping).await;
    time::timeout(PATIENCE / 2, world.supervisor.kill()).await.unwrap();
    end.come().await;
    assert!(world.process("a").status().last_exit.contains("signal: 9"));
}

#[tokio::test]
async fn a_stop_right_after_a_start_leaves_nothing_running() {
    let world = World::new(&[("a", SERVE)]);
    world.supervisor.start().await;
    world.supervisor.stop().await;
    let status = world.process("a").status();
    assert_eq!((status.state, status.pid, status.starts), (State::Stopped, 0, 1));
}

#[tokio::test]
async fn a_restart_waits_until_the_new_process_serves_and_is_no_death() {
    let mut world = World::new(&[("a", SERVE)]);
    world.supervisor.start().await;
    let process = world.process("a");
    let first = serves(&process).await;
    world.wrote("a", "ready").await;

    let restarting = tokio::spawn({
        let process = process.clone();
        async move { process.restart().await }
    });
    process.wait(|status| status.pid != first && status.pid != 0).await;
    assert!(!restarting.is_finished());
    serves(&process).await;
    restarting.await.unwrap().unwrap();
    assert_eq!(process.status().restarts, 0);
    assert!(matches!(world.event().await, What::Up { .. }));
    assert_eq!(world.event().await, What::Restarting);
    assert!(matches!(world.event().await, What::Up { .. }));
    world.supervisor.stop().await;
}

#[tokio::test]
async fn a_restart_that_fails_says_how() {
    // Serves once, and never again.
    let directory = tempfile::tempdir().unwrap();
    let mark = directory.path().join("ran").display().to_string();
    let script = format!("test -e {mark} && exit 4; : > {mark}; echo ready; exec cat");
    let world = World::new(&[("a", &script)]);
    world.supervisor.start().await;
    let process = world.process("a");
    serves(&process).await;
    world.wrote("a", "ready").await;
    assert_eq!(process.restart().await.unwrap_err(), "exit status: 4");
    world.supervisor.stop().await;
}

#[tokio::test]
async fn a_process_ends_by_itself_when_its_supervisor_is_gone() {
    let directory = tempfile::tempdir().unwrap();
    let mark = directory.path().join("mark");
    let script = format!("echo ready; cat; echo alone > {}", mark.display());
    let world = World::new(&[("a", &script)]);
    world.supervisor.start().await;
    world.wrote("a", "ready").await;
    drop(world);
    let noticed = async {
        while !mark.exists() {
            time::sleep(Duration::from_millis(5)).await;
        }
    };
    time::timeout(PATIENCE, noticed).await.unwrap();
}

#[tokio::test]
async fn who_is_silent_is_not_up_until_heard_of_again() {
    let mut world = World::new(&[("a", SERVE)]);
    world.supervisor.start().await;
    let process = world.process("a");
    let pid = serves(&process).await;
    process.silent(pid + 1).await;
    assert_eq!(process.status().state, State::Up, "that was about another process");
    process.silent(pid).await;
    assert_eq!(process.status().state, State::Starting);
    serves(&process).await;
    assert!(matches!(world.event().await, What::Up { .. }));
    assert_eq!(world.event().await, What::Silent);
    assert!(matches!(world.event().await, What::Up { .. }));
    world.supervisor.stop().await;
}
