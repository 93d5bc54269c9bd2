//! The `titan` program, with shell scripts in place of the applications.
#![allow(clippy::unwrap_used)]

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _},
    net::TcpListener,
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    process::{Child, Command, ExitStatus, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

/// Nothing here takes as long; who waits this long waits for ever.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs until it is told to end, or its supervisor is gone.
const SERVE: &str = "echo \"{\\\"time\\\":\\\"2026-01-01T00:00:00Z\\\",\\\"level\\\":\\\"INFO\\\",\
                     \\\"message\\\":\\\"serving\\\"}\"; exec cat";

/// A directory with the `titan` program and what it is to start.
struct World {
    directory: tempfile::TempDir,
}

impl World {
    fn new(registry: &str) -> Self {
        let world = Self::empty();
        world.program("registry", registry);
        world
    }

    /// An application in place of the real one.
    fn program(&self, name: &str, script: &str) {
        let program = self.path(name);
        fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Without any application.
    fn empty() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let world = Self { directory };
        let titan = env!("CARGO_BIN_EXE_titan");
        if fs::hard_link(titan, world.path("titan")).is_err() {
            fs::copy(titan, world.path("titan")).unwrap();
        }
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.path("titan"));
        command
            .args(arguments)
            .current_dir(self.directory.path())
            .env("XDG_STATE_HOME", self.path("state"))
            // Should a test fail, what it started ends with it.
            .env("TITAN_EXIT_ON_STDIN_EOF", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Starts `titan up` and waits until its registry has been started.
    fn up(&self) -> Up {
        // What an earlier run wrote says nothing about this one.
        let _ = fs::remove_file(self.path(".titan/logs/registry.log"));
        let titan = self.command(&["up", "--only", "registry", "--listen", "127.0.0.1:0"]).spawn();
        let up = Up(titan.unwrap());
        until(|| stdout(&self.run(&["logs"])).contains("serving"));
        up
    }

    /// The process id of the registry.
    fn registry(&self) -> Pid {
        let status = stdout(&self.run(&["status", "--json"]));
        let status: serde_json::Value = serde_json::from_str(&status).unwrap();
        let pid = status["processes"][0]["pid"].as_i64().unwrap();
        Pid::from_raw(pid.try_into().unwrap()).unwrap()
    }
}

/// A `titan up` in the foreground.
struct Up(Child);

impl Up {
    fn pid(&self) -> Pid {
        Pid::from_raw(self.0.id().try_into().unwrap()).unwrap()
    }

    fn end(mut self) -> (ExitStatus, String) {
        until(|| self.0.try_wait().unwrap().is_some());
        let mut said = String::new();
        self.0.stdout.take().unwrap().read_to_string(&mut said).unwrap();
        (self.0.wait().unwrap(), said)
    }
}

fn until(mut condition: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !condition() {
        assert!(begin.elapsed() < PATIENCE, "this never comes");
        thread::sleep(Duration::from_millis(5));
    }
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Whether a process has ended. (A zombie has, though its id is still taken.)
fn gone(pid: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()));
    test_kill_process(pid).is_err() || stat.is_ok_and(|stat| stat.contains(") Z "))
}

#[test]
fn a_missing_program_is_named_with_what_to_do() {
    let output = World::empty().run(&["up", "--listen", "127.0.0.1:0"]);
    assert_eq!(output.status.code(), Some(1));
    let said = stderr(&output);
    assert!(said.contains("registry is missing") && said.contains("make build"), "{said}");
    assert_eq!(said.lines().count(), 1);
}

#[test]
fn a_taken_port_is_one_clear_line() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = World::new(SERVE).run(&["up", "--only", "registry", "--listen", &address]);
    assert_eq!(output.status.code(), Some(1));
    let said = stderr(&output);
    assert!(said.contains(&address) && said.contains("--listen"), "{said}");
    assert_eq!(said.lines().count(), 1);
}

#[test]
fn wrong_flags_are_usage_errors() {
    let world = World::empty();
    for arguments in [&["up", "--replicas", "projects=x"][..], &["down", "now"], &["dance"], &[]] {
        assert_eq!(world.run(arguments).status.code(), Some(2), "{arguments:?}");
    }
}

#[test]
fn where_nothing_runs_every_command_says_so() {
    let world = World::empty();
    let commands = [&["status"][..], &["restart", "projects"], &["call", "a.B/C"], &["routes"]];
    for arguments in commands {
        let output = world.run(arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert!(stderr(&output).contains("titan up"), "{arguments:?}: {}", stderr(&output));
    }
    assert_eq!(world.run(&["logs"]).status.code(), Some(1));
    let down = world.run(&["down"]);
    assert!(down.status.success(), "what is wanted is the case");
    assert!(!world.path(".titan").exists(), "nothing was created on the way");
}

#[test]
fn what_runs_is_shown_and_ended_by_other_commands() {
    let world = World::new(SERVE);
    let up = world.up();
    let registry = world.registry();

    let status = stdout(&world.run(&["status"]));
    let row: Vec<&str> = status.lines().nth(1).unwrap().split_whitespace().collect();
    // The script never answers for its health.
    assert_eq!(row[..2], ["registry", "starting"]);
    assert_eq!(stdout(&world.run(&["logs"])), "00:00:00 INFO  serving\n");

    let second = world.run(&["up", "--only", "registry", "--listen", "127.0.0.1:0"]);
    assert_eq!(second.status.code(), Some(1));
    assert!(stderr(&second).contains("already running"), "{}", stderr(&second));

    assert!(world.run(&["down"]).status.success());
    assert!(gone(registry));
    let (exit, said) = up.end();
    assert!(exit.success());
    assert_eq!(said, "titan   draining\n");
}

#[test]
fn ctrl_c_drains_and_is_no_failure() {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let world = World::new(SERVE);
        let up = world.up();
        let registry = world.registry();
        kill_process(up.pid(), signal).unwrap();
        assert!(up.end().0.success(), "{signal:?}");
        assert!(gone(registry));
        assert!(!world.path(".titan/run.json").exists());
    }
}

#[test]
fn a_second_ctrl_c_does_not_wait() {
    let world = World::new("trap '' TERM; echo serving; exec cat");
    let mut up = world.up();
    let registry = world.registry();
    kill_process(up.pid(), Signal::INT).unwrap();
    let mut said = BufReader::new(up.0.stdout.take().unwrap());
    let mut line = String::new();
    said.read_line(&mut line).unwrap();
    assert_eq!(line, "titan   draining\n");
    // That the first one was obeyed is told before anybody listens for another.
    let begin = Instant::now();
    until(|| {
        kill_process(up.pid(), Signal::INT).unwrap();
        up.0.try_wait().unwrap().is_some()
    });
    assert!(begin.elapsed() < Duration::from_secs(20), "the registry has thirty");
    assert!(gone(registry));
}

#[test]
fn nothing_is_left_of_a_supervisor_that_was_killed() {
    let world = World::new(SERVE);
    let up = world.up();
    let registry = world.registry();
    kill_process(up.pid(), Signal::KILL).unwrap();
    assert!(!up.end().0.success());
    until(|| gone(registry));
    assert!(world.path(".titan/run.json").exists());
    assert_eq!(world.run(&["status"]).status.code(), Some(1));
    assert!(stdout(&world.run(&["down"])).contains("nothing runs"));

    // The next one is not kept out by what is left.
    let up = world.up();
    assert!(world.run(&["down"]).status.success());
    assert!(up.end().0.success());
}

#[test]
fn a_detached_run_that_cannot_start_is_a_failure_and_leaves_nothing() {
    let world = World::new("echo cannot read the stars >&2; exit 3");
    let arguments = ["up", "--only", "registry", "--listen", "127.0.0.1:0", "--detach"];
    let output = world.run(&arguments);
    assert_eq!(output.status.code(), Some(1));
    let said = stderr(&output);
    assert!(said.contains("keeps dying") && said.contains("exit status: 3"), "{said}");
    assert!(!world.path(".titan/run.json").exists());
    assert!(stdout(&world.run(&["logs", "registry"])).contains("cannot read the stars"));
    let reported = stdout(&world.run(&["logs", "titan"]));
    assert!(reported.contains("keeps dying") && reported.contains("cannot read the stars"));
}

/// A database whose log is an hour ahead of the clock.
fn clock_went_back(path: &std::path::Path) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let url = format!("sqlite:{}", path.display());
        let store = durable::Store::open(&url, &[]).await.unwrap();
        let event = durable::NewEvent::of(&mesh::proto::ListEventsRequest::default());
        store.append("a", durable::Expected::Any, vec![event]).await.unwrap();
        let mut tx = store.begin().await.unwrap();
        let sql = "UPDATE durable_event SET time = time + 3600000000";
        tx.execute(sql, Vec::new()).await.unwrap();
        tx.commit().await.unwrap();
        store.close().await;
    });
}

#[test]
fn what_is_unsafe_does_not_start_unless_it_is_allowed() {
    let world = World::new(SERVE);
    world.program("orders", SERVE);
    clock_went_back(&world.path(".titan/data/orders.db"));
    let arguments = ["up", "--only", "registry,orders", "--listen", "127.0.0.1:0"];
    let refused = world.run(&arguments);
    assert_eq!(refused.status.code(), Some(1));
    let said = stderr(&refused);
    assert!(
        said.contains("orders") && said.contains("clock") && said.contains("--allow"),
        "{said}"
    );
    assert!(!world.path(".titan/logs/registry.log").exists(), "nothing was started");

    // An application that does not run is not looked at.
    let up = world.up();
    kill_process(up.pid(), Signal::TERM).unwrap();
    assert!(up.end().0.success());

    let allowed = [&arguments[..], &["--allow", "clock"]].concat();
    let up = Up(world.command(&allowed).spawn().unwrap());
    until(|| stdout(&world.run(&["logs", "orders"])).contains("serving"));
    kill_process(up.pid(), Signal::TERM).unwrap();
    assert!(up.end().0.success());
}
