//! The loading side: a closed loop of workers. Warms up, waits for the word,
//! measures, and prints what it measured.

mod http;

use std::time::Instant;

use anyhow::Context as _;
use titan::projects::v1::{GetProjectRequest, projects_service_client::ProjectsServiceClient};
use tonic::body::Body;

use crate::{
    args::{Load, Subject},
    child::{self, own_cpu_ns},
    fixture, serve,
};

pub(crate) fn load(options: &Load) -> anyhow::Result<()> {
    serve::runtime(options.subject)?.block_on(async {
        match options.subject {
            Subject::Mesh => {
                let pairs = [("log", "warn")];
                let app = mesh::App::new(mesh::Settings::from_pairs("bench", &pairs))?;
                app.know(titan::DESCRIPTORS)?;
                grpc(options, app.endpoint(&options.address)).await
            }
            Subject::TonicMultiThread | Subject::TonicCurrentThread => {
                let url = format!("http://{}", options.address);
                let endpoint = tonic::transport::Endpoint::from_shared(url)?.tcp_nodelay(true);
                grpc(options, endpoint.connect_lazy()).await
            }
            Subject::Http => http::load(options).await,
            other => anyhow::bail!("{} only serves", other.name()),
        }
    })
}

async fn grpc<C>(options: &Load, channel: C) -> anyhow::Result<()>
where
    C: tonic::client::GrpcService<Body> + Clone + Send + 'static,
    C::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    C::Future: Send,
    C::ResponseBody: ::http_body::Body<Data = bytes::Bytes> + Send + 'static,
    <C::ResponseBody as ::http_body::Body>::Error:
        Into<Box<dyn std::error::Error + Send + Sync>> + Send,
{
    measure(options, move |calls| {
        let mut client = ProjectsServiceClient::new(channel.clone());
        async move {
            let mut latencies = Vec::with_capacity(calls);
            for _ in 0..calls {
                let started = Instant::now();
                let request = GetProjectRequest { name: fixture::NAME.to_owned() };
                client.get_project(request).await?;
                latencies.push(started.elapsed());
            }
            Ok(latencies)
        }
    })
    .await
}

/// Runs `worker` with its share of the calls, `concurrency` times at once: first
/// to warm up, then, after the word, to measure.
pub(crate) async fn measure<F, Fut>(options: &Load, worker: F) -> anyhow::Result<()>
where
    F: Fn(usize) -> Fut,
    Fut: Future<Output = anyhow::Result<Vec<std::time::Duration>>> + Send + 'static,
{
    let share = options.calls / options.concurrency;
    together(options.concurrency, &worker, (share / 10).max(10)).await?;
    tell("ready");
    let mut word = String::new();
    std::io::stdin().read_line(&mut word)?;

    let (cpu, started) = (own_cpu_ns(), Instant::now());
    let mut latencies = together(options.concurrency, &worker, share).await?;
    let (wall, cpu) = (started.elapsed(), own_cpu_ns() - cpu);
    latencies.sort();
    let at = |share: usize| -> anyhow::Result<f64> {
        let index = (latencies.len() * share / 100).min(latencies.len().saturating_sub(1));
        Ok(latencies.get(index).context("nothing was called")?.as_secs_f64() * 1e6)
    };
    #[expect(clippy::cast_precision_loss, reason = "a count of calls")]
    let calls = latencies.len() as f64;
    let load = child::Load {
        calls,
        wall_ns: wall.as_secs_f64() * 1e9,
        cpu_ns: cpu,
        p50_us: at(50)?,
        p99_us: at(99)?,
    };
    tell(&serde_json::to_string(&load)?);
    Ok(())
}

async fn together<F, Fut>(
    workers: usize,
    worker: &F,
    calls: usize,
) -> anyhow::Result<Vec<std::time::Duration>>
where
    F: Fn(usize) -> Fut,
    Fut: Future<Output = anyhow::Result<Vec<std::time::Duration>>> + Send + 'static,
{
    let tasks: Vec<_> = (0..workers).map(|_| tokio::spawn(worker(calls))).collect();
    let mut all = Vec::with_capacity(workers * calls);
    for task in tasks {
        all.extend(task.await??);
    }
    Ok(all)
}

#[expect(clippy::print_stdout, reason = "the measuring process reads it")]
fn tell(line: &str) {
    println!("{line}");
}
