//! Following the log into the tables: the rows and the note of how far they are
//! commit together. Every process that runs a projection follows; whoever commits
//! a piece first has done it, the others go on after it.

use std::{convert::Infallible, time::Duration};

use mesh::{Backoff, status};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

use super::{
    Projection, Projector, Shared, Writer,
    generation::{self, Generation},
};
use crate::{
    Dialect, Error, Event, Store,
    log::{self, Limit, Matching},
    params,
};

/// Events of one transaction: as many as it takes to share its cost, and few
/// enough that other writers of an SQLite file wait for some milliseconds.
const BATCH: Limit = Limit { events: 1_000, bytes: 4 * 1024 * 1024 };
/// Transactions after which it looks up from one generation to the others.
const BURST: usize = 16;
/// How soon a generation that another process asked for is found.
const LOOK: Duration = Duration::from_secs(1);
/// The sequencer is done within a commit or two.
const SEQUENCED: Duration = Duration::from_millis(2);
const RETRY: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(30));

/// Whether there is more to do.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Left {
    Nothing,
    More,
}

impl<P: Projection> Projector<P> {
    /// Keeps the tables up to date and builds new ones, until it is dropped, at
    /// any point without harm. What fails is tried again, with growing waits and
    /// a line in the log each time; nothing is skipped.
    pub async fn run(self) {
        let mut backoff = Backoff::new(RETRY.0, RETRY.1);
        loop {
            let Err(error) = self.shared.follow(&mut backoff).await;
            let (wait, error) = (backoff.wait(), status::chain(&error));
            tracing::error!(projection = P::NAME, error, ?wait, "cannot project; tried again");
            sleep(wait).await;
        }
    }

    /// Applies what was appended by now to all tables of this version, and lets
    /// queries find those that were being made. For tests and tools;
    /// [`Projector::run`] does it for as long as a process lives.
    ///
    /// # Errors
    /// Those of the projection and of the store.
    pub async fn catch_up(&self) -> Result<(), Error> {
        numbered(&self.shared.store).await?;
        loop {
            let end = log::end(&self.shared.store).await?;
            if self.shared.round(end).await? == Left::Nothing {
                return Ok(());
            }
        }
    }
}

impl<P: Projection> Shared<P> {
    async fn follow(&self, backoff: &mut Backoff) -> Result<Infallible, Error> {
        // Subscribed first, read second: what is committed in between wakes us.
        let mut head = self.store.signal().subscribe();
        self.store.signal().advance(log::end(&self.store).await?);
        loop {
            let until = *head.borrow_and_update();
            if self.round(until).await? == Left::Nothing {
                self.rest(&mut head).await;
            }
            backoff.reset();
        }
    }

    async fn rest(&self, head: &mut watch::Receiver<i64>) {
        let woken = async {
            tokio::select! {
                // Its sender lives as long as the store that is held here.
                _ = head.changed() => {}
                () = self.asked.notified() => {}
            }
        };
        let _ = timeout(LOOK, woken).await;
    }

    /// Brings each generation of this version some way towards `until`.
    async fn round(&self, until: i64) -> Result<Left, Error> {
        let mut left = Left::Nothing;
        let there = generation::load::<P>(&self.store).await?;
        // What another process has projected can be read, also when its end of
        // the log has not been heard of here.
        let until = there.iter().map(|it| it.position).fold(until, i64::max);
        for generation in there.iter().filter(|it| it.version == P::VERSION) {
            let outcome = self.advance(generation, until).await?;
            let swapped = match outcome {
                Left::Nothing if !generation.live => {
                    generation::swap::<P>(&self.store, generation.number).await?
                }
                outcome => outcome == Left::Nothing,
            };
            if !swapped {
                left = Left::More;
            }
        }
        Ok(left)
    }

    /// Reads the next piece while the one before is committed.
    async fn advance(&self, generation: &Generation, until: i64) -> Result<Left, Error> {
        if generation.position >= until {
            return Ok(Left::Nothing);
        }
        let matching = Matching { types: self.projection.types(), ..Matching::default() };
        let read = |after| log::read(&self.store, after, until, &matching, BATCH);
        let mut position = generation.position;
        let mut batch = read(position).await?;
        for _ in 0..BURST {
            let last = batch.position >= until;
            let next = async { if last { Ok(None) } else { read(batch.position).await.map(Some) } };
            let number = generation.number;
            let (next, stored) =
                tokio::join!(next, self.commit(number, position, &batch.events, batch.position));
            // Somebody else moved it, or dropped it: looked at again from there.
            if stored? != Some(batch.position) {
                return Ok(Left::More);
            }
            position = batch.position;
            match next? {
                Some(next) => batch = next,
                None => return Ok(Left::Nothing),
            }
        }
        Ok(Left::More)
    }

    /// One transaction: events and the position behind them. Returns the position
    /// that is stored now; `None` when the generation is gone.
    async fn commit(
        &self,
        number: i64,
        known: i64,
        events: &[Event],
        until: i64,
    ) -> Result<Option<i64>, Error> {
        let mut tx = self.store.begin().await?;
        let stored = generation::lock::<P>(&mut tx, number).await?;
        if stored != Some(known) {
            tx.rollback().await?;
            return Ok(stored);
        }
        if P::IMMEDIATE {
            self.apply_rest(&mut tx, number, events).await?;
        } else if !events.is_empty() {
            let mut writer = Writer::new(&mut tx, P::TABLES, number);
            self.projection.apply(&mut writer, events).await?;
        }
        generation::move_to::<P>(&mut tx, number, until).await?;
        match tx.commit().await {
            Ok(()) => {}
            Err(error) if error.is_contention() => return Ok(Some(known)),
            Err(error) => return Err(error),
        }
        self.moved.notify_waiters();
        Ok(Some(until))
    }
}

/// Waits until all that is committed by now has its position.
async fn numbered(store: &Store) -> Result<(), Error> {
    if store.dialect() == Dialect::Sqlite {
        return Ok(());
    }
    let newest = "SELECT coalesce(max(id), 0) AS id FROM durable_event";
    let newest = store.query_one(newest, params![]).await?;
    let newest: i64 = newest.map_or(Ok(0), |row| row.get("id"))?;
    let waiting = "SELECT 1 FROM durable_event WHERE position IS NULL AND id <= $1 LIMIT 1";
    while store.query_one(waiting, params![newest]).await?.is_some() {
        sleep(SEQUENCED).await;
    }
    Ok(())
}
