//! What waits for a writer: in the order of its coming, bounded, and not for longer
//! than a caller is patient.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use tokio::sync::mpsc;

use crate::Error;

/// How long something waits for its turn; as long as one waits for a connection.
const PATIENCE: Duration = Duration::from_secs(10);
/// Requests in the queue; who comes then waits outside of it.
pub(crate) const CAPACITY: usize = 1_024;

/// Something that somebody wants of a writer.
pub(crate) trait Waits {
    /// Nobody waits for it any more.
    fn is_abandoned(&self) -> bool;

    /// It is granted however long it takes, as is the wish that the writer ends.
    fn is_patient(&self) -> bool;

    /// Says why it is not granted.
    fn refuse(self, error: Error);
}

/// A wish and when it was uttered.
pub(crate) struct Request<W> {
    asked: Instant,
    wish: W,
}

pub(crate) struct Queue<W> {
    incoming: mpsc::Receiver<Request<W>>,
    /// Taken from `incoming` before its time.
    waiting: VecDeque<Request<W>>,
}

impl<W: Waits> Queue<W> {
    pub(crate) fn new(incoming: mpsc::Receiver<Request<W>>) -> Self {
        Self { incoming, waiting: VecDeque::new() }
    }

    /// Waits until there is one; `None` when the store is gone.
    pub(crate) async fn next(&mut self) -> Option<W> {
        loop {
            let next = self.try_next();
            if next.is_some() {
                return next;
            }
            let request = self.incoming.recv().await?;
            self.waiting.push_back(request);
        }
    }

    /// Like [`Queue::next`], on a thread of the writer's own.
    pub(crate) fn blocking_next(&mut self) -> Option<W> {
        loop {
            let next = self.try_next();
            if next.is_some() {
                return next;
            }
            let request = self.incoming.blocking_recv()?;
            self.waiting.push_back(request);
        }
    }

    /// One that is there already.
    pub(crate) fn try_next(&mut self) -> Option<W> {
        self.next_if(|_| true)
    }

    /// One that is there already, and fits; what does not stays the first.
    pub(crate) fn next_if(&mut self, fits: impl Fn(&W) -> bool) -> Option<W> {
        loop {
            let request = self.waiting.pop_front().or_else(|| self.incoming.try_recv().ok())?;
            let Some(request) = request.live() else { continue };
            if fits(&request.wish) {
                return Some(request.wish);
            }
            self.waiting.push_front(request);
            return None;
        }
    }

    /// Answers those that have waited for too long.
    pub(crate) fn expire(&mut self) {
        while self.waiting.len() < CAPACITY {
            match self.incoming.try_recv() {
                Ok(request) => self.waiting.push_back(request),
                Err(_) => break,
            }
        }
        let waiting = std::mem::take(&mut self.waiting);
        self.waiting = waiting.into_iter().filter_map(Request::live).collect();
    }
}

impl<W: Waits> Request<W> {
    pub(crate) fn now(wish: W) -> Self {
        Self { asked: Instant::now(), wish }
    }

    /// Itself, when it is still wished for; refused when it is late.
    fn live(self) -> Option<Self> {
        if self.wish.is_abandoned() {
            return None;
        }
        if self.asked.elapsed() > PATIENCE && !self.wish.is_patient() {
            self.wish.refuse(Error::Unavailable(sqlx::Error::PoolTimedOut));
            return None;
        }
        Some(self)
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    struct Asked {
        patient: bool,
        answer: oneshot::Sender<Error>,
    }

    impl Waits for Asked {
        fn is_abandoned(&self) -> bool {
            self.answer.is_closed()
        }

        fn is_patient(&self) -> bool {
            self.patient
        }

        fn refuse(self, error: Error) {
            let _ = self.answer.send(error);
        }
    }

    fn late(patient: bool) -> (Request<Asked>, oneshot::Receiver<Error>) {
        let (answer, refused) = oneshot::channel();
        let asked = Instant::now().checked_sub(2 * PATIENCE).unwrap();
        (Request { asked, wish: Asked { patient, answer } }, refused)
    }

    #[test]
    fn what_waits_for_too_long_is_refused_but_for_an_end() {
        let (requests, incoming) = mpsc::channel(3);
        let mut queue = Queue::new(incoming);
        let [(end, mut ended), (unit, mut refused)] = [late(true), late(false)];
        for request in [end, unit] {
            assert!(requests.try_send(request).is_ok());
        }
        queue.expire();
        assert!(matches!(refused.try_recv(), Ok(Error::Unavailable(_))));
        assert!(ended.try_recv().is_err_and(|error| error == oneshot::error::TryRecvError::Empty));
        assert!(queue.next_if(|_| false).is_none());
        assert!(queue.blocking_next().is_some_and(|wish| wish.patient));
    }
}
