//! Our client with our server: every case, within one process and as programs.

use std::process::Command;

use clap::{Parser, ValueEnum as _};
use interop::client::{self, Case, Peer, soak::Plan};
use mesh::{
    App, Settings,
    testing::{Mesh, Running},
};

use crate::process;

/// The plan by default, but for the time of a call, which says more about the
/// machine that runs the tests than about a server.
pub(crate) fn plan() -> Plan {
    let hour = 3_600_000;
    Plan {
        soak_per_iteration_max_acceptable_latency_ms: hour,
        ..Defaults::parse_from(["soak"]).plan
    }
}

#[derive(Parser)]
struct Defaults {
    #[command(flatten)]
    plan: Plan,
}

/// Our server, for somebody's client.
pub(crate) async fn serve() -> (Mesh, Running) {
    let mesh = Mesh::new().await;
    let app = mesh.app("interop-server");
    let running = mesh.start("interop-server", interop::server::server(&app)).await;
    (mesh, running)
}

/// Runs a case of our client against a server.
pub(crate) async fn run(case: Case, address: &str) {
    // Its proof of name would mean nothing to others, so it has none.
    let settings = Settings::from_pairs("interop-client", &[("log", "warn")]);
    let peer = Peer::at(&App::new(settings).unwrap(), address);
    if let Err(failure) = client::run(case, &peer, &plan()).await {
        panic!("{case:?}: {failure}");
    }
}

#[tokio::test]
async fn every_case_passes_with_ourselves() {
    let (_mesh, server) = serve().await;
    for case in Case::value_variants() {
        run(*case, &server.address.to_string()).await;
    }
}

#[tokio::test]
async fn a_soak_that_fails_says_so() {
    let (mesh, server) = serve().await;
    let peer = Peer::at(&mesh.app("interop-client"), &server.address.to_string());
    let impatient = Plan { soak_per_iteration_max_acceptable_latency_ms: 0, ..plan() };
    let late = Plan { soak_overall_timeout_seconds: Some(0), ..plan() };
    let refused = Plan { soak_response_size: -1, ..plan() };
    for plan in [&impatient, &late, &refused] {
        client::run(Case::RpcSoak, &peer, plan).await.unwrap_err();
    }
    let patient = Plan { soak_max_failures: plan().soak_iterations, ..refused };
    client::run(Case::RpcSoak, &peer, &patient).await.unwrap();
}

#[tokio::test]
async fn many_threads_share_a_soak() {
    let (mesh, server) = serve().await;
    let peer = Peer::at(&mesh.app("interop-client"), &server.address.to_string());
    let plan = Plan { soak_iterations: 20, soak_num_threads: 3, ..plan() };
    client::run(Case::RpcSoak, &peer, &plan).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_programs_take_the_flags_of_the_specification() {
    let server = process::serve(|port| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_interop-server"));
        command.args([&format!("--port={port}"), "--use_tls=false"]);
        command
    });
    let client = |flags: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_interop-client"))
            .args(["--server_host=127.0.0.1", "--server_host_override=x", "--use_test_ca=false"])
            .args(["--server_port".to_owned(), server.port.to_string()])
            .args(flags)
            .output()
            .unwrap()
    };
    let passed = client(&["--test_case", "ping_pong", "--use_tls=false"]);
    assert!(passed.status.success(), "{}", process::said(&passed));
    let soaked = client(&["--test_case=channel_soak", "--soak_iterations=3"]);
    assert!(soaked.status.success(), "{}", process::said(&soaked));
    for wrong in [&["--test_case=compute_engine_creds"], &["--use_tls=true"]] {
        assert!(!client(wrong).status.success(), "{wrong:?}");
    }
}
