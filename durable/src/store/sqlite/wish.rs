//! What waits for the writer: in the order of its coming, bounded, and not for
//! longer than a caller is patient.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::{group::Settle, turn::Turn};
use crate::Error;

/// How long a task waits for its turn.
const PATIENCE: Duration = Duration::from_secs(10);
/// Requests in the queue; who comes then waits outside of it, just as long.
pub(super) const CAPACITY: usize = 1_024;

/// Something that somebody wants of the writer.
pub(super) struct Request {
    pub(super) asked: Instant,
    pub(super) wish: Wish,
}

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

pub(super) struct Queue {
    incoming: mpsc::Receiver<Request>,
    /// Taken from `incoming` while a transaction was waited for.
    waiting: VecDeque<Request>,
}

impl Queue {
    pub(super) fn new(incoming: mpsc::Receiver<Request>) -> Self {
        Self { incoming, waiting: VecDeque::new() }
    }

    /// Sleeps until there is one; `None` when the store is gone.
    pub(super) fn next(&mut self) -> Option<Wish> {
        loop {
            let request = match self.waiting.pop_front() {
                Some(request) => request,
                None => self.incoming.blocking_recv()?,
            };
            if let Some(wish) = request.live() {
                return Some(wish);
            }
        }
    }

    /// One that is there already.
    pub(super) fn try_next(&mut self) -> Option<Wish> {
        loop {
            let request = self.waiting.pop_front().or_else(|| self.incoming.try_recv().ok())?;
            if let Some(wish) = request.live() {
                return Some(wish);
            }
        }
    }

    /// Answers those that have waited for too long.
    pub(super) fn expire(&mut self) {
        while self.waiting.len() < CAPACITY {
            match self.incoming.try_recv() {
                Ok(request) => self.waiting.push_back(request),
                Err(_) => break,
            }
        }
        while self.waiting.front().is_some_and(Request::is_late) {
            if let Some(request) = self.waiting.pop_front() {
                request.wish.refuse(late());
            }
        }
    }
}

impl Request {
    pub(super) fn now(wish: Wish) -> Self {
        Self { asked: Instant::now(), wish }
    }

    fn is_late(&self) -> bool {
        self.asked.elapsed() > PATIENCE
    }

    /// What is wished, when it is still wished for.
    fn live(self) -> Option<Wish> {
        match &self.wish {
            Wish::Close(_) => return Some(self.wish),
            Wish::Turn(answer) if answer.is_closed() => return None,
            Wish::Unit(unit) if unit.is_abandoned() => return None,
            Wish::Turn(_) | Wish::Unit(_) => {}
        }
        if self.is_late() {
            self.wish.refuse(late());
            return None;
        }
        Some(self.wish)
    }
}

impl Wish {
    /// Says why it is not granted.
    pub(super) fn refuse(self, error: Error) {
        match self {
            Self::Turn(answer) => drop(answer.send(Err(error))),
            Self::Unit(unit) => unit.refuse(error),
            Self::Close(answer) => drop(answer.send(())),
        }
    }
}

fn late() -> Error {
    Error::Unavailable(sqlx::Error::PoolTimedOut)
}
