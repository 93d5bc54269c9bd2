//! With Python: grpcio from PyPI and the interop client and server from gRPC's
//! sources, whose folder `TITAN_TEST_GRPC` names, since no package carries them.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::Command,
};

use clap::ValueEnum as _;
use interop::client::Case;
use tempfile::TempDir;

use crate::{ours, process};

/// What its client knows, by name.
const ITS_CLIENT: [&str; 14] = [
    "empty_unary",
    "large_unary",
    "server_streaming",
    "client_streaming",
    "ping_pong",
    "cancel_after_begin",
    "cancel_after_first_response",
    "empty_stream",
    "status_code_and_message",
    "unimplemented_method",
    "unimplemented_service",
    "custom_metadata",
    "timeout_on_sleeping_server",
    "special_status_message",
];

/// What its server does not do: it looks at no compressed flag and packs nothing.
const NOT_ITS_SERVER: [Case; 4] = [
    Case::ClientCompressedUnary,
    Case::ServerCompressedUnary,
    Case::ClientCompressedStreaming,
    Case::ServerCompressedStreaming,
];

/// The suite, with its contracts compiled.
struct Suite {
    python: OsString,
    sources: PathBuf,
    contracts: TempDir,
}

/// The suite; `None` where it may be missing.
fn suite() -> Option<Suite> {
    let Some(sources) = std::env::var_os("TITAN_TEST_GRPC").map(PathBuf::from) else {
        return process::missing("TITAN_TEST_GRPC, the folder of gRPC's sources,");
    };
    let python = std::env::var_os("TITAN_TEST_PYTHON").unwrap_or_else(|| "python3".into());
    let contracts = tempfile::tempdir().unwrap();
    let compiled = Command::new(&python)
        .args(["-c", "import google.auth, requests, sys; from grpc_tools import protoc; sys.exit(protoc.main(sys.argv))"])
        .arg(format!("--proto_path={}", sources.display()))
        .arg(format!("--python_out={}", contracts.path().display()))
        .arg(format!("--grpc_python_out={}", contracts.path().display()))
        .args(["empty", "messages", "test"].map(|name| format!("src/proto/grpc/testing/{name}.proto")))
        .output();
    match compiled {
        Ok(output) if output.status.success() => Some(Suite { python, sources, contracts }),
        Ok(output) => {
            eprintln!("{}", process::said(&output));
            process::missing("grpcio-tools, google-auth or requests for Python")
        }
        Err(_) => process::missing("Python"),
    }
}

impl Suite {
    fn module(&self, name: &str) -> Command {
        let path = [self.contracts.path(), &self.sources.join("src/python/grpcio_tests")];
        let path = std::env::join_paths(path.map(Path::as_os_str)).unwrap();
        let mut command = Command::new(&self.python);
        command.args(["-m", name]).env("PYTHONPATH", path);
        command
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn its_client_passes_with_our_server() {
    let Some(suite) = suite() else { return };
    let (_mesh, server) = ours::serve().await;
    for case in ITS_CLIENT {
        let mut client = suite.module("tests.interop.client");
        client.args(["--server_host", "127.0.0.1", "--use_tls=false", "--test_case", case]);
        client.args(["--server_port", &server.address.port().to_string()]);
        let output = tokio::task::spawn_blocking(move || client.output().unwrap()).await.unwrap();
        assert!(output.status.success(), "{case}: {}", process::said(&output));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn our_client_passes_with_its_server() {
    let Some(suite) = suite() else { return };
    let server = process::serve(|port| {
        let mut command = suite.module("tests.interop.server");
        command.args([&format!("--port={port}"), "--use_tls=false"]);
        command
    });
    for case in Case::value_variants().iter().filter(|case| !NOT_ITS_SERVER.contains(case)) {
        ours::run(*case, &server.address()).await;
    }
}
