//! A way out for handlers that compute: a worker's thread that computes serves
//! none of its other calls meanwhile, so what takes longer than a millisecond or
//! so belongs here, on threads of its own.

use std::{num::NonZero, sync::LazyLock, thread, time::Duration};

use tokio::{
    sync::{Semaphore, SemaphorePermit},
    task,
};
use tonic::{Code, Status};

use crate::{call, status};

/// Most computations that wait for a thread, for each thread: at 20 ms each the
/// last one waits two and a half seconds, and a longer queue would outlive the
/// deadlines of those who wait in it.
const WAITING_PER_THREAD: usize = 128;

/// In which time half of a full queue is gone.
const RETRY_AFTER: Duration = Duration::from_secs(1);

static POOL: LazyLock<Pool> =
    LazyLock::new(|| Pool::new(thread::available_parallelism().map_or(1, NonZero::get)));

/// Computes `work` on a thread of its own and returns what it returns.
///
/// As many computations run at once in a process as it may use cores, since more
/// would only take turns; others wait, in order. `work` is part of the call that
/// is being handled: [`call::deadline`], [`call::caller`] and the trace are there,
/// and it should look at the deadline when it takes long, for nobody can interrupt
/// it.
///
/// # Errors
/// RESOURCE_EXHAUSTED with reason `COMPUTE_FULL`, at once, when too many wait
/// already; UNAVAILABLE when the process ends before its turn comes.
///
/// # Panics
/// When `work` does, with its panic.
///
/// # Cancellation
/// Dropping the future while it waits takes it out of the queue, and `work` never
/// runs. Once it runs, it runs to its end, keeps its place until then, and its
/// result is dropped.
pub async fn compute<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Status> {
    POOL.compute(work).await
}

/// Places for those who compute and for those who wait.
struct Pool {
    /// Those who wait or compute.
    queue: Semaphore,
    turns: Semaphore,
}

/// A place in the queue, and a turn.
type Turn = (SemaphorePermit<'static>, SemaphorePermit<'static>);

impl Pool {
    fn new(threads: usize) -> Self {
        Self {
            queue: Semaphore::new(threads * (1 + WAITING_PER_THREAD)),
            turns: Semaphore::new(threads),
        }
    }

    async fn turn(&'static self) -> Result<Turn, Status> {
        let place = self.queue.try_acquire().map_err(|_| full())?;
        let turn = self.turns.acquire().await.expect("it is never closed");
        Ok((place, turn))
    }

    async fn compute<T: Send + 'static>(
        &'static self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Status> {
        let turn = self.turn().await?;
        let (call, span) = (call::current(), tracing::Span::current());
        // The turn is the work's, not the call's: one that is given up makes no
        // room before its work has ended.
        let computed = task::spawn_blocking(move || {
            let _turn = turn;
            span.in_scope(|| call::computing(call, work))
        });
        match computed.await {
            Ok(result) => Ok(result),
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => Err(status::refuse(
                    Code::Unavailable,
                    "DRAINING",
                    "this process is about to end",
                )),
            },
        }
    }
}

fn full() -> Status {
    status::exhausted("COMPUTE_FULL", "too many computations are waiting", RETRY_AFTER)
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
        mpsc,
    };

    use super::*;

    fn pool(threads: usize) -> &'static Pool {
        Box::leak(Box::new(Pool::new(threads)))
    }

    #[tokio::test]
    async fn work_is_part_of_the_call_that_asked_for_it_on_another_thread() {
        let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let here = thread::current().id();
        let (there, seen) = call::caused_by(Some(text), async {
            compute(|| (thread::current().id(), call::traceparent())).await.unwrap()
        })
        .await;
        assert_ne!(there, here);
        assert_eq!(seen.as_deref(), Some(text));
    }

    #[tokio::test]
    async fn no_more_compute_at_once_than_there_are_threads() {
        let pool = pool(2);
        let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let all = (0..20).map(|_| {
            let (running, most) = (running.clone(), most.clone());
            pool.compute(move || {
                most.fetch_max(running.fetch_add(1, SeqCst) + 1, SeqCst);
                thread::yield_now();
                running.fetch_sub(1, SeqCst);
            })
        });
        for done in futures_util::future::join_all(all).await {
            done.unwrap();
        }
        assert!(most.load(SeqCst) <= 2);
    }

    #[tokio::test]
    async fn a_full_queue_is_told_at_once_and_who_leaves_it_makes_room() {
        let pool = pool(1);
        let (end, ended) = mpsc::channel::<()>();
        let running = tokio::spawn(pool.compute(move || ended.recv().is_err()));
        while pool.turns.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        let ran = Arc::new(AtomicUsize::new(0));
        let mut waiting: Vec<_> = (0..WAITING_PER_THREAD)
            .map(|_| {
                let ran = ran.clone();
                Box::pin(pool.compute(move || ran.fetch_add(1, SeqCst)))
            })
            .collect();
        for one in &mut waiting {
            assert!(futures_util::poll!(one.as_mut()).is_pending());
        }
        let refused = pool.compute(|| ()).await.unwrap_err();
        assert_eq!(refused.code(), Code::ResourceExhausted);
        assert_eq!(status::reason(&refused).as_deref(), Some("COMPUTE_FULL"));

        waiting.pop();
        let mut next = Box::pin(pool.compute(|| ()));
        assert!(futures_util::poll!(next.as_mut()).is_pending(), "there is a place");
        drop(end);
        assert!(running.await.unwrap().unwrap());
        for one in waiting {
            one.await.unwrap();
        }
        next.await.unwrap();
        assert_eq!(ran.load(SeqCst), WAITING_PER_THREAD - 1, "who has left never ran");
    }

    #[tokio::test]
    async fn a_panic_reaches_who_asked_and_frees_the_place() {
        let pool = pool(1);
        let panicked = tokio::spawn(pool.compute(|| panic!("on purpose"))).await.unwrap_err();
        assert!(panicked.is_panic());
        pool.compute(|| ()).await.unwrap();
    }
}
