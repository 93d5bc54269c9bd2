//! The end of a process as its background work sees it: it is told when nothing
//! new is to be begun, and the process waits for what was begun.

use std::{future::Future, sync::Arc};

use tokio::sync::watch;

tokio::task_local! {
    static CURRENT: Drain;
}

/// The end of one server. Clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Drain(Arc<watch::Sender<bool>>);

impl Drain {
    pub(crate) fn new() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }

    /// Runs a future as background work of the server.
    pub(crate) fn scope<F: Future>(&self, future: F) -> impl Future<Output = F::Output> + use<F> {
        CURRENT.scope(self.clone(), future)
    }

    /// Tells all background work.
    pub(crate) fn ask(&self) {
        self.0.send_replace(true);
    }

    pub(crate) fn is_asked(&self) -> bool {
        *self.0.borrow()
    }

    /// Returns when nobody holds the process any more.
    pub(crate) async fn released(&self) {
        self.0.closed().await;
    }

    /// Whether somebody does.
    pub(crate) fn is_held(&self) -> bool {
        !self.0.is_closed()
    }
}

/// Keeps a process that is asked to end until this is dropped, for as long as its
/// `drain_timeout` at most.
#[derive(Debug)]
pub struct Hold(Option<watch::Receiver<bool>>);

/// Holds the process whose server runs this task: to be called within a future that
/// was given to [`Server::task`](crate::Server::task), not within a task that it
/// spawned. Anywhere else it holds nothing.
#[must_use]
pub fn hold() -> Hold {
    Hold(CURRENT.try_with(|drain| drain.0.subscribe()).ok())
}

impl Hold {
    /// Returns when the process was asked to end: nothing new is to be begun. Never
    /// returns outside of a server's task. Cancel safe.
    pub async fn asked(&self) {
        let Some(asked) = &self.0 else { return std::future::pending().await };
        // An error means that the server itself is gone.
        let _ = asked.clone().wait_for(|asked| *asked).await;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::FutureExt as _;
    use tokio::sync::oneshot;

    use super::*;
    use crate::{DESCRIPTORS, testing::Mesh};

    #[tokio::test]
    async fn outside_of_a_server_nobody_is_asked() {
        assert!(hold().asked().now_or_never().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_process_ends_when_its_work_has_and_is_told_of_it_first() {
        let app = Mesh::simulated(1).await.app("worker");
        let (stop, stopped) = oneshot::channel::<()>();
        let (asked, was_asked) = oneshot::channel();
        let (end, may_end) = oneshot::channel::<()>();
        let work = async move {
            let hold = hold();
            hold.asked().await;
            asked.send(()).unwrap();
            may_end.await.unwrap();
        };
        let server = app.serve().contracts(DESCRIPTORS).task("work", work);
        let server = tokio::spawn(server.until(async { stopped.await.unwrap() }));
        tokio::time::sleep(Duration::from_secs(60)).await;
        stop.send(()).unwrap();
        was_asked.await.unwrap();
        // Longer than callers take to learn of it, and shorter than `drain_timeout`.
        tokio::time::sleep(Duration::from_secs(15)).await;
        assert!(!server.is_finished());
        end.send(()).unwrap();
        server.await.unwrap().unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn work_that_does_not_end_is_cut_when_the_time_is_up() {
        let app = Mesh::simulated(2).await.app("worker");
        let (stop, stopped) = oneshot::channel::<()>();
        let work = async {
            let _hold = hold();
            std::future::pending().await
        };
        let server = app.serve().contracts(DESCRIPTORS).task("work", work);
        let server = tokio::spawn(server.until(async { stopped.await.unwrap() }));
        stop.send(()).unwrap();
        server.await.unwrap().unwrap();
    }
}
