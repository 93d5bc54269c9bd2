//! Keeps a store small by itself: archives and removes events that everybody has
//! had, and what is over for long (finished sagas, settled dead letters, expired
//! keys of calls).
//!
//! One replica at a time does it, by a lease, in transactions of some hundred rows
//! with a pause after each. What waits for a human is never removed: sagas that
//! need attention, parked events, tasks that were given up.

mod archive;
mod prune;
mod sample;
mod turn;

use std::{path::PathBuf, time::Duration};

use mesh::{Settings, status};
use tokio::time::sleep;

use self::turn::Turn;
use crate::{Error, Store, log, time};

pub(crate) use turn::{TABLE, WAITING};

/// Between two rounds on average. What is removed was kept for days, and a round
/// that finds nothing costs four lookups.
const PERIOD: Duration = Duration::from_secs(60);
/// After each transaction, so that others come between two of them.
const PAUSE: Duration = Duration::from_millis(5);
/// Transactions of one kind in a round: a store that was never kept up is brought
/// down by 50,000 rows a minute and not by all of them at once.
const PIECES: usize = 100;
/// Longer than any consumer is away for repair, and than a quarter's books.
const EVENTS: Duration = Duration::from_secs(90 * DAY);
/// Longer than anybody repeats the start of a saga, or asks what became of it.
const SAGAS: Duration = Duration::from_secs(30 * DAY);
/// As long as sagas: whoever looks into a failure looks at both.
const LETTERS: Duration = SAGAS;
/// The least that can be asked for: repeats and questions come within a day.
const LEAST: Duration = Duration::from_secs(DAY);
const DAY: u64 = 24 * 60 * 60;

/// What is kept for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Events of the streams that may be shortened; 90 days by default.
    pub events: Duration,
    /// Where events are archived before they are removed; nowhere by default.
    pub archive: Option<PathBuf>,
    /// Sagas that are over, with their histories; 30 days by default.
    pub sagas: Duration,
    /// Dead letters whose event was applied or discarded since; 30 days by default.
    pub letters: Duration,
}

impl Default for Kept {
    fn default() -> Self {
        Self { events: EVENTS, archive: None, sagas: SAGAS, letters: LETTERS }
    }
}

impl Kept {
    /// Reads `event_retention` (default `90d`), `event_archive` (a folder, in which
    /// the application has one of its own), `saga_retention` and `letter_retention`
    /// (default `30d`), each at least `1d`.
    #[must_use]
    pub fn read(settings: &mut Settings) -> Self {
        let default = Self::default();
        let mut period = |name, default| {
            let period = settings.get(name, default);
            settings.require(name, period >= LEAST, "must be at least 1d");
            period
        };
        let events = period("event_retention", default.events);
        let sagas = period("saga_retention", default.sagas);
        let letters = period("letter_retention", default.letters);
        let folder: Option<PathBuf> = settings.optional("event_archive");
        let archive = folder.map(|folder| folder.join(settings.app()));
        Self { events, archive, sagas, letters }
    }
}

/// The upkeep of a store.
#[derive(Clone, Debug)]
pub struct Upkeep {
    store: Store,
    kept: Kept,
    streams: Vec<String>,
    now: fn() -> i64,
    /// Random: unlike a host's name it is never somebody else's.
    owner: String,
}

/// What a round did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Done {
    /// Events that were archived.
    pub archived: u64,
    /// Events that were removed.
    pub events: u64,
    /// Sagas that were removed.
    pub sagas: u64,
    /// Dead letters that were removed.
    pub letters: u64,
    /// Keys of calls that were removed.
    pub keys: u64,
}

impl Upkeep {
    /// Upkeep that removes no events: say by [`Upkeep::shorten`] which may go.
    #[must_use]
    pub fn new(store: Store, kept: Kept) -> Self {
        let owner = format!("{:016x}", fastrand::u64(..));
        Self { store, kept, streams: Vec::new(), now: time::now, owner }
    }

    /// Events of streams that begin with one of these may go: of things whose state
    /// is in tables. Aggregates *are* their events: name none of theirs, and none
    /// from which others must be able to begin anew.
    #[must_use]
    pub fn shorten(mut self, prefixes: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.streams = prefixes.into_iter().map(Into::into).collect();
        self
    }

    /// With another wall clock, in microseconds since 1970, to tell what is old.
    #[must_use]
    pub fn with_clock(mut self, now: fn() -> i64) -> Self {
        self.now = now;
        self
    }

    /// Keeps the store small, and tells on the page of metrics what waits in it, until
    /// it is dropped, at any point without harm. To run in every replica beside what
    /// is served.
    pub async fn run(self) {
        tokio::join!(self.keep(), sample::run(&self.store));
    }

    /// Looks once at what waits in the store, for the page of metrics;
    /// [`Upkeep::run`] does it every 15 s.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn look(&self) -> Result<(), Error> {
        sample::look(&self.store).await
    }

    async fn keep(&self) {
        loop {
            // From half to one and a half, so that replicas do not come in step.
            sleep(PERIOD.mul_f64(0.5 + fastrand::f64())).await;
            match self.round().await {
                Ok(done) if done == Done::default() => {}
                Ok(done) => tracing::info!(?done, "the store was kept small"),
                Err(error) => {
                    tracing::error!(error = status::chain(&error), "cannot keep the store small");
                }
            }
        }
    }

    /// What [`Upkeep::run`] does each time; nothing when another replica is at it.
    ///
    /// # Errors
    /// Those of the database, and [`Error::Archive`]. What was removed until then
    /// stays removed.
    pub async fn round(&self) -> Result<Done, Error> {
        let mut done = Done::default();
        let Some(mut turn) = Turn::take(&self.store, &self.owner).await? else { return Ok(done) };
        // What is not the log's goes also when the archive cannot be written.
        let (sagas, letters) = (self.before(self.kept.sagas), self.before(self.kept.letters));
        done.sagas = prune::sagas(&turn, sagas).await?;
        done.letters = prune::letters(&turn, letters).await?;
        done.keys = prune::keys(&turn, (self.now)()).await?;
        done.archived = self.archive(&mut turn).await?;
        done.events = self.remove(&mut turn).await?;
        Ok(done)
    }

    /// The time so long ago.
    fn before(&self, period: Duration) -> i64 {
        (self.now)().saturating_sub(i64::try_from(period.as_micros()).unwrap_or(i64::MAX))
    }

    async fn remove(&self, turn: &mut Turn) -> Result<u64, Error> {
        let mut removed = 0;
        if self.streams.is_empty() {
            return Ok(removed);
        }
        for _ in 0..PIECES {
            let after = turn.marks.removed;
            let old = self.before(self.kept.events);
            let mut until = log::reach(&self.store, after, old, log::PIECE).await?;
            if self.kept.archive.is_some() {
                until = until.min(turn.marks.archived);
            }
            let mut tx = self.store.begin().await?;
            let until = until.min(log::had(&mut tx).await?);
            if until <= after {
                tx.rollback().await?;
                break;
            }
            removed += log::remove(&mut tx, after, until, &self.streams).await?;
            turn.marks.removed = until;
            if !turn.finish(tx).await? {
                break;
            }
        }
        Ok(removed)
    }
}
