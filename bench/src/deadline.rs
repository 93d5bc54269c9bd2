//! `mesh/deadline`: how late a caller learns that its time is up, while another
//! process keeps the same server busy.

use std::time::{Duration, Instant};

use tonic::{Code, Request};

use crate::{
    args::{Capacity, Subject},
    child::{Loader, Plan, Server, Serving, Under},
    echo::{WorkRequest, work_service_client::WorkServiceClient},
    open::{self, Phase, percentile_ms},
    overload::channel,
    report::{Report, Table},
    run::Bench,
    serve,
};

/// Longer than any deadline here.
const TAKES_MS: u64 = 900;
const DEADLINE: Duration = Duration::from_millis(50);
const RATE: f64 = 200.0;
/// Calls at once of the other process.
const BUSY: usize = 16;
const BAR_MS: f64 = 5.0;

pub(crate) fn bench(bench: &Bench<'_>, report: &mut Report) -> anyhow::Result<()> {
    let capacity = Capacity { hands: 1_000, takes_ms: TAKES_MS, instance: String::new() };
    let serving =
        Serving { capacity: Some(capacity), ..Serving::new(Subject::Mesh, &bench.everything) };
    let server = Server::start(&serving, Under::Nothing)?;
    let lasts = Duration::from_secs(if bench.quick { 3 } else { 10 });
    // More calls than there is time for; it ends with its process.
    let plan = Plan {
        calls: 10_000_000,
        concurrency: BUSY,
        settings: bench.everything.clone(),
        ..Plan::default()
    };
    let busy = Loader::begin(Subject::Mesh, &server.address, &plan)?;
    let lateness = serve::runtime(Subject::Mesh)?.block_on(late(bench, &server, lasts))?;
    drop(busy);

    let title = format!(
        "mesh/deadline: how late {} deadlines of {} ms were, beside {BUSY} calls at once, in ms",
        lateness.len(),
        DEADLINE.as_millis()
    );
    let mut table = Table::new(&title, &["p50", "p99", "p99.9", "latest"]);
    let at = |share| percentile_ms(lateness.clone(), share);
    table.row([0.5, 0.99, 0.999, 1.0].map(|share| format!("{:.2}", at(share))));
    report.section(&table.finish());
    let p99 = at(0.99);
    let measured = format!("{p99:.2} ms");
    report.bar("lateness of a deadline, p99", format!("<= {BAR_MS} ms"), measured, p99 <= BAR_MS);
    Ok(())
}

/// By how much each call outlived its deadline.
async fn late(
    bench: &Bench<'_>,
    server: &Server,
    lasts: Duration,
) -> anyhow::Result<Vec<Duration>> {
    let channel = channel(bench, &[("work", &server.address)])?;
    let shots = open::fire(&[Phase { rate: RATE, lasts }], 5, |_| {
        let mut client = WorkServiceClient::new(channel.clone());
        async move {
            let mut request = Request::new(WorkRequest {});
            request.set_timeout(DEADLINE);
            let since = Instant::now();
            let refused = client.work(request).await.err().map(|status| status.code());
            (refused, since.elapsed().saturating_sub(DEADLINE))
        }
    })
    .await?;
    for shot in &shots {
        let code = shot.outcome.0;
        anyhow::ensure!(code == Some(Code::DeadlineExceeded), "a call ended with {code:?}");
    }
    Ok(shots.into_iter().map(|shot| shot.outcome.1).collect())
}
