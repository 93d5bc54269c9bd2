//! `titan` as an operator uses it.

use std::{
    io::{BufRead as _, BufReader},
    net::TcpListener,
    process::{Command, Stdio},
};

use serde_json::{Value, json};

use crate::{
    system::{System, program},
    tools::{said, stdout},
};

#[test]
fn status_tells_every_process_and_down_ends_them() {
    let mut system = System::start();
    let status = system.status();
    let processes = status["processes"].as_array().unwrap();
    let apps: Vec<&str> =
        processes.iter().map(|process| process["app"].as_str().unwrap()).collect();
    assert_eq!((apps.first(), apps.last()), (Some(&"registry"), Some(&"gateway")));
    for service in ["identity", "projects", "applicants"] {
        assert!(apps.contains(&service), "{service} is missing in {apps:?}");
    }
    let pids: Vec<u64> = processes.iter().map(|process| process["pid"].as_u64().unwrap()).collect();
    let table = stdout(&mut system.titan(&["status"]));
    assert!(table.contains("applicants") && table.contains("127.0.0.1:"), "{table}");

    system.down();
    for pid in pids {
        let alive = std::path::Path::new(&format!("/proc/{pid}")).exists();
        assert!(!alive, "process {pid} has outlived `titan down`");
    }
    let after = system.titan(&["status"]).output().unwrap();
    assert!(!after.status.success() && said(&after).contains("titan up"), "{}", said(&after));
}

#[test]
fn a_session_is_kept_for_calls() {
    let system = System::start();
    system.client().sign_up("me@example.com");
    let mut login = system.titan(&["login", "me@example.com", "--password-stdin"]);
    let mut child = login.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(child.stdin.as_mut().unwrap(), b"correct horse battery\n").unwrap();
    assert!(child.wait_with_output().unwrap().status.success());

    let create = "titan.projects.v1.ProjectsService/CreateProject";
    let data = json!({"project": {"title": "From the shell"}}).to_string();
    let made: Value =
        serde_json::from_str(&stdout(&mut system.titan(&["call", create, "-d", &data]))).unwrap();
    assert_eq!(made["title"], "From the shell");
    let list = "titan.projects.v1.ProjectsService/ListProjects";
    let listed: Value = serde_json::from_str(&stdout(&mut system.titan(&["call", list]))).unwrap();
    assert_eq!(listed["projects"][0]["name"], made["name"]);

    let refused =
        system.titan(&["call", create, "-d", r#"{"project":{"title":7}}"#]).output().unwrap();
    assert!(!refused.status.success(), "{}", said(&refused));
    let missing =
        system.titan(&["call", "titan.projects.v1.ProjectsService/Nothing"]).output().unwrap();
    assert!(said(&missing).contains("Nothing"), "{}", said(&missing));
}

#[test]
fn a_call_is_explained_by_its_contract() {
    let system = System::start();
    let method = "titan.projects.v1.ProjectsService/GetProject";
    let said = stdout(&mut system.titan(&["explain", method]));
    let line = |name: &str| {
        let line = said.lines().find(|line| line.split_whitespace().next() == Some(name));
        line.unwrap_or_else(|| panic!("{name} is missing: {said}"))
    };
    assert!(line("deadline").contains(" 5s ") && line("deadline").ends_with("service default"));
    let by_method = "method (titan.projects.v1.ProjectsService.GetProject)";
    assert!(line("access").contains(" public") && line("access").ends_with(by_method), "{said}");
    assert!(line("GET").contains("/v1/{name=projects/*}"), "{said}");
    assert!(line("max_attempts").ends_with("mesh default"), "{said}");

    // A process of the mesh tells of contracts that the edge does not expose.
    let register = "titan.mesh.v1.RegistryService/Register";
    assert!(!system.titan(&["explain", register]).output().unwrap().status.success());
    let registry = system.address("registry");
    let explained: Value = serde_json::from_str(&stdout(&mut system.titan(&[
        "explain",
        register,
        "--json",
        "--address",
        &registry,
    ])))
    .unwrap();
    let deadline = json!({"value": "2s", "source": "service default"});
    assert_eq!(explained["policy"]["deadline"], deadline);
    assert_eq!(explained["policy"]["access"]["value"], json!({"services": ["*"]}));
}

#[test]
fn the_routes_of_the_edge_are_listed() {
    let system = System::start();
    let said = stdout(&mut system.titan(&["routes"]));
    let get = said.lines().find(|line| line.ends_with("ProjectsService/GetProject")).unwrap();
    let columns: Vec<&str> = get.split_whitespace().collect();
    let rpc = "titan.projects.v1.ProjectsService/GetProject";
    assert_eq!(columns, ["GET", "/v1/{name=projects/*}", rpc]);
    let json: Value =
        serde_json::from_str(&stdout(&mut system.titan(&["routes", "--json"]))).unwrap();
    assert_eq!(json.as_array().unwrap().len(), said.lines().count());
}

#[test]
fn logs_follow_what_is_written() {
    let system = System::start();
    let mut follow = system.titan(&["logs", "projects", "-f"]);
    let mut child = follow.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let first = lines.next().unwrap().unwrap();
    assert!(!first.is_empty());
    let pid = system.kill("projects");
    system.until_restarted("projects", pid);
    // The new process writes to the same log.
    assert!(lines.any(|line| line.unwrap().contains("serving")));
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_taken_port_is_told_in_one_line() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(program("titan"))
        .arg("--data")
        .arg(folder.path())
        .args(["up", "--listen", &taken.local_addr().unwrap().to_string()])
        .output()
        .unwrap();
    assert!(!output.status.success());
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.lines().count() <= 2 && told.contains("--listen"), "{told}");
}

#[test]
fn children_end_when_their_supervisor_is_killed() {
    let system = System::start();
    let status = system.status();
    let processes = status["processes"].as_array().unwrap();
    let pids: Vec<u64> = processes.iter().map(|process| process["pid"].as_u64().unwrap()).collect();
    let folder = system.path().to_owned();
    // The supervisor is killed as it is dropped; the folder goes with it.
    drop(system);
    let gone = |pid: &u64| !std::path::Path::new(&format!("/proc/{pid}")).exists();
    let started = std::time::Instant::now();
    while !pids.iter().all(gone) {
        assert!(started.elapsed().as_secs() < 60, "orphans of {}", folder.display());
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}
