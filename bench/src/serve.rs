//! The serving side: prints its address, then answers questions about its CPU
//! time until its standard input ends.

use std::{
    io::{BufRead as _, Write as _},
    net::SocketAddr,
};

use anyhow::Context as _;
use mesh::proto::key_service_server::KeyServiceServer;
use titan::projects::v1::projects_service_server::ProjectsServiceServer;
use tokio::net::TcpListener;

use crate::{
    args::{Serve, Subject},
    child::own_cpu_ns,
    fixture::Memory,
};

mod by_hand;
mod issuer;

const LOOPBACK: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

pub(crate) fn serve(options: &Serve) -> anyhow::Result<()> {
    // A thread of its own, so that the serving runtime is not disturbed.
    std::thread::spawn(answer_questions);
    let upstream = || options.upstream.clone().context("an edge needs an upstream");
    runtime(options.subject)?.block_on(async {
        match options.subject {
            Subject::Mesh => mesh().await,
            Subject::TonicMultiThread | Subject::TonicCurrentThread => tonic().await,
            Subject::Edge => edge(upstream()?).await,
            Subject::AxumMultiThread | Subject::AxumCurrentThread => {
                by_hand::serve(&upstream()?).await
            }
            Subject::Http => anyhow::bail!("this subject only loads"),
        }
    })
}

/// The runtime that a subject is measured on.
pub(crate) fn runtime(subject: Subject) -> std::io::Result<tokio::runtime::Runtime> {
    let mut builder = if subject.multi_thread() {
        tokio::runtime::Builder::new_multi_thread()
    } else {
        tokio::runtime::Builder::new_current_thread()
    };
    builder.enable_all().build()
}

fn answer_questions() {
    for _question in std::io::stdin().lock().lines() {
        tell(&format!("{}", own_cpu_ns()));
    }
    std::process::exit(0);
}

#[expect(clippy::print_stdout, reason = "the measuring process reads it")]
fn tell(line: &str) {
    println!("{line}");
    // Without a reader there is no measurement.
    let _ = std::io::stdout().flush();
}

async fn mesh() -> anyhow::Result<()> {
    let listen = free_address()?.to_string();
    let endpoints = format!("projects={listen}");
    let pairs = [
        ("listen", listen.as_str()),
        ("static_endpoints", endpoints.as_str()),
        ("token_keys", "projects"),
        ("log", "warn"),
    ];
    let app = mesh::App::new(mesh::Settings::from_pairs("projects", &pairs))?;
    let (keys, token) = issuer::new()?;
    let routes = mesh::Routes::new()
        .add(ProjectsServiceServer::new(Memory))
        .add(KeyServiceServer::new(keys));
    tell(&format!("{listen} {token}"));
    let forever = std::future::pending();
    Ok(app.serve().contracts(titan::DESCRIPTORS).routes(routes).until(forever).await?)
}

async fn tonic() -> anyhow::Result<()> {
    let listener = TcpListener::bind(LOOPBACK).await?;
    tell(&listener.local_addr()?.to_string());
    let incoming = tonic::transport::server::TcpIncoming::from(listener).with_nodelay(Some(true));
    let service = ProjectsServiceServer::new(Memory);
    let server = tonic::transport::Server::builder().add_service(service);
    Ok(server.serve_with_incoming(incoming).await?)
}

async fn edge(upstream: String) -> anyhow::Result<()> {
    let listen = free_address()?.to_string();
    let endpoints = format!("projects={upstream}");
    let pairs = [
        ("listen", listen.as_str()),
        ("static_endpoints", endpoints.as_str()),
        ("applications", "projects"),
        ("log", "warn"),
    ];
    let mut settings = mesh::Settings::from_pairs("gateway", &pairs);
    let config = gateway::Config::read(&mut settings);
    let gateway = gateway::Gateway::bind(mesh::App::new(settings)?, config)?;
    let readiness = gateway.readiness();
    tokio::spawn(async move {
        while !readiness.is_ready() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        tell(&listen);
    });
    gateway.until(std::future::pending()).await;
    Ok(())
}

/// An address that was free a moment ago; nobody else takes ports meanwhile.
fn free_address() -> std::io::Result<SocketAddr> {
    std::net::TcpListener::bind(LOOPBACK)?.local_addr()
}
