//! `interop-server`: gRPC's interop test service on the mesh.

use anyhow::ensure;
use clap::Parser;
use mesh::{App, Settings};

/// Serves grpc.testing.TestService, for the interop clients of any implementation
#[derive(Debug, Parser)]
#[command(rename_all = "snake_case")]
struct Args {
    /// The port to listen on
    #[arg(long)]
    port: u16,
    /// The address to listen on
    #[arg(long, default_value = "127.0.0.1")]
    host: String,
    /// Whether to serve TLS; the mesh has none
    #[arg(long, default_value_t = false, action = clap::ArgAction::Set)]
    use_tls: bool,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    ensure!(!args.use_tls, "the mesh has no TLS of its own; leave --use_tls=true out");
    let listen = format!("{}:{}", args.host, args.port);
    let app = App::new(Settings::from_pairs("interop-server", &[("listen", &listen)]))?;
    interop::server::server(&app).until(mesh::signal::terminate()).await?;
    Ok(())
}
