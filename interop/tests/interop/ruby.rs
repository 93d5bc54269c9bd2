//! With Ruby, whose package in Debian carries its interop client and server.

use std::{path::PathBuf, process::Command};

use clap::ValueEnum as _;
use interop::client::Case;

use crate::{ours, process};

/// What its client knows, by name.
const ITS_CLIENT: [&str; 15] = [
    "empty_unary",
    "large_unary",
    "client_compressed_unary",
    "client_streaming",
    "client_compressed_streaming",
    "server_streaming",
    "ping_pong",
    "empty_stream",
    "custom_metadata",
    "status_code_and_message",
    "unimplemented_method",
    "unimplemented_service",
    "cancel_after_begin",
    "cancel_after_first_response",
    "timeout_on_sleeping_server",
];

/// What its server does not do: it looks at no compressed flag and packs nothing.
const NOT_ITS_SERVER: [Case; 4] = [
    Case::ClientCompressedUnary,
    Case::ServerCompressedUnary,
    Case::ClientCompressedStreaming,
    Case::ServerCompressedStreaming,
];

/// A script of its interop suite; `None` where it may be missing.
fn script(name: &str) -> Option<Command> {
    let ruby = process::find("ruby")?;
    // The client demands googleauth for the cases that need a cloud.
    let found = Command::new(&ruby)
        .args(["-e", "require 'googleauth'; puts Gem::Specification.find_by_name('grpc').gem_dir"])
        .output()
        .unwrap();
    let folder = PathBuf::from(String::from_utf8(found.stdout).unwrap().trim());
    let script = folder.join("src/ruby/pb/test").join(name);
    if !found.status.success() || !script.is_file() {
        return process::missing("the interop suite of grpc for Ruby (ruby-grpc, ruby-googleauth)");
    }
    let mut command = Command::new(ruby);
    command.arg(script);
    Some(command)
}

#[tokio::test(flavor = "multi_thread")]
async fn its_client_passes_with_our_server() {
    if script("client.rb").is_none() {
        return;
    }
    let (_mesh, server) = ours::serve().await;
    for case in ITS_CLIENT {
        let mut client = script("client.rb").unwrap();
        client.args(["--server_host", "127.0.0.1", "--test_case", case]);
        client.args(["--server_port", &server.address.port().to_string()]);
        let output = tokio::task::spawn_blocking(move || client.output().unwrap()).await.unwrap();
        assert!(output.status.success(), "{case}: {}", process::said(&output));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn our_client_passes_with_its_server() {
    if script("server.rb").is_none() {
        return;
    }
    let server = process::serve(|port| {
        let mut command = script("server.rb").unwrap();
        command.args(["--port", &port.to_string()]);
        command
    });
    for case in Case::value_variants().iter().filter(|case| !NOT_ITS_SERVER.contains(case)) {
        ours::run(*case, &server.address()).await;
    }
}
