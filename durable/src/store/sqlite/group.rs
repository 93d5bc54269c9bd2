//! Group commit: transactions that wait at the same time share one COMMIT.
//!
//! A group takes whatever waits and never waits for more, so a lone transaction
//! is as fast as without groups. Each unit is a savepoint: one that fails is
//! undone alone. Nobody is told of success before the one COMMIT of all; when
//! that fails, it has failed for all.

use std::{
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    time::{Duration, Instant},
};

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::{
    checkpoint::Checkpoints,
    connect,
    refusal::Refusal,
    turn::{End, Returned, Turn},
    wish::Wish,
};
use crate::{
    Error,
    log::Signal,
    store::queue::{Queue, Waits as _},
};

/// Units of a group: where the commit costs little beside the statements.
const MAX_UNITS: usize = 256;
/// For how long a group takes more units. Less than a commit takes on a slow
/// disk, so that sharing it does not double the wait of the first.
const MAX_TIME: Duration = Duration::from_millis(2);
/// How often the writer looks after those who wait behind a long transaction.
const LOOK: Duration = Duration::from_secs(1);

/// Who waits for the commit of the group: those that it holds, and those that were
/// undone after they may have read what it holds.
pub(super) struct Settle {
    /// The last position that it appended to the log.
    pub(super) until: Option<i64>,
    pub(super) tell: Box<dyn FnOnce(Result<(), Error>) + Send>,
}

/// Runs groups, one after the other, on the writer's thread.
pub(super) struct Groups {
    path: String,
    signal: Arc<Signal>,
    /// `None` while it is lent, and when it broke and did not open again.
    connection: Option<Connection>,
    checkpoints: Checkpoints,
    lend: Sender<Returned>,
    returned: Receiver<Returned>,
    /// Released units of the group at hand.
    released: Vec<Settle>,
}

/// The transaction of SQLite has ended, and all units with it.
struct Lost(Refusal);

impl From<rusqlite::Error> for Lost {
    fn from(error: rusqlite::Error) -> Self {
        Self(Refusal::from(&error))
    }
}

impl Groups {
    pub(super) fn new(connection: Connection, path: String, signal: Arc<Signal>) -> Self {
        let (lend, returned) = channel();
        let checkpoints = Checkpoints::on(&connection, path.clone());
        let connection = Some(connection);
        Self { path, signal, connection, checkpoints, lend, returned, released: Vec::new() }
    }

    /// Serves until the store is gone or closed.
    pub(super) fn run(mut self, mut queue: Queue<Wish>) {
        while let Some(first) = queue.blocking_next() {
            if let Some(closed) = self.group(first, &mut queue) {
                // The file first, then the word of it.
                drop(self);
                let _ = closed.send(());
                return;
            }
        }
    }

    /// One transaction of SQLite. Answers who wants the writer to end.
    fn group(&mut self, first: Wish, queue: &mut Queue<Wish>) -> Option<oneshot::Sender<()>> {
        if let Wish::Close(closed) = first {
            return Some(closed);
        }
        if let Err(error) = self.begin() {
            first.refuse(error);
            return None;
        }
        let mut closed = None;
        let outcome = self.fill(first, queue, &mut closed).and_then(|()| self.commit());
        if let Err(Lost(refusal)) = outcome {
            self.give_up(&refusal);
        }
        closed
    }

    fn begin(&mut self) -> Result<(), Error> {
        if self.connection.is_none() {
            let connection = connect::writer(&self.path)?;
            self.checkpoints = Checkpoints::on(&connection, self.path.clone());
            self.connection = Some(connection);
        }
        // A deferred transaction that reads first and writes later fails at once
        // when another process wrote in between; no timeout applies to it.
        Ok(run(self.connection(), "BEGIN IMMEDIATE")?)
    }

    fn fill(
        &mut self,
        first: Wish,
        queue: &mut Queue<Wish>,
        closed: &mut Option<oneshot::Sender<()>>,
    ) -> Result<(), Lost> {
        let began = Instant::now();
        let mut next = Some(first);
        while let Some(wish) = next {
            match wish {
                Wish::Unit(unit) => {
                    self.begin_unit()?;
                    let settle = unit.run(self.connection());
                    self.end_unit(settle)?;
                }
                Wish::Turn(answer) => self.lend(answer, queue)?,
                Wish::Close(answer) => {
                    *closed = Some(answer);
                    return Ok(());
                }
            }
            // The first was undone, and the transaction with it.
            let over = self.connection().is_autocommit();
            let full = self.released.len() >= MAX_UNITS || began.elapsed() >= MAX_TIME;
            next = if over || full { None } else { queue.try_next() };
        }
        Ok(())
    }

    /// Lets a transaction have the connection until it ends.
    fn lend(
        &mut self,
        answer: oneshot::Sender<Result<Turn, Error>>,
        queue: &mut Queue<Wish>,
    ) -> Result<(), Lost> {
        self.begin_unit()?;
        let connection = self.connection.take().expect("it has just been used");
        // Dropped where nobody takes it, it comes back like any other.
        drop(answer.send(Ok(Turn::new(connection, self.lend.clone()))));
        let Returned { connection, end } = self.wait(queue);
        self.connection = Some(connection);
        match end {
            End::Commit { until, answer } => {
                let tell = move |outcome| drop(answer.send(outcome));
                self.end_unit(Some(Settle { until, tell: Box::new(tell) }))
            }
            End::Undo(answer) => {
                // What it has seen of those before it is there when they are.
                let alone = self.released.is_empty();
                let undone = self.end_unit(None);
                match answer {
                    Some(answer) if alone => drop(answer.send(Ok(()))),
                    Some(answer) => {
                        let tell = move |outcome| drop(answer.send(outcome));
                        self.released.push(Settle { until: None, tell: Box::new(tell) });
                    }
                    None => {}
                }
                undone
            }
        }
    }

    fn wait(&self, queue: &mut Queue<Wish>) -> Returned {
        loop {
            match self.returned.recv_timeout(LOOK) {
                Ok(returned) => return returned,
                Err(RecvTimeoutError::Timeout) => queue.expire(),
                Err(RecvTimeoutError::Disconnected) => unreachable!("`lend` is its other end"),
            }
        }
    }

    /// The first of a group needs no savepoint: to undo it is to undo everything.
    fn begin_unit(&self) -> Result<(), Lost> {
        if self.released.is_empty() {
            return Ok(());
        }
        Ok(run(self.connection(), "SAVEPOINT unit")?)
    }

    /// Keeps what the unit did, or undoes it.
    fn end_unit(&mut self, settle: Option<Settle>) -> Result<(), Lost> {
        let (keep, first) = (settle.is_some(), self.released.is_empty());
        self.released.extend(settle);
        // A full disk, for one, makes SQLite undo everything at once.
        if self.connection().is_autocommit() {
            return Err(Lost(Refusal::rolled_back()));
        }
        match (keep, first) {
            (true, true) => Ok(()),
            (false, true) => Ok(run(self.connection(), "ROLLBACK")?),
            (true, false) => Ok(run(self.connection(), "RELEASE unit")?),
            (false, false) => {
                run(self.connection(), "ROLLBACK TO unit")?;
                Ok(run(self.connection(), "RELEASE unit")?)
            }
        }
    }

    fn commit(&mut self) -> Result<(), Lost> {
        if self.released.is_empty() {
            return if self.connection().is_autocommit() {
                Ok(())
            } else {
                Ok(run(self.connection(), "ROLLBACK")?)
            };
        }
        crate::crash::point("group.commit.before");
        run(self.connection(), "COMMIT")?;
        crate::crash::point("group.commit.after");
        let until = self.released.iter().filter_map(|unit| unit.until).max();
        self.signal.advance(until.unwrap_or(0));
        for unit in self.released.drain(..) {
            (unit.tell)(Ok(()));
        }
        let connection = self.connection.as_ref().expect("it has just been used");
        self.checkpoints.after_commit(connection);
        Ok(())
    }

    /// Nobody of the group was told of success, and nobody will be.
    fn give_up(&mut self, refusal: &Refusal) {
        tracing::warn!(error = %refusal, units = self.released.len(), "a group was not committed");
        let connection = self.connection();
        if !connection.is_autocommit() && run(connection, "ROLLBACK").is_err() {
            self.connection = None;
        }
        for unit in self.released.drain(..) {
            (unit.tell)(Err(refusal.unknown_outcome()));
        }
    }

    fn connection(&self) -> &Connection {
        self.connection.as_ref().expect("it is lent only within `lend`, and a group began with it")
    }
}

fn run(connection: &Connection, sql: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.execute([])?;
    Ok(())
}
