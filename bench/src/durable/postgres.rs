//! `durable/postgres`: the same appends on PostgreSQL, beside the best that one
//! connection does with statements of many rows, where its server is installed.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use durable::testing::{Backend, synchronous_postgres};
use prost::{Message as _, Name as _};
use sqlx::{Connection as _, PgConnection};

use super::{
    PAYLOAD, Ticked,
    append::{BAR_LATENCY, BAR_RATE, GROUP, appends, crowd},
    lasts, micros, runtime, stream,
};
use crate::{
    report::{Report, Row, Table, median},
    run::Bench,
};

const WRITERS: usize = 256;

/// Many rows in one statement, which is one trip and one commit. It checks no
/// version and gives no position.
const INSERT: &str = "INSERT INTO durable_event
    (stream, version, type, data, time, traceparent, actor, correlation, causation)
    SELECT stream, version, $3, $4, 1, '', '', '', ''
    FROM unnest($1::text[], $2::bigint[]) AS event (stream, version)";

pub(super) fn bench(bench: &Bench<'_>, _: &Path, report: &mut Report) -> anyhow::Result<()> {
    let runtime = runtime()?;
    runtime.block_on(async {
        let Some(server) = synchronous_postgres() else {
            report.section("### durable/postgres: not measured, its server is not on the PATH\n");
            return Ok(());
        };
        compare(bench, &server.database().await, &server.database().await, report).await
    })
}

async fn compare(
    bench: &Bench<'_>,
    ours: &Backend,
    raw: &Backend,
    report: &mut Report,
) -> anyhow::Result<()> {
    let store = ours.open(&[]).await;
    // Its tables, for the raw database; closed, so that nobody numbers the rows.
    raw.open(&[]).await.close().await;
    let mut raw = Raw::open(raw).await?;
    let (mut many, mut many_raw) = (Vec::new(), Vec::new());
    let (mut alone, mut alone_raw) = (Vec::new(), Vec::new());
    for _ in 0..bench.effort.rounds {
        many.push(crowd(&store, WRITERS, 1, lasts(bench)).await?);
        many_raw.push(raw.rate(lasts(bench)).await?);
        alone.push(median(appends(&store, lasts(bench)).await?));
        alone_raw.push(median(raw.commits(lasts(bench)).await?));
    }
    store.close().await;
    let rate = "durable/postgres/256-at-once/1-events";
    let rate = Row::of(rate, "events_per_s", many, "one INSERT of 64 rows", many_raw);
    let took = "durable/postgres/alone/append";
    let took = Row::of(took, "p50_us", alone, "one INSERT of a row", alone_raw);
    publish(rate, took, report);
    Ok(())
}

fn publish(rate: Row, took: Row, report: &mut Report) {
    let mut table = Table::new(
        "durable/postgres: events of 256 B, PostgreSQL with fsync",
        &["", "store", "raw", "store / raw"],
    );
    let names = ["256 at once, 1 each, per second", "one after the other, p50 in µs"];
    for (name, row) in names.into_iter().zip([&rate, &took]) {
        table.row([
            name.to_owned(),
            format!("{:.0}", row.subject),
            format!("{:.0}", row.base),
            format!("**{:.2}** ({:.2} to {:.2})", row.ratio, row.spread.0, row.spread.1),
        ]);
    }
    report.section(&table.finish());
    let name = "PostgreSQL: events appended by 256 writers / raw in statements of 64 rows";
    let held = rate.ratio >= BAR_RATE;
    report.bar(name, format!(">= {BAR_RATE}"), format!("{:.2}", rate.ratio), held);
    let name = "PostgreSQL: one append / one raw commit";
    let held = took.ratio <= BAR_LATENCY;
    report.bar(name, format!("<= {BAR_LATENCY}"), format!("{:.2}", took.ratio), held);
    report.rows([rate, took]);
}

struct Raw {
    connection: PgConnection,
    next: usize,
    data: Vec<u8>,
}

impl Raw {
    async fn open(database: &Backend) -> anyhow::Result<Self> {
        let connection = PgConnection::connect(&database.url).await?;
        let data = Ticked { padding: vec![7; PAYLOAD] }.encode_to_vec();
        Ok(Self { connection, next: 0, data })
    }

    async fn commit(&mut self, rows: usize) -> anyhow::Result<usize> {
        let numbers = self.next..self.next + rows;
        self.next += rows;
        let versions: Vec<i64> = numbers.clone().map(|number| number as i64).collect();
        let streams: Vec<String> = numbers.map(stream).collect();
        let insert = sqlx::query(INSERT).bind(streams).bind(versions);
        let insert = insert.bind(Ticked::full_name()).bind(&self.data);
        insert.execute(&mut self.connection).await?;
        Ok(rows)
    }

    /// Rows per second.
    async fn rate(&mut self, lasts: Duration) -> anyhow::Result<f64> {
        let since = Instant::now();
        let mut done = 0;
        while since.elapsed() < lasts {
            done += self.commit(GROUP).await?;
        }
        Ok(done as f64 / since.elapsed().as_secs_f64())
    }

    /// How long commits of one row take, in microseconds.
    async fn commits(&mut self, lasts: Duration) -> anyhow::Result<Vec<f64>> {
        let since = Instant::now();
        let mut took = Vec::new();
        while since.elapsed() < lasts {
            let one = Instant::now();
            self.commit(1).await?;
            took.push(micros(one.elapsed()));
        }
        Ok(took)
    }
}
