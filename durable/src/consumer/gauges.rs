//! What the consumers of this process have before them, for `/metrics`.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicI64, Ordering::Relaxed},
    },
};

use mesh::metrics::Part;

use super::parking::Parked;
use crate::time;

/// Consumers with an entry of their own. Their names are written in programs, but
/// nothing keeps one from making them up.
const MAX_CONSUMERS: usize = 64;
/// The entry of all others.
const OTHER: &str = "other";

/// The gauges of one consumer in this process. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Gauges(Arc<Values>);

#[derive(Debug, Default)]
struct Values {
    position: AtomicI64,
    end: AtomicI64,
    /// When the first event was appended that is not applied; zero for none.
    oldest: AtomicI64,
    retrying: AtomicI64,
    parked: AtomicI64,
}

type All = Mutex<BTreeMap<String, Gauges>>;

fn all() -> &'static All {
    static ALL: OnceLock<All> = OnceLock::new();
    ALL.get_or_init(|| {
        mesh::metrics::add(page);
        All::default()
    })
}

/// The gauges of a consumer.
pub(super) fn of(consumer: &str) -> Gauges {
    let mut all = all().lock().expect("nothing panics while it is held");
    let room = all.contains_key(consumer) || all.len() < MAX_CONSUMERS;
    all.entry(if room { consumer } else { OTHER }.to_owned()).or_default().clone()
}

impl Gauges {
    /// The feed reaches to `end`, and this replica to `position`; `oldest` is when
    /// the first event between was appended, or zero.
    pub(super) fn heard(&self, position: i64, end: i64, oldest: i64) {
        self.0.position.store(position, Relaxed);
        self.0.end.store(end.max(position), Relaxed);
        self.0.oldest.store(oldest, Relaxed);
    }

    /// These streams are set aside.
    pub(super) fn aside(&self, streams: &Parked) {
        let parked = streams.values().filter(|due| due.is_none()).count();
        let retrying = streams.len() - parked;
        self.0.parked.store(i64::try_from(parked).unwrap_or(i64::MAX), Relaxed);
        self.0.retrying.store(i64::try_from(retrying).unwrap_or(i64::MAX), Relaxed);
    }

    /// Whether the feed was heard of at all.
    pub(super) fn known(&self) -> bool {
        self.end() > 0
    }

    pub(super) fn end(&self) -> i64 {
        self.0.end.load(Relaxed)
    }

    pub(super) fn oldest(&self) -> i64 {
        self.0.oldest.load(Relaxed)
    }
}

fn page(page: &mut Part<'_>) {
    let all = all().lock().expect("nothing panics while it is held").clone();
    let mut gauge = |name: &str, help: &str, value: fn(&Values) -> f64| {
        page.gauge(name, help, "consumer", all.iter().map(|(of, gauges)| (of, value(&gauges.0))));
    };
    gauge("durable_consumer_lag_events", "Positions of the feed not yet applied.", |of| {
        float((of.end.load(Relaxed) - of.position.load(Relaxed)).max(0))
    });
    gauge(
        "durable_consumer_backlog_age_seconds",
        "Age of the first event not yet applied.",
        |of| age(of.oldest.load(Relaxed)),
    );
    gauge("durable_consumer_retrying_streams", "Streams tried again by themselves.", |of| {
        float(of.retrying.load(Relaxed))
    });
    gauge("durable_consumer_parked_streams", "Streams that wait for a person.", |of| {
        float(of.parked.load(Relaxed))
    });
}

/// Seconds since an event was appended; zero when there is none.
fn age(appended: i64) -> f64 {
    if appended == 0 { 0.0 } else { float((time::now() - appended).max(0)) / 1e6 }
}

#[expect(clippy::cast_precision_loss, reason = "positions and microseconds below 2^53 are exact")]
fn float(number: i64) -> f64 {
    number as f64
}
