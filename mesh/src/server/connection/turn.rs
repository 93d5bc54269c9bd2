//! A turn of a connection: takes every call that has come in, then runs each of
//! them as far as it goes without waiting. Most end there, and what they answer
//! leaves in one write. Only a call that waits becomes a task of its own, which
//! costs a twentieth of what a small call costs as a whole.

use std::{
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use h2::{RecvStream, server::SendResponse};
use http::Request;
use tokio::{
    runtime::{Handle, RuntimeFlavor},
    time::Instant,
};

use super::Connection;

/// After so many calls a connection sends what was answered and lets others of its
/// worker run: at some ten microseconds a call, within a millisecond.
const MOST: usize = 64;

/// A call that has come in.
type Call = (Request<RecvStream>, SendResponse<Bytes>);

/// The calls of a connection, before any of them waits.
pub(super) struct Turn<B, F, C = Call> {
    /// Makes the future that serves a call from this moment, and tells when that has
    /// ended.
    begin: B,
    came: Vec<C>,
    /// Where calls are worked on, one after the other. A call that waits takes it
    /// along.
    place: Option<Pin<Box<F>>>,
    /// Whether other threads would take a call off this one.
    shares: bool,
}

impl<B: Fn(Call, Instant) -> F, F: Future<Output = Instant> + Send + 'static> Turn<B, F> {
    /// Serves calls until the connection has ended.
    pub(super) fn poll(
        &mut self,
        connection: &mut Connection,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), h2::Error>> {
        let mut served = 0;
        loop {
            let ended = match connection.poll_accept(cx) {
                Poll::Ready(Some(Ok(call))) => {
                    self.came.push(call);
                    if self.came.len() < MOST {
                        continue;
                    }
                    None
                }
                Poll::Ready(Some(Err(error))) => Some(Err(error)),
                Poll::Ready(None) => Some(Ok(())),
                Poll::Pending if self.came.is_empty() => return Poll::Pending,
                Poll::Pending => None,
            };
            if served >= MOST && ended.is_none() {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            served += self.came.len();
            self.serve(cx);
            if let Some(ended) = ended {
                return Poll::Ready(ended);
            }
        }
    }
}

impl<C, B: Fn(C, Instant) -> F, F: Future<Output = Instant> + Send + 'static> Turn<B, F, C> {
    /// Of a connection on this runtime.
    pub(super) fn new(begin: B) -> Self {
        let shares = Handle::current().runtime_flavor() != RuntimeFlavor::CurrentThread;
        Self { begin, came: Vec::new(), place: None, shares }
    }

    /// Runs what has come as far as it goes.
    fn serve(&mut self, cx: &mut Context<'_>) {
        // When one call has ended the next one begins: one look at the clock for both.
        let mut ended = None;
        for call in self.came.drain(..) {
            let call = (self.begin)(call, ended.take().unwrap_or_else(Instant::now));
            let mut call = match self.place.take() {
                Some(mut place) => {
                    place.set(call);
                    place
                }
                None => Box::pin(call),
            };
            if self.shares {
                tokio::spawn(call);
                continue;
            }
            // A panic ends its own call, as it would in a task.
            match catch_unwind(AssertUnwindSafe(|| call.as_mut().poll(cx))) {
                Ok(Poll::Ready(at)) => {
                    ended = Some(at);
                    self.place = Some(call);
                }
                Ok(Poll::Pending) => drop(tokio::spawn(call)),
                Err(_) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{Arc, Mutex},
        task::Waker,
    };

    use tokio::sync::Semaphore;

    use super::*;

    /// How a call goes on.
    #[derive(Clone, Copy)]
    enum Goes {
        Through,
        Waiting,
        Wrong,
    }

    #[tokio::test]
    async fn a_call_that_waits_or_panics_holds_up_no_other() {
        let (ended, gate) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Semaphore::new(0)));
        let begin = |(number, goes): (u32, Goes), now| {
            let (ended, gate) = (ended.clone(), gate.clone());
            async move {
                match goes {
                    Goes::Through => {}
                    Goes::Waiting => gate.acquire().await.unwrap().forget(),
                    Goes::Wrong => panic!("a fault of the mesh itself"),
                }
                ended.lock().unwrap().push(number);
                now
            }
        };
        let mut turn = Turn::new(begin);
        let goes = [Goes::Through, Goes::Waiting, Goes::Wrong, Goes::Waiting, Goes::Through];
        turn.came.extend((0..).zip(goes));
        turn.serve(&mut Context::from_waker(Waker::noop()));
        assert_eq!(*ended.lock().unwrap(), [0, 4]);

        gate.add_permits(2);
        while ended.lock().unwrap().len() < 4 {
            tokio::task::yield_now().await;
        }
        assert_eq!(ended.lock().unwrap()[2..], [1, 3]);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn where_other_threads_could_serve_a_call_it_is_a_task_at_once() {
        let (done, was_done) = tokio::sync::oneshot::channel();
        let done = Mutex::new(Some(done));
        let mut turn = Turn::new(|(), now| {
            let done = done.lock().unwrap().take().unwrap();
            async move {
                done.send(tokio::task::try_id()).unwrap();
                now
            }
        });
        turn.came.push(());
        turn.serve(&mut Context::from_waker(Waker::noop()));
        let task = was_done.await.unwrap();
        assert!(task.is_some() && task != tokio::task::try_id());
    }
}
