//! Appends that wait for the writer: in the order of their coming, bounded, and not
//! for longer than a caller is patient.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use tokio::sync::{mpsc, oneshot};

use super::{super::Appending, batch::Waiting};
use crate::Error;

/// How long an append waits to be written; as long as one waits for a connection.
const PATIENCE: Duration = Duration::from_secs(10);
/// Appends in the queue; who comes then waits outside of it.
pub(super) const CAPACITY: usize = 1_024;

/// Something that somebody wants of the writer.
pub(super) struct Request {
    asked: Instant,
    wish: Wish,
}

pub(super) enum Wish {
    Append(Waiting),
    /// To end, and to say so.
    Close(oneshot::Sender<()>),
}

pub(super) struct Queue {
    incoming: mpsc::Receiver<Request>,
    /// Taken from `incoming` before its time.
    waiting: VecDeque<Request>,
}

impl Queue {
    pub(super) fn new(incoming: mpsc::Receiver<Request>) -> Self {
        Self { incoming, waiting: VecDeque::new() }
    }

    /// Sleeps until there is one; `None` when the store is gone.
    pub(super) async fn next(&mut self) -> Option<Wish> {
        loop {
            let request = match self.waiting.pop_front() {
                Some(request) => request,
                None => self.incoming.recv().await?,
            };
            if let Some(wish) = request.live() {
                return Some(wish);
            }
        }
    }

    /// One that is there already, and fits; what does not stays the first.
    pub(super) fn next_if(&mut self, fits: impl Fn(&Appending) -> bool) -> Option<Waiting> {
        loop {
            let request = self.waiting.pop_front().or_else(|| self.incoming.try_recv().ok())?;
            let asked = request.asked;
            match request.live() {
                None => {}
                Some(Wish::Append(next)) if fits(&next.appending) => return Some(next),
                Some(wish) => {
                    self.waiting.push_front(Request { asked, wish });
                    return None;
                }
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
        let waiting = std::mem::take(&mut self.waiting).into_iter();
        let (late, rest): (VecDeque<_>, _) = waiting.partition(Request::is_late);
        self.waiting = rest;
        for request in late {
            // Nobody wishes for it any more, which it says to who asked.
            let _ = request.live();
        }
    }
}

impl Request {
    pub(super) fn now(wish: Wish) -> Self {
        Self { asked: Instant::now(), wish }
    }

    fn is_late(&self) -> bool {
        self.asked.elapsed() > PATIENCE && matches!(self.wish, Wish::Append(_))
    }

    /// What is wished, when it is still wished for; refused when it is late.
    fn live(self) -> Option<Wish> {
        let late = self.is_late();
        match self.wish {
            Wish::Append(waiting) if waiting.answer.is_closed() => None,
            Wish::Append(waiting) if late => {
                let _ = waiting.answer.send(Err(Error::Unavailable(sqlx::Error::PoolTimedOut)));
                None
            }
            wish => Some(wish),
        }
    }
}
