//! Histograms by the bounds of gRFC A66. Recording is two atomic additions; a
//! sampled call leaves its place in its trace beside its bucket, the last one of
//! each.

use std::{
    sync::{
        Mutex, OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, SystemTime},
};

use tonic::Code;

use super::page::Page;
use crate::trace::Trace;

/// Upper bounds of the duration buckets, in microseconds, as A66 has them.
const BOUNDS_MICROS: [u64; 41] = [
    0,
    10,
    50,
    100,
    300,
    600,
    800,
    1_000,
    2_000,
    3_000,
    4_000,
    5_000,
    6_000,
    8_000,
    10_000,
    13_000,
    16_000,
    20_000,
    25_000,
    30_000,
    40_000,
    50_000,
    65_000,
    80_000,
    100_000,
    130_000,
    160_000,
    200_000,
    250_000,
    300_000,
    400_000,
    500_000,
    650_000,
    800_000,
    1_000_000,
    2_000_000,
    5_000_000,
    10_000_000,
    20_000_000,
    50_000_000,
    100_000_000,
];

/// Upper bounds of the size buckets, in bytes, as A66 has them.
const BOUNDS_BYTES: [u64; 14] = [
    0,
    1 << 10,
    2 << 10,
    4 << 10,
    16 << 10,
    64 << 10,
    256 << 10,
    1 << 20,
    4 << 20,
    16 << 20,
    64 << 20,
    256 << 20,
    1 << 30,
    4 << 30,
];

/// Upper bounds of the repetitions of one call: the most of those that a contract
/// allows (4) and of those that prove nothing was done (3), and more of what never
/// left.
const BOUNDS_COUNT: [u64; 6] = [1, 2, 3, 4, 5, 10];

/// `Code` has seventeen values, 0 to 16.
pub(super) const CODES: usize = 17;

/// One of each code that has come up; the others take a word each.
#[derive(Debug)]
pub(super) struct ByCode<T>([OnceLock<Box<T>>; CODES]);

impl<T> Default for ByCode<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> ByCode<T> {
    pub(super) const fn new() -> Self {
        Self([const { OnceLock::new() }; CODES])
    }

    /// Those that have come up, with their codes' names.
    pub(super) fn used(&self) -> impl Iterator<Item = (&'static str, &T)> {
        let all = super::metrics::STATUS.into_iter().zip(&self.0);
        all.filter_map(|(name, of)| Some((name, of.get()?.as_ref())))
    }
}

impl<T: Default> ByCode<T> {
    pub(super) fn of(&self, code: Code) -> &T {
        self.0[code as usize].get_or_init(Box::default)
    }
}

/// Numbers in buckets; the last bucket counts what is above every bound.
#[derive(Debug)]
struct Buckets<const N: usize> {
    bounds: &'static [u64],
    counts: [AtomicU64; N],
    sum: AtomicU64,
}

impl<const N: usize> Buckets<N> {
    fn of(bounds: &'static [u64]) -> Self {
        Self { bounds, counts: [const { AtomicU64::new(0) }; N], sum: AtomicU64::new(0) }
    }

    fn add(&self, value: u64) -> usize {
        let bucket = self.bounds.partition_point(|bound| *bound < value);
        self.counts[bucket].fetch_add(1, Relaxed);
        self.sum.fetch_add(value, Relaxed);
        bucket
    }

    fn total(&self) -> u64 {
        self.counts.iter().map(|count| count.load(Relaxed)).sum()
    }

    /// `unit` is how many of what is counted make one of what is written.
    fn write(
        &self,
        page: &mut Page,
        name: &str,
        labels: &str,
        unit: f64,
        beside: impl Fn(usize) -> String,
    ) {
        let mut count = 0;
        for (bucket, number) in self.counts.iter().enumerate() {
            count += number.load(Relaxed);
            let bound = self.bounds.get(bucket);
            let bound = bound.map_or("+Inf".to_owned(), |bound| page.bound(float(*bound) / unit));
            let beside = if page.is_open() { beside(bucket) } else { String::new() };
            page.line(format_args!("{name}_bucket{{{labels},le=\"{bound}\"}} {count}{beside}"));
        }
        let sum = float(self.sum.load(Relaxed)) / unit;
        page.line(format_args!("{name}_sum{{{labels}}} {sum}"));
        page.line(format_args!("{name}_count{{{labels}}} {count}"));
    }
}

#[expect(clippy::cast_precision_loss, reason = "2^53 microseconds are 285 years")]
fn float(value: u64) -> f64 {
    value as f64
}

/// Microseconds in a second.
const MICROS: f64 = 1e6;

/// How long something took.
#[derive(Debug)]
pub(super) struct Durations {
    buckets: Buckets<{ BOUNDS_MICROS.len() + 1 }>,
    /// Made by the first call that is recorded in a trace.
    exemplars: OnceLock<Box<Exemplars>>,
}

type Exemplars = [Mutex<Option<Exemplar>>; BOUNDS_MICROS.len() + 1];

/// A call that fell into a bucket.
#[derive(Clone, Copy, Debug)]
struct Exemplar {
    place: Trace,
    micros: u64,
    at: SystemTime,
}

impl Default for Durations {
    fn default() -> Self {
        Self { buckets: Buckets::of(&BOUNDS_MICROS), exemplars: OnceLock::new() }
    }
}

impl Durations {
    /// `recorded` is the place in its trace of a call whose span somebody
    /// receives.
    pub(super) fn add(&self, took: Duration, recorded: Option<Trace>) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = self.buckets.add(micros);
        if let Some(place) = recorded {
            let none = || Box::new([const { Mutex::new(None) }; BOUNDS_MICROS.len() + 1]);
            let exemplars = self.exemplars.get_or_init(none);
            // Whoever is quicker is as good an example.
            if let Ok(mut last) = exemplars[bucket].try_lock() {
                *last = Some(Exemplar { place, micros, at: SystemTime::now() });
            }
        }
    }

    /// How many there were.
    pub(super) fn total(&self) -> u64 {
        self.buckets.total()
    }

    pub(super) fn write(&self, page: &mut Page, name: &str, labels: &str) {
        self.buckets.write(page, name, labels, MICROS, |bucket| self.exemplar(bucket));
    }

    fn exemplar(&self, bucket: usize) -> String {
        let last = self.exemplars.get().and_then(|all| {
            let last = all[bucket].lock().expect("nothing panics while it is held");
            *last
        });
        let Some(Exemplar { place, micros, at }) = last else {
            return String::new();
        };
        let at = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let (took, at) = (float(micros) / MICROS, at.as_secs_f64());
        let Trace { id, span, .. } = place;
        format!(" # {{trace_id=\"{id:032x}\",span_id=\"{span:016x}\"}} {took} {at:.3}")
    }
}

/// Bytes of messages.
#[derive(Debug)]
pub(super) struct Sizes(Buckets<{ BOUNDS_BYTES.len() + 1 }>);

impl Default for Sizes {
    fn default() -> Self {
        Self(Buckets::of(&BOUNDS_BYTES))
    }
}

impl Sizes {
    pub(super) fn add(&self, bytes: u64) {
        self.0.add(bytes);
    }

    pub(super) fn write(&self, page: &mut Page, name: &str, labels: &str) {
        self.0.write(page, name, labels, 1.0, |_| String::new());
    }
}

/// How often something happened to one call.
#[derive(Debug)]
pub(super) struct Counts(Buckets<{ BOUNDS_COUNT.len() + 1 }>);

impl Default for Counts {
    fn default() -> Self {
        Self(Buckets::of(&BOUNDS_COUNT))
    }
}

impl Counts {
    pub(super) fn add(&self, count: u32) {
        self.0.add(count.into());
    }

    /// Writes it, unless it never happened.
    pub(super) fn write(&self, page: &mut Page, name: &str, labels: &str) {
        if self.0.total() > 0 {
            self.0.write(page, name, labels, 1.0, |_| String::new());
        }
    }
}
