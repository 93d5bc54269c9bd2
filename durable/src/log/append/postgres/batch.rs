//! Appends that are written together, each with an answer of its own.

use std::collections::HashMap;

use sqlx::PgConnection;
use tokio::sync::oneshot;

use super::super::{Appended, Appending, NewEvent};
use crate::{Conflict, Error};

/// Appends of a batch: where the commit costs little beside the rows. Each may lock a
/// stream, in a table that all sessions share.
const MAX_APPENDS: usize = 256;
/// Their events: some milliseconds of the server's time, in which nobody else gives
/// positions.
const MAX_EVENTS: usize = 1_024;
/// Their bytes; one event may have as many.
const MAX_BYTES: usize = 1024 * 1024;
/// What one append may bring: so that no batch is one caller's.
const MAX_SHARE: usize = 4;
/// Streams whose versions are remembered; forgotten all at once.
const MAX_KNOWN: usize = 4_096;

const ONE: &str = "SELECT answer, until
    FROM durable_append_one($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
const ALL: &str = "SELECT answers, positions, until FROM durable_append_all
    ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)";

/// What became of an append.
pub(crate) enum Outcome {
    /// It is committed.
    Appended(Appended),
    /// Nothing of it was written, and it can only be written alone.
    Alone(Appending),
}

/// An append that somebody waits for.
pub(super) struct Waiting {
    pub(super) appending: Appending,
    pub(super) answer: oneshot::Sender<Result<Outcome, Error>>,
}

/// Versions near those that streams have.
#[derive(Default)]
pub(super) struct Known(HashMap<String, i64>);

#[derive(Default)]
pub(super) struct Batch {
    waiting: Vec<Waiting>,
    events: usize,
    bytes: usize,
}

/// What the database said.
pub(super) struct Answers {
    /// For each append its stream's version, `-1 - version` when that was not expected,
    /// or nothing when a transaction has the stream.
    versions: Vec<Option<i64>>,
    /// Position of the last event of each append.
    positions: Vec<Option<i64>>,
    /// The end of the log.
    until: Option<i64>,
}

impl Appending {
    /// Whether it may be written with others.
    pub(super) fn is_small(&self) -> bool {
        self.events.len() <= MAX_EVENTS / MAX_SHARE && self.bytes() <= MAX_BYTES / MAX_SHARE
    }

    fn bytes(&self) -> usize {
        self.events.iter().map(|event| event.data.len() + event.kind.len()).sum()
    }

    /// What is the stream's version at least, if all is as expected.
    fn least(&self) -> i64 {
        self.expected.range().0
    }
}

impl Known {
    fn near(&self, appending: &Appending) -> i64 {
        let known = self.0.get(&appending.stream).copied().unwrap_or(0);
        known.max(appending.least())
    }

    fn learn(&mut self, stream: &str, version: i64) {
        if let Some(known) = self.0.get_mut(stream) {
            *known = version;
            return;
        }
        if self.0.len() == MAX_KNOWN {
            self.0.clear();
        }
        self.0.insert(stream.to_owned(), version);
    }
}

impl Batch {
    pub(super) fn has_room(&self, appending: &Appending) -> bool {
        self.waiting.len() < MAX_APPENDS
            && self.events + appending.events.len() <= MAX_EVENTS
            && self.bytes + appending.bytes() <= MAX_BYTES
    }

    pub(super) fn push(&mut self, waiting: Waiting) {
        self.events += waiting.appending.events.len();
        self.bytes += waiting.appending.bytes();
        self.waiting.push(waiting);
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Writes all that fits, in a transaction of its own that is one statement.
    pub(super) async fn write(
        &self,
        connection: &mut PgConnection,
        known: &Known,
    ) -> Result<Answers, sqlx::Error> {
        if let [Waiting { appending, .. }] = &*self.waiting
            && let [event] = &*appending.events
        {
            return write_one(connection, appending, event, known.near(appending)).await;
        }
        self.write_all(connection, known).await
    }

    async fn write_all(
        &self,
        connection: &mut PgConnection,
        known: &Known,
    ) -> Result<Answers, sqlx::Error> {
        let appends: Vec<&Appending> = self.waiting.iter().map(|it| &it.appending).collect();
        let (mut streams, mut near, mut of) = (Vec::new(), Vec::new(), Vec::new());
        let mut places = HashMap::new();
        for append in &appends {
            let place = *places.entry(&*append.stream).or_insert_with(|| {
                streams.push(&*append.stream);
                near.push(known.near(append));
                ordinal(streams.len())
            });
            of.push(place);
        }
        let texts = |text: fn(&Appending) -> &str| -> Vec<&str> {
            appends.iter().map(|append| text(append)).collect()
        };
        let numbers = |number: fn(&Appending) -> i64| -> Vec<i64> {
            appends.iter().map(|append| number(append)).collect()
        };
        let owned = appends.iter().enumerate().flat_map(|(number, append)| {
            let events = append.events.iter().enumerate();
            events.map(move |(place, event)| (ordinal(number + 1), ordinal(place + 1), event))
        });
        let events: Vec<_> = owned.collect();
        let query = sqlx::query_as(ALL)
            .bind(streams)
            .bind(near)
            .bind(of)
            .bind(numbers(|append| append.expected.range().0))
            .bind(numbers(|append| append.expected.range().1))
            .bind(numbers(|append| ordinal(append.events.len())))
            .bind(numbers(|append| append.stamp.time))
            .bind(texts(|append| &append.stamp.traceparent))
            .bind(texts(|append| &append.stamp.actor))
            .bind(texts(|append| &append.stamp.correlation))
            .bind(texts(|append| &append.stamp.causation))
            .bind(events.iter().map(|(append, _, _)| *append).collect::<Vec<_>>())
            .bind(events.iter().map(|(_, place, _)| *place).collect::<Vec<_>>())
            .bind(events.iter().map(|(_, _, event)| &*event.kind).collect::<Vec<_>>())
            .bind(events.iter().map(|(_, _, event)| &*event.data).collect::<Vec<_>>());
        let (versions, positions, until) = query.fetch_one(connection).await?;
        Ok(Answers { versions, positions, until })
    }

    /// Tells everybody what became of their append.
    pub(super) fn answer(self, answers: Answers, known: &mut Known) {
        let said = answers.versions.into_iter().zip(answers.positions);
        for (Waiting { appending, answer }, (version, position)) in
            self.waiting.into_iter().zip(said)
        {
            let outcome = match version {
                None => Ok(Outcome::Alone(appending)),
                Some(version @ 0..) => {
                    known.learn(&appending.stream, version);
                    Ok(Outcome::Appended(Appended { version, position }))
                }
                Some(refused) => {
                    let actual = -1 - refused;
                    known.learn(&appending.stream, actual);
                    Err(Conflict::Version { stream: appending.stream, actual }.into())
                }
            };
            // Who does not wait any more learns nothing.
            let _ = answer.send(outcome);
        }
    }

    /// Nothing of it was written, since one of them, or all, cannot be: each finds out
    /// alone.
    pub(super) fn part(self) {
        for Waiting { appending, answer } in self.waiting {
            let _ = answer.send(Ok(Outcome::Alone(appending)));
        }
    }

    /// Says the same to everybody.
    pub(super) fn fail(self, error: impl Fn() -> Error) {
        for Waiting { answer, .. } in self.waiting {
            let _ = answer.send(Err(error()));
        }
    }
}

impl Answers {
    /// How far the log can be read, if that is known.
    pub(super) fn until(&self) -> Option<i64> {
        self.until
    }

    /// Whether events wait for the sequencer.
    pub(super) fn has_unnumbered(&self) -> bool {
        self.until.is_none() && self.versions.iter().any(|version| version.is_some_and(|it| it > 0))
    }
}

async fn write_one(
    connection: &mut PgConnection,
    appending: &Appending,
    event: &NewEvent,
    near: i64,
) -> Result<Answers, sqlx::Error> {
    let Appending { stream, expected, stamp, .. } = appending;
    let (least, most) = expected.range();
    let (version, until) = sqlx::query_as(ONE)
        .bind(stream)
        .bind(near)
        .bind(least)
        .bind(most)
        .bind(&event.kind)
        .bind(&event.data)
        .bind(stamp.time)
        .bind(&stamp.traceparent)
        .bind(&stamp.actor)
        .bind(&stamp.correlation)
        .bind(&stamp.causation)
        .fetch_one(connection)
        .await?;
    Ok(Answers { versions: vec![version], positions: vec![until], until })
}

/// Arrays begin with one, and lengths are far below the greatest number.
fn ordinal(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
