//! Folding the events of one stream, page by page, from a store or within a
//! transaction.

use super::{Aggregate, Recorded};
use crate::{Error, Event, Row, Store, Tx, Value, params};

/// Events in memory at a time.
const PAGE: i64 = 500;

/// Where events are read.
pub(super) enum Source<'s> {
    /// Everything that was committed.
    Store(&'s Store),
    /// Also what this transaction wrote.
    Tx(&'s mut Tx),
}

impl Source<'_> {
    pub(super) async fn query(
        &mut self,
        sql: String,
        params: Vec<Value>,
    ) -> Result<Vec<Row>, Error> {
        match self {
            Source::Store(store) => store.query(sql, params).await,
            Source::Tx(tx) => tx.query(sql, params).await,
        }
    }
}

/// Takes what follows `known` in the stream into it: all of it, or what comes
/// before the first event that is later than `until`.
pub(super) async fn fold<A: Aggregate>(
    source: &mut Source<'_>,
    stream: &str,
    mut known: Option<Recorded<A>>,
    until: Option<i64>,
) -> Result<Option<Recorded<A>>, Error> {
    loop {
        let after = known.as_ref().map_or(0, |recorded| recorded.version);
        let page = page(source, stream, after).await?;
        let full = page.len() == usize::try_from(PAGE).unwrap_or(usize::MAX);
        for event in page {
            if until.is_some_and(|until| event.time > until) {
                return Ok(known);
            }
            known = Some(step(known, &event)?);
        }
        if !full {
            return Ok(known);
        }
    }
}

async fn page(source: &mut Source<'_>, stream: &str, after: i64) -> Result<Vec<Event>, Error> {
    let rows = source.query(of_stream(), params![stream, after, PAGE]).await?;
    rows.iter().map(Event::from_row).collect()
}

/// A statement for the events of a stream (`$1`) after a version (`$2`), at most
/// so many (`$3`), whether they have a position yet or not: on PostgreSQL the
/// sequencer gives it after the commit, and zero stands for none here.
pub(crate) fn of_stream() -> String {
    let columns = Event::COLUMNS.replacen("position", "coalesce(position, 0) AS position", 1);
    format!(
        "SELECT {columns} FROM durable_event
         WHERE stream = $1 AND version > $2 ORDER BY version LIMIT $3"
    )
}

fn step<A: Aggregate>(known: Option<Recorded<A>>, event: &Event) -> Result<Recorded<A>, Error> {
    let unreadable = |problem| Error::UnreadableStream {
        stream: event.stream.clone(),
        version: event.version,
        problem,
    };
    let before = known.as_ref().map_or(0, |recorded| recorded.version);
    if event.version != before + 1 {
        return Err(unreadable("events before it are missing"));
    }
    let known_event = A::decode(event)?.ok_or_else(|| unreadable("its type is not known"))?;
    take(known, &known_event).ok_or_else(|| unreadable("no stream begins with it"))
}

/// The state after one more event; `None` when it cannot be the first.
pub(super) fn take<A: Aggregate>(
    known: Option<Recorded<A>>,
    event: &A::Event,
) -> Option<Recorded<A>> {
    match known {
        None => A::begin(event).map(|state| Recorded { state, version: 1 }),
        Some(Recorded { mut state, version }) => {
            state.evolve(event);
            Some(Recorded { state, version: version + 1 })
        }
    }
}
