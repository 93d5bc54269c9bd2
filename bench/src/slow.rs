//! `mesh/slow`: five instances, one of them ten times slower. The balancer must
//! find out by the calls that it makes, and the callers should not.

use std::time::Duration;

use crate::{
    args::{Capacity, Subject},
    child::{Server, Serving, Under},
    echo::{WorkRequest, work_service_client::WorkServiceClient},
    open::{self, Phase, Shot, percentile_ms},
    overload::channel,
    report::{Report, Table, median},
    run::Bench,
    serve,
};

const INSTANCES: usize = 5;
const HEALTHY_MS: u64 = 5;
const SLOW_MS: u64 = 50;
const RATE: f64 = 1_000.0;
/// A new channel brings its instances in over ten seconds (slow start), in which
/// what it knows of them decides only in part: told apart, not compared.
const WARM_UP: Duration = Duration::from_secs(12);
/// p99 with a slow instance by p99 without.
const BAR: f64 = 1.2;
/// What the slow instance calls itself.
const SLOW: &str = "slow";

/// One round of one farm.
struct Round {
    /// p99 while the channel warms up.
    starting: f64,
    p50: f64,
    p99: f64,
    p999: f64,
    /// Share of the calls that the last instance answered.
    slow: f64,
    failed: usize,
}

pub(crate) fn bench(bench: &Bench<'_>, report: &mut Report) -> anyhow::Result<()> {
    let (healthy, slow) = (farm(bench, HEALTHY_MS)?, farm(bench, SLOW_MS)?);
    let (rounds, lasts) = if bench.quick { (1, 4) } else { (3, 8) };
    let lasts = Duration::from_secs(lasts);
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        // At the same time, so that what disturbs one disturbs the other.
        let (one, other) = serve::runtime(Subject::Mesh)?.block_on(async {
            let healthy = shots(bench, &healthy, lasts);
            tokio::try_join!(healthy, shots(bench, &slow, lasts))
        })?;
        without.push(Round::of(one));
        with.push(Round::of(other));
    }
    let title = format!(
        "mesh/slow: {INSTANCES} instances of {HEALTHY_MS} ms, {RATE:.0} calls/s, open loop, in ms"
    );
    let columns =
        ["", "p50", "p99", "p99.9", "p99, first 12 s", "answered by the slow one", "failed"];
    let mut table = Table::new(&title, &columns);
    let p99 =
        [("all healthy", &without), ("one of them takes 50 ms", &with)].map(|(name, rounds)| {
            let middle = |figure: fn(&Round) -> f64| median(rounds.iter().map(figure).collect());
            let p99 = middle(|round| round.p99);
            table.row([
                name.to_owned(),
                format!("{:.1}", middle(|round| round.p50)),
                format!("{p99:.1}"),
                format!("{:.1}", middle(|round| round.p999)),
                format!("{:.1}", middle(|round| round.starting)),
                format!("{:.2} %", 100.0 * middle(|round| round.slow)),
                rounds.iter().map(|round| round.failed).sum::<usize>().to_string(),
            ]);
            p99
        });
    report.section(&table.finish());
    let ratio = p99[1] / p99[0];
    let name = "p99 with one of five instances ten times slower / healthy";
    report.bar(name, format!("<= {BAR}"), format!("{ratio:.2}"), ratio <= BAR);
    Ok(())
}

/// Instances of which the last one takes `last_ms`.
fn farm(bench: &Bench<'_>, last_ms: u64) -> anyhow::Result<Vec<Server>> {
    let start = |number: usize| {
        let takes_ms = if number + 1 == INSTANCES { last_ms } else { HEALTHY_MS };
        let instance = if takes_ms == SLOW_MS { SLOW } else { "healthy" };
        // More hands than there are calls at once: only the time differs.
        let capacity = Capacity { hands: 1_000, takes_ms, instance: instance.to_owned() };
        let serving =
            Serving { capacity: Some(capacity), ..Serving::new(Subject::Mesh, &bench.everything) };
        Server::start(&serving, Under::Nothing)
    };
    (0..INSTANCES).map(start).collect()
}

impl Round {
    #[expect(clippy::cast_precision_loss, reason = "counts of calls")]
    fn of(shots: Vec<Shot<Option<String>>>) -> Self {
        let (starting, shots): (Vec<_>, Vec<_>) =
            shots.into_iter().partition(|shot| shot.phase == 0);
        let times = |shots: &[Shot<_>]| shots.iter().map(|shot| shot.took).collect::<Vec<_>>();
        let took = times(&shots);
        let slow = shots.iter().filter(|shot| shot.outcome.as_deref() == Some(SLOW)).count();
        Self {
            starting: percentile_ms(times(&starting), 0.99),
            p50: percentile_ms(took.clone(), 0.5),
            p99: percentile_ms(took.clone(), 0.99),
            p999: percentile_ms(took, 0.999),
            slow: slow as f64 / shots.len() as f64,
            failed: shots.iter().filter(|shot| shot.outcome.is_none()).count(),
        }
    }
}

/// Who answered each call.
async fn shots(
    bench: &Bench<'_>,
    farm: &[Server],
    lasts: Duration,
) -> anyhow::Result<Vec<Shot<Option<String>>>> {
    let instances: Vec<_> = farm.iter().map(|server| ("work", server.address.as_str())).collect();
    let channel = channel(bench, &instances)?;
    let phases = [Phase { rate: RATE, lasts: WARM_UP }, Phase { rate: RATE, lasts }];
    open::fire(&phases, 3, |_| {
        let mut client = WorkServiceClient::new(channel.clone());
        async move { Some(client.work(WorkRequest {}).await.ok()?.into_inner().instance) }
    })
    .await
}
