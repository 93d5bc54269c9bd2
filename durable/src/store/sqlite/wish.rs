//! What is wanted of the writer.

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::{group::Settle, turn::Turn};
use crate::{Error, store::queue::Waits};

pub(super) enum Wish {
    /// The connection, for as long as a transaction takes.
    Turn(oneshot::Sender<Result<Turn, Error>>),
    /// Some statements that the writer runs by itself.
    Unit(Box<dyn Unit>),
    /// To end, and to say so.
    Close(oneshot::Sender<()>),
}

/// Work for the writer's own thread.
pub(super) trait Unit: Send {
    /// Runs it. `Some` is told the outcome of the commit; with `None` it failed,
    /// said so to its caller, and must be undone.
    fn run(self: Box<Self>, connection: &Connection) -> Option<Settle>;

    /// It will not run.
    fn refuse(self: Box<Self>, error: Error);

    /// Nobody waits for it any more.
    fn is_abandoned(&self) -> bool;
}

impl Waits for Wish {
    fn is_abandoned(&self) -> bool {
        match self {
            Self::Turn(answer) => answer.is_closed(),
            Self::Unit(unit) => unit.is_abandoned(),
            Self::Close(_) => false,
        }
    }

    fn is_patient(&self) -> bool {
        matches!(self, Self::Close(_))
    }

    fn refuse(self, error: Error) {
        match self {
            Self::Turn(answer) => drop(answer.send(Err(error))),
            Self::Unit(unit) => unit.refuse(error),
            Self::Close(answer) => drop(answer.send(())),
        }
    }
}
