//! `mesh/overload`: five times what an instance can do. A handler with known
//! capacity, callers that do not wait for each other, and calls of all classes;
//! what is critical is less than the instance can do, and must be served.

use std::time::{Duration, Instant};

use mesh::{Channel, Criticality};

use crate::{
    args::{Capacity, Subject},
    child::{Server, Serving, Under},
    echo::{self, WorkRequest, work_service_client::WorkServiceClient},
    open::{self, Phase, Shot, percentile_ms},
    report::{Report, Table},
    run::Bench,
    serve,
};

const HANDS: usize = 20;
const TAKES_MS: u64 = 20;
/// Shares of the classes: of five times the peak, what is critical is 85 % of it.
const SHARES: [(Criticality, f64); 4] = [
    (Criticality::Sheddable, 0.53),
    (Criticality::SheddablePlus, 0.30),
    (Criticality::Critical, 0.15),
    (Criticality::CriticalPlus, 0.02),
];
/// Goodput under overload by the peak; share of critical calls that succeed.
const GOODPUT_BAR: f64 = 0.9;
const CRITICAL_BAR: f64 = 0.99;
/// Once the load has dropped, every call succeeds after this time.
const RECOVERY_BAR: Duration = Duration::from_secs(5);

/// A call's class, and whether it succeeded.
type Outcome = (Criticality, bool);

pub(crate) fn bench(bench: &Bench<'_>, report: &mut Report) -> anyhow::Result<()> {
    let capacity = Capacity { hands: HANDS, takes_ms: TAKES_MS, instance: String::new() };
    let serving =
        Serving { capacity: Some(capacity), ..Serving::new(Subject::Mesh, &bench.everything) };
    let server = Server::start(&serving, Under::Nothing)?;
    let runtime = serve::runtime(Subject::Mesh)?;
    let (overloaded, calm) = if bench.quick { (5, 6) } else { (30, 8) };
    let (overloaded, calm) = (Duration::from_secs(overloaded), Duration::from_secs(calm));
    let (peak, shots) = runtime.block_on(async {
        let channel = channel(bench, &[("work", &server.address)])?;
        let peak = peak(&channel).await?;
        let phases = [
            Phase { rate: peak * 0.5, lasts: Duration::from_secs(2) },
            Phase { rate: peak * 5.0, lasts: overloaded },
            Phase { rate: peak * 0.5, lasts: calm },
        ];
        anyhow::Ok((peak, load(&channel, &phases).await?))
    })?;
    tell(peak, overloaded, &shots, report);
    Ok(())
}

/// A channel to the instances of an application.
pub(crate) fn channel(bench: &Bench<'_>, instances: &[(&str, &str)]) -> anyhow::Result<Channel> {
    let endpoints: Vec<String> =
        instances.iter().map(|(app, address)| format!("{app}={address}")).collect();
    let endpoints = endpoints.join(",");
    let own = [("log", "error"), ("static_endpoints", endpoints.as_str())];
    let app = mesh::App::new(serve::settings("bench", &own, &bench.everything)?)?;
    app.know(echo::DESCRIPTORS)?;
    Ok(app.channel(instances[0].0))
}

/// Calls a second in a closed loop that keeps every hand busy.
async fn peak(channel: &Channel) -> anyhow::Result<f64> {
    const LASTS: Duration = Duration::from_secs(3);
    let since = Instant::now();
    let workers = (0..HANDS + HANDS / 2).map(|_| {
        let mut client = WorkServiceClient::new(channel.clone());
        tokio::spawn(async move {
            let mut done = 0_u32;
            while since.elapsed() < LASTS {
                done += u32::from(client.work(WorkRequest {}).await.is_ok());
            }
            done
        })
    });
    let mut done = 0;
    for worker in workers.collect::<Vec<_>>() {
        done += worker.await?;
    }
    Ok(f64::from(done) / since.elapsed().as_secs_f64())
}

async fn load(channel: &Channel, phases: &[Phase]) -> anyhow::Result<Vec<Shot<Outcome>>> {
    let mut random = fastrand::Rng::with_seed(11);
    open::fire(phases, 7, |_| {
        let class = class(random.f64());
        let mut client = WorkServiceClient::new(channel.with_criticality(class));
        async move { (class, client.work(WorkRequest {}).await.is_ok()) }
    })
    .await
}

fn class(mut draw: f64) -> Criticality {
    let found = SHARES.into_iter().find(|(_, share)| {
        draw -= share;
        draw < 0.0
    });
    found.map_or(Criticality::Sheddable, |(class, _)| class)
}

/// The calls of the phase of overload.
const OVERLOADED: usize = 1;

#[expect(clippy::cast_precision_loss, reason = "counts of calls")]
fn tell(peak: f64, overloaded: Duration, shots: &[Shot<Outcome>], report: &mut Report) {
    let during: Vec<_> = shots.iter().filter(|shot| shot.phase == OVERLOADED).collect();
    let goodput = during.iter().filter(|shot| shot.outcome.1).count() as f64;
    let goodput = goodput / overloaded.as_secs_f64();
    let title = format!(
        "mesh/overload: 5 x {peak:.0} calls/s for {} s, open loop, {HANDS} hands of {TAKES_MS} ms",
        overloaded.as_secs()
    );
    let mut table = Table::new(&title, &["class", "offered", "served", "p50 ms", "p99 ms"]);
    for (class, _) in SHARES {
        let of: Vec<_> = during.iter().filter(|shot| shot.outcome.0 == class).collect();
        let served: Vec<_> =
            of.iter().filter(|shot| shot.outcome.1).map(|shot| shot.took).collect();
        let share = served.len() as f64 / of.len() as f64;
        let times = [0.5, 0.99].map(|at| format!("{:.1}", percentile_ms(served.clone(), at)));
        let [p50, p99] = times;
        table.row([
            format!("{class:?}"),
            of.len().to_string(),
            format!("{:.2} %", share * 100.0),
            p50,
            p99,
        ]);
        if matches!(class, Criticality::Critical | Criticality::CriticalPlus) {
            let name = format!("{class:?} calls served at 5 x capacity");
            let measured = format!("{:.2} %", share * 100.0);
            report.bar(&name, ">= 99 %".to_owned(), measured, share >= CRITICAL_BAR);
        }
    }
    report.section(&table.finish());
    let ratio = goodput / peak;
    let name = "goodput at 5 x capacity / peak";
    report.bar(name, format!(">= {GOODPUT_BAR}"), format!("{ratio:.2}"), ratio >= GOODPUT_BAR);
    let recovery = recovery(shots);
    report.bar(
        "from the load's drop to the last call that fails",
        "<= 5 s".to_owned(),
        format!("{:.2} s", recovery.as_secs_f64()),
        recovery <= RECOVERY_BAR,
    );
}

/// From the drop of the load to the last call that was due later and failed.
fn recovery(shots: &[Shot<Outcome>]) -> Duration {
    let after = shots.iter().filter(|shot| shot.phase > OVERLOADED);
    let drop = after.clone().map(|shot| shot.due).min().unwrap_or_default();
    let last = after.filter(|shot| !shot.outcome.1).map(|shot| shot.due).max();
    last.map_or(Duration::ZERO, |last| last.saturating_sub(drop))
}
