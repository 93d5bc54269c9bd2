//! A transaction's turn: it has the connection to itself and runs statements on
//! the thread of its caller, so that none of them costs a hop between threads.

use std::sync::mpsc;

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::{wish::Wish, writer::Requests};
use crate::Error;

/// The connection, lent by the writer. Whatever becomes of it, the writer gets
/// its connection back; without another word what was done is undone.
pub(crate) struct Turn {
    /// `None` only once it was given back.
    connection: Option<Connection>,
    writer: mpsc::Sender<Returned>,
}

/// What comes back to the writer.
pub(super) struct Returned {
    pub(super) connection: Connection,
    pub(super) end: End,
}

/// What is to happen with what was done.
pub(super) enum End {
    /// It becomes durable with its group.
    Commit {
        /// The last position it appended to the log.
        until: Option<i64>,
        answer: oneshot::Sender<Result<(), Error>>,
    },
    /// It is undone, and somebody may wait for that and for the end of its group.
    Undo(Option<oneshot::Sender<Result<(), Error>>>),
}

impl Turn {
    pub(super) fn new(connection: Connection, writer: mpsc::Sender<Returned>) -> Self {
        Self { connection: Some(connection), writer }
    }

    fn connection(&self) -> &Connection {
        self.connection.as_ref().expect("it is given back by who owns the turn, at its end")
    }

    fn end(&mut self, end: End) {
        if let Some(connection) = self.connection.take() {
            // Without a writer nobody commits, and SQLite rolls back.
            let _ = self.writer.send(Returned { connection, end });
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.end(End::Undo(None));
    }
}

/// A transaction from its begin to its end. It asks for its turn with its first
/// statement: a transaction that has done nothing yet keeps nobody waiting, so
/// whoever begins one may still wait for the commit of another.
pub(in crate::store) enum LocalTx {
    Begun(Requests),
    Running(Turn),
}

impl LocalTx {
    /// The connection; waits for the turn when it has yet to come.
    pub(in crate::store) async fn connection(&mut self) -> Result<&Connection, Error> {
        if let Self::Begun(requests) = self {
            let (answer, turn) = oneshot::channel();
            requests.send(Wish::Turn(answer)).await?;
            *self = Self::Running(turn.await.map_err(|_| gone())??);
        }
        match self {
            Self::Running(turn) => Ok(turn.connection()),
            Self::Begun(_) => unreachable!("it runs since the lines above"),
        }
    }

    pub(in crate::store) async fn commit(self, until: Option<i64>) -> Result<(), Error> {
        let Self::Running(mut turn) = self else { return Ok(()) };
        let (answer, outcome) = oneshot::channel();
        turn.end(End::Commit { until, answer });
        outcome.await.map_err(|_| gone())?
    }

    /// It was undone in any case. An error says that what it has read of others was
    /// undone as well.
    pub(in crate::store) async fn rollback(self) -> Result<(), Error> {
        let Self::Running(mut turn) = self else { return Ok(()) };
        let (answer, undone) = oneshot::channel();
        turn.end(End::Undo(Some(answer)));
        undone.await.map_err(|_| gone())?
    }
}

/// The writer has ended in the middle; also how a closed store answers.
pub(super) fn gone() -> Error {
    Error::Unavailable(sqlx::Error::WorkerCrashed)
}
