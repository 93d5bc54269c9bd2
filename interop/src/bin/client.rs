//! `interop-client`: runs a case of gRPC's interop tests against a server.
#![allow(clippy::print_stdout, reason = "the outcome is what it is for")]

use anyhow::{Context as _, ensure};
use clap::Parser;
use interop::client::{self, Case, Peer, soak};
use mesh::{App, Settings};

/// Runs a case of gRPC's interop tests
#[derive(Debug, Parser)]
#[command(rename_all = "snake_case")]
struct Args {
    /// The server's host
    #[arg(long, default_value = "localhost")]
    server_host: String,
    /// The server's port
    #[arg(long)]
    server_port: u16,
    /// The case to run
    #[arg(long, value_enum, default_value = "large_unary")]
    test_case: Case,
    /// Whether to use TLS; the mesh has none
    #[arg(long, default_value_t = false, action = clap::ArgAction::Set)]
    use_tls: bool,
    /// Which authorities to trust; means nothing without TLS
    #[arg(long, default_value_t = false, action = clap::ArgAction::Set, hide = true)]
    use_test_ca: bool,
    /// Whom a certificate must name; means nothing without TLS
    #[arg(long, default_value = "", hide = true)]
    server_host_override: String,
    #[command(flatten)]
    plan: soak::Plan,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    ensure!(!args.use_tls, "the mesh has no TLS of its own; leave --use_tls=true out");
    let app = App::new(Settings::from_pairs("interop-client", &[("log", "warn")]))?;
    let peer = Peer::at(&app, &format!("{}:{}", args.server_host, args.server_port));
    let case = format!("{:?}", args.test_case);
    client::run(args.test_case, &peer, &args.plan).await.with_context(|| case.clone())?;
    println!("OK: {case}");
    Ok(())
}
