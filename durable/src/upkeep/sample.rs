//! What waits in a store, for `/metrics`: looked up now and then by queries that
//! follow an index and count no further than a limit, and never when the page is
//! asked for.

use std::{
    sync::{Mutex, Once, PoisonError},
    time::Duration,
};

use mesh::{metrics::Part, status};
use tokio::time::sleep;

use crate::{Error, Row, Store, log, meter::age, params, saga, task, time};

/// Between two looks on average: as often as collectors ask.
const PERIOD: Duration = Duration::from_secs(15);
/// No further than this is counted. Whoever sees it knows enough.
const MOST: i64 = 10_000;

/// What was seen last.
#[derive(Clone, Debug, Default)]
pub(super) struct Sample {
    /// Status, how many, and since when the oldest.
    sagas: Vec<(String, i64, i64)>,
    /// Kind, how many, and since when the oldest.
    due: Vec<(String, i64, i64)>,
    dead: Vec<(String, i64)>,
    projections: Vec<(String, i64)>,
    letters: Vec<(String, i64)>,
}

/// Of the store of this process: a service has one.
static SAMPLE: Mutex<Option<Sample>> = Mutex::new(None);
static SHOWN: Once = Once::new();

/// Looks until it is dropped.
pub(super) async fn run(store: &Store) {
    loop {
        if let Err(error) = look(store).await {
            tracing::warn!(error = status::chain(&error), "cannot tell what waits in the store");
        }
        sleep(PERIOD.mul_f64(0.5 + fastrand::f64())).await;
    }
}

/// Looks once.
pub(super) async fn look(store: &Store) -> Result<(), Error> {
    let sample = Sample {
        sagas: saga::waiting(store, MOST).await?,
        due: task::due(store, time::now(), MOST).await?,
        dead: counts(store, DEAD).await?,
        projections: lags(store).await?,
        letters: counts(store, LETTERS).await?,
    };
    *SAMPLE.lock().unwrap_or_else(PoisonError::into_inner) = Some(sample);
    SHOWN.call_once(|| mesh::metrics::add(page));
    Ok(())
}

const DEAD: &str = "SELECT kind AS name, count(*) AS number FROM (
        SELECT kind FROM durable_task WHERE died IS NOT NULL ORDER BY died LIMIT $1) AS few
    GROUP BY kind ORDER BY kind";
const LETTERS: &str = "SELECT consumer AS name, count(*) AS number FROM (
        SELECT consumer FROM durable_dead_letter
        WHERE status IN ('parked', 'released') ORDER BY consumer LIMIT $1) AS few
    GROUP BY consumer ORDER BY consumer";

async fn counts(store: &Store, sql: &'static str) -> Result<Vec<(String, i64)>, Error> {
    store.query(sql, params![MOST]).await?.iter().map(pair).collect()
}

fn pair(row: &Row) -> Result<(String, i64), Error> {
    Ok((row.get("name")?, row.get("number")?))
}

async fn lags(store: &Store) -> Result<Vec<(String, i64)>, Error> {
    let end = log::end(store).await?;
    let sql = "SELECT name, position AS number FROM durable_projection WHERE live ORDER BY name";
    let places = store.query(sql, params![]).await?;
    let lag = |row: &Row| pair(row).map(|(name, position)| (name, (end - position).max(0)));
    places.iter().map(lag).collect()
}

fn page(page: &mut Part<'_>) {
    let Some(sample) = SAMPLE.lock().unwrap_or_else(PoisonError::into_inner).clone() else {
        return;
    };
    let now = time::now();
    let aged = |all: &[(String, i64, i64)]| -> Vec<(String, f64)> {
        all.iter().map(|(of, _, since)| (of.clone(), age(*since, now))).collect()
    };
    let many = |all: &[(String, i64, i64)]| -> Vec<(String, i64)> {
        all.iter().map(|(of, number, _)| (of.clone(), *number)).collect()
    };
    let help = "Sagas that are not over.";
    page.gauge("durable_sagas", help, "status", many(&sample.sagas));
    let help = "Age of the oldest saga that is not over.";
    page.gauge("durable_saga_oldest_age_seconds", help, "status", aged(&sample.sagas));
    let help = "Tasks that wait though they are due.";
    page.gauge("durable_tasks_due", help, "kind", many(&sample.due));
    let help = "For how long the oldest task waits that is due.";
    page.gauge("durable_task_due_age_seconds", help, "kind", aged(&sample.due));
    let help = "Tasks that were given up.";
    page.gauge("durable_tasks_dead", help, "kind", sample.dead);
    let help = "Positions of the log that the live tables do not hold yet.";
    page.gauge("durable_projection_lag_events", help, "projection", sample.projections);
    let help = "Events whose last attempt failed and that are not settled.";
    page.gauge("durable_consumer_dead_letters", help, "consumer", sample.letters);
}
