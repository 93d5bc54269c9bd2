//! The serving side: prints its address, then answers every line of its standard
//! input with what it has used so far, until the input ends.

mod by_hand;
mod issuer;

use std::{
    io::{BufRead as _, Write as _},
    net::SocketAddr,
};

use anyhow::Context as _;
use mesh::{Settings, proto::key_service_server::KeyServiceServer};
use titan::projects::v1::projects_service_server::ProjectsServiceServer;
use tokio::net::TcpListener;
use tracing_subscriber::filter::LevelFilter;

use crate::{
    args::{Serve, Subject},
    echo::{
        self, Echo, echo_service_server::EchoServiceServer, work_service_server::WorkServiceServer,
    },
    fixture::Memory,
    floor,
    usage::Usage,
    work::Work,
};

const LOOPBACK: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

pub(crate) fn serve(options: &Serve) -> anyhow::Result<()> {
    subscribe(options.subject);
    // A thread of its own, so that the serving runtime is not disturbed.
    std::thread::spawn(answer_questions);
    let upstream = || options.upstream.clone().context("an edge needs an upstream");
    runtime(options.subject)?.block_on(async {
        match options.subject {
            Subject::Mesh => mesh(options).await,
            Subject::TonicMultiThread | Subject::TonicCurrentThread => tonic().await,
            Subject::H2 => floor::serve(listener().await?).await,
            Subject::Edge => edge(upstream()?, &options.settings).await,
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

/// A subscriber for what starts none itself, as the mesh does and an application
/// that tells anything does. Without one, every span of h2 looks for the `log`
/// crate, which something in this program's graph asks `tracing` for: a tenth of
/// a call that no baseline should pay.
pub(crate) fn subscribe(subject: Subject) {
    if !matches!(subject, Subject::Mesh | Subject::Edge) {
        tracing_subscriber::fmt().with_max_level(LevelFilter::WARN).init();
    }
}

/// Settings of an application of the mesh: its own, then those of the command
/// line, which win.
pub(crate) fn settings(
    app: &'static str,
    own: &[(&str, &str)],
    given: &[String],
) -> anyhow::Result<Settings> {
    let mut pairs = own.to_vec();
    for pair in given {
        let (key, value) = pair.split_once('=').context("a setting is key=value")?;
        pairs.retain(|(known, _)| *known != key);
        pairs.push((key, value));
    }
    Ok(Settings::from_pairs(app, &pairs))
}

fn answer_questions() {
    for _question in std::io::stdin().lock().lines() {
        let usage = serde_json::to_string(&Usage::of_this_process());
        tell(&usage.expect("numbers can be written"));
    }
    std::process::exit(0);
}

#[expect(clippy::print_stdout, reason = "the measuring process reads it")]
fn tell(line: &str) {
    println!("{line}");
    // Without a reader there is no measurement.
    let _ = std::io::stdout().flush();
}

async fn listener() -> anyhow::Result<TcpListener> {
    let listener = TcpListener::bind(LOOPBACK).await?;
    tell(&listener.local_addr()?.to_string());
    Ok(listener)
}

async fn mesh(options: &Serve) -> anyhow::Result<()> {
    let listen = free_address()?.to_string();
    let endpoints = format!("projects={listen}");
    let own = [
        ("listen", listen.as_str()),
        ("static_endpoints", endpoints.as_str()),
        ("token_keys", "projects"),
        ("log", "warn"),
    ];
    let app = mesh::App::new(settings("projects", &own, &options.settings)?)?;
    let (keys, token) = issuer::new()?;
    let routes = mesh::Routes::new()
        .add(EchoServiceServer::new(Echo))
        .add(WorkServiceServer::new(Work::new(&options.capacity)))
        .add(ProjectsServiceServer::new(Memory))
        .add(KeyServiceServer::new(keys));
    tell(&format!("{listen} {token}"));
    let forever = std::future::pending();
    let server = app.serve().contracts(titan::DESCRIPTORS).contracts(echo::DESCRIPTORS);
    Ok(server.routes(routes).until(forever).await?)
}

async fn tonic() -> anyhow::Result<()> {
    let listener = listener().await?;
    let incoming = tonic::transport::server::TcpIncoming::from(listener).with_nodelay(Some(true));
    let service = EchoServiceServer::new(Echo);
    let server = tonic::transport::Server::builder().add_service(service);
    Ok(server.serve_with_incoming(incoming).await?)
}

async fn edge(upstream: String, given: &[String]) -> anyhow::Result<()> {
    let listen = free_address()?.to_string();
    let endpoints = format!("projects={upstream}");
    let own = [
        ("listen", listen.as_str()),
        ("static_endpoints", endpoints.as_str()),
        ("applications", "projects"),
        ("log", "warn"),
    ];
    let mut settings = settings("gateway", &own, given)?;
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
