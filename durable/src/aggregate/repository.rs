//! Loading, deciding, appending: at the version that the decision was made on.

use std::{error::Error as StdError, fmt, marker::PhantomData, sync::Arc};

use super::{
    Aggregate, Failure, Recorded,
    history::{self, Source},
    snapshot,
};
use crate::{
    Conflict, Error, Expected, Store, Tx,
    projection::{Immediate, Projection, Projector},
};

/// How often a decision is made again since others were faster, or the database
/// ended its transaction for theirs. After the first time the stream is locked
/// by the transaction, so more than two are rare.
const MAX_ATTEMPTS: u32 = 5;

/// The aggregates of one type in a store. A stream is named as the resource:
/// `orders/018f…`. Cheap to clone.
pub struct Repository<A> {
    store: Store,
    projections: Arc<[Arc<dyn Immediate>]>,
    aggregate: PhantomData<fn() -> A>,
}

impl<A: Aggregate> Repository<A> {
    /// The aggregates of a store.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self { store, projections: Arc::new([]), aggregate: PhantomData }
    }

    /// Projects what is appended in the transaction that appends it, so that who
    /// has the answer of a command finds its effect in the projection's tables.
    /// Costs each append some four statements. Only for projections that are
    /// [`IMMEDIATE`](Projection::IMMEDIATE), which is checked by the compiler.
    #[must_use]
    pub fn project<P: Projection>(mut self, projector: &Projector<P>) -> Self {
        const { assert!(P::IMMEDIATE, "the projection must be one that is IMMEDIATE") };
        let one: Arc<dyn Immediate> = Arc::new(projector.clone());
        self.projections = self.projections.iter().cloned().chain([one]).collect();
        self
    }

    /// An aggregate as it is; `None` when there is none.
    ///
    /// # Errors
    /// [`Error::UnreadableStream`] when the stream holds what is no event of it.
    pub async fn load(&self, stream: &str) -> Result<Option<Recorded<A>>, Error> {
        load(&mut Source::Store(&self.store), stream).await
    }

    /// Like [`Repository::load`], within a transaction.
    ///
    /// # Errors
    /// As [`Repository::load`].
    pub async fn load_in(&self, tx: &mut Tx, stream: &str) -> Result<Option<Recorded<A>>, Error> {
        load(&mut Source::Tx(tx), stream).await
    }

    /// An aggregate as it was at a time, in microseconds since 1970: the fold of
    /// what was appended before the first event that is later. Reads the stream
    /// from its beginning.
    ///
    /// # Errors
    /// As [`Repository::load`].
    pub async fn at(&self, stream: &str, time: i64) -> Result<Option<Recorded<A>>, Error> {
        history::fold(&mut Source::Store(&self.store), stream, None, Some(time)).await
    }

    /// Begins a stream.
    ///
    /// # Errors
    /// [`Conflict::Version`] when it has begun already.
    pub async fn create(&self, stream: &str, events: Vec<A::Event>) -> Result<Recorded<A>, Error> {
        if let Some(recorded) = self.append_alone(stream, None, &events).await? {
            return Ok(recorded);
        }
        let mut tx = self.store.begin().await?;
        let recorded = self.create_in(&mut tx, stream, events).await?;
        tx.commit().await?;
        Ok(recorded)
    }

    /// Like [`Repository::create`], within a transaction, which may go on after
    /// a conflict.
    ///
    /// # Errors
    /// As [`Repository::create`].
    pub async fn create_in(
        &self,
        tx: &mut Tx,
        stream: &str,
        events: Vec<A::Event>,
    ) -> Result<Recorded<A>, Error> {
        self.append(tx, stream, None, &events).await
    }

    /// Changes an aggregate by the events that `decide` answers; without any,
    /// nothing is written. When somebody else changed it first, `decide` is
    /// asked again with what they left, so it must be pure.
    ///
    /// Cancelled before it answers, it has happened wholly or not at all.
    ///
    /// # Errors
    /// [`Failure::Missing`] when there is no such stream, [`Failure::Refused`]
    /// with what `decide` said, and [`Conflict::Version`] (ABORTED) when others
    /// were faster again and again.
    pub async fn update<R, F>(&self, stream: &str, decide: F) -> Result<Recorded<A>, Failure<R>>
    where
        R: StdError,
        F: Fn(&Recorded<A>) -> Result<Vec<A::Event>, R>,
    {
        self.upsert(stream, existing(decide)).await
    }

    /// Like [`Repository::update`], within a transaction, which may go on after
    /// a refusal.
    ///
    /// # Errors
    /// As [`Repository::update`].
    pub async fn update_in<R, F>(
        &self,
        tx: &mut Tx,
        stream: &str,
        decide: F,
    ) -> Result<Recorded<A>, Failure<R>>
    where
        R: StdError,
        F: Fn(&Recorded<A>) -> Result<Vec<A::Event>, R>,
    {
        self.upsert_in(tx, stream, existing(decide)).await
    }

    /// Like [`Repository::update`], for an aggregate that may not be there yet.
    ///
    /// # Errors
    /// As [`Repository::update`]; [`Failure::Missing`] when it was not there and
    /// `decide` answered no events.
    pub async fn upsert<R, F>(&self, stream: &str, decide: F) -> Result<Recorded<A>, Failure<R>>
    where
        R: StdError,
        F: Fn(Option<&Recorded<A>>) -> Result<Vec<A::Event>, R>,
    {
        let mut attempt = 1;
        loop {
            // Outside of a transaction: most decisions need one only to append.
            let known = self.load(stream).await?;
            let events = decide(known.as_ref()).map_err(Failure::Refused)?;
            if events.is_empty() {
                return known.ok_or(Failure::Missing);
            }
            if attempt == 1
                && let Some(recorded) = self.append_alone(stream, known.clone(), &events).await?
            {
                return Ok(recorded);
            }
            let mut tx = self.store.begin().await?;
            let decided = self.settle(&mut tx, stream, known, events, &decide).await;
            let outcome = match decided {
                Ok(recorded) => tx.commit().await.map(|()| recorded).map_err(Failure::Store),
                Err(failure) => {
                    // Waited for, so that who sees the error also sees the state
                    // before; when it fails, the database does it by itself.
                    let _ = tx.rollback().await;
                    Err(failure)
                }
            };
            match outcome {
                Err(Failure::Store(error)) if error.is_contention() && attempt < MAX_ATTEMPTS => {
                    attempt += 1;
                }
                outcome => return outcome,
            }
        }
    }

    /// Like [`Repository::upsert`], within a transaction, which may go on after
    /// a refusal.
    ///
    /// # Errors
    /// As [`Repository::upsert`].
    pub async fn upsert_in<R, F>(
        &self,
        tx: &mut Tx,
        stream: &str,
        decide: F,
    ) -> Result<Recorded<A>, Failure<R>>
    where
        R: StdError,
        F: Fn(Option<&Recorded<A>>) -> Result<Vec<A::Event>, R>,
    {
        let known = self.load_in(tx, stream).await?;
        let events = decide(known.as_ref()).map_err(Failure::Refused)?;
        self.settle(tx, stream, known, events, &decide).await
    }

    /// Appends what was decided on `known`, or decides again on what is there.
    async fn settle<R, F>(
        &self,
        tx: &mut Tx,
        stream: &str,
        mut known: Option<Recorded<A>>,
        mut events: Vec<A::Event>,
        decide: &F,
    ) -> Result<Recorded<A>, Failure<R>>
    where
        F: Fn(Option<&Recorded<A>>) -> Result<Vec<A::Event>, R>,
    {
        let mut attempt = 1;
        loop {
            if events.is_empty() {
                return known.ok_or(Failure::Missing);
            }
            match self.append(tx, stream, known.clone(), &events).await {
                Err(Error::Conflict(Conflict::Version { .. })) if attempt < MAX_ATTEMPTS => {
                    attempt += 1;
                    known = history::fold(&mut Source::Tx(tx), stream, known, None).await?;
                    events = decide(known.as_ref()).map_err(Failure::Refused)?;
                }
                outcome => return Ok(outcome?),
            }
        }
    }

    /// Appends without a transaction where nothing else is written with the events.
    /// `None` when something is, or others were faster: the transaction that follows
    /// then has the stream for itself.
    async fn append_alone(
        &self,
        stream: &str,
        known: Option<Recorded<A>>,
        events: &[A::Event],
    ) -> Result<Option<Recorded<A>>, Error> {
        if !self.projections.is_empty() {
            return Ok(None);
        }
        let (before, recorded) = next(stream, known, events)?;
        if snapshot::is_due(before, &recorded) {
            return Ok(None);
        }
        let new = events.iter().map(A::encode).collect();
        match self.store.append(stream, expected(before), new).await {
            Ok(_) => Ok(Some(recorded)),
            Err(Error::Conflict(Conflict::Version { .. })) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn append(
        &self,
        tx: &mut Tx,
        stream: &str,
        known: Option<Recorded<A>>,
        events: &[A::Event],
    ) -> Result<Recorded<A>, Error> {
        let (before, recorded) = next(stream, known, events)?;
        let new = events.iter().map(A::encode).collect();
        tx.append(stream, expected(before), new).await?;
        snapshot::keep(tx, stream, before, &recorded).await?;
        for projection in self.projections.iter() {
            projection.project(tx, stream).await?;
        }
        Ok(recorded)
    }
}

/// What is believed of a stream that was seen at this version.
fn expected(version: i64) -> Expected {
    if version == 0 { Expected::NoStream } else { Expected::Exact(version) }
}

/// The version before the events, and what they make of the aggregate.
fn next<A: Aggregate>(
    stream: &str,
    known: Option<Recorded<A>>,
    events: &[A::Event],
) -> Result<(i64, Recorded<A>), Error> {
    let before = known.as_ref().map_or(0, |recorded| recorded.version);
    let next = events.iter().try_fold(known, |known, event| history::take(known, event).map(Some));
    let recorded = next.flatten().ok_or_else(|| Error::UnreadableStream {
        stream: stream.to_owned(),
        version: before + 1,
        problem: "no stream begins with it",
    })?;
    Ok((before, recorded))
}

async fn load<A: Aggregate>(
    source: &mut Source<'_>,
    stream: &str,
) -> Result<Option<Recorded<A>>, Error> {
    let known = snapshot::load(source, stream).await?;
    history::fold(source, stream, known, None).await
}

/// Decides only on what is there; without it, nothing is answered.
fn existing<A: Aggregate, R>(
    decide: impl Fn(&Recorded<A>) -> Result<Vec<A::Event>, R>,
) -> impl Fn(Option<&Recorded<A>>) -> Result<Vec<A::Event>, R> {
    move |known| known.map_or_else(|| Ok(Vec::new()), &decide)
}

impl<A> Clone for Repository<A> {
    fn clone(&self) -> Self {
        let (store, projections) = (self.store.clone(), self.projections.clone());
        Self { store, projections, aggregate: PhantomData }
    }
}

impl<A> fmt::Debug for Repository<A> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Repository").field("store", &self.store).finish()
    }
}
