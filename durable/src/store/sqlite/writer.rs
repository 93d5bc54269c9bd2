//! The way to the one writer of a process, which is a thread.

use std::{sync::Arc, thread};

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::{
    connect,
    group::{Groups, Settle},
    turn::{LocalTx, gone},
    wish::{Unit, Wish},
};
use crate::{
    Error,
    log::Signal,
    store::queue::{CAPACITY, Queue, Request},
};

/// What a unit wrote.
pub(crate) struct Written<T> {
    pub(crate) answer: T,
    /// The last position it appended to the log.
    pub(crate) until: Option<i64>,
}

/// The way to the writer.
#[derive(Clone)]
pub(in crate::store) struct Requests(mpsc::Sender<Request<Wish>>);

pub(crate) struct Writer {
    requests: Requests,
}

impl Requests {
    pub(super) async fn send(&self, wish: Wish) -> Result<(), Error> {
        let closed = |_| Error::Unavailable(sqlx::Error::PoolClosed);
        self.0.send(Request::now(wish)).await.map_err(closed)
    }
}

impl Writer {
    pub(super) async fn open(path: &str, signal: Arc<Signal>) -> Result<Self, Error> {
        let path = path.to_owned();
        // Opening waits for the disk and for other processes.
        let opened = tokio::task::spawn_blocking(move || {
            let connection = connect::writer(&path)?;
            Ok::<_, Error>((connection, path))
        });
        let (connection, path) = opened.await.map_err(|_| gone())??;
        let (requests, incoming) = mpsc::channel(CAPACITY);
        thread::Builder::new()
            .name("writer".to_owned())
            .spawn(move || Groups::new(connection, path, signal).run(Queue::new(incoming)))
            .map_err(sqlx::Error::Io)?;
        Ok(Self { requests: Requests(requests) })
    }

    pub(in crate::store) fn begin(&self) -> LocalTx {
        LocalTx::Begun(self.requests.clone())
    }

    /// Runs `work` on the writer's thread as a transaction of its own.
    pub(crate) async fn run<T, F>(&self, work: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<Written<T>, Error> + Send + 'static,
    {
        let (answer, outcome) = oneshot::channel();
        self.requests.send(Wish::Unit(Box::new(Closure { work, answer }))).await?;
        outcome.await.map_err(|_| gone())?
    }

    /// Ends it after the group that it works on.
    pub(in crate::store) async fn close(&self) {
        let (answer, closed) = oneshot::channel();
        if self.requests.send(Wish::Close(answer)).await.is_ok() {
            let _ = closed.await;
        }
    }
}

struct Closure<T, F> {
    work: F,
    answer: oneshot::Sender<Result<T, Error>>,
}

impl<T, F> Unit for Closure<T, F>
where
    T: Send + 'static,
    F: FnOnce(&Connection) -> Result<Written<T>, Error> + Send,
{
    fn run(self: Box<Self>, connection: &Connection) -> Option<Settle> {
        let Self { work, answer } = *self;
        match work(connection) {
            Ok(Written { answer: value, until }) => {
                let tell =
                    move |outcome: Result<(), Error>| drop(answer.send(outcome.map(|()| value)));
                Some(Settle { until, tell: Box::new(tell) })
            }
            Err(error) => {
                // It is undone before anything else happens on the connection.
                let _ = answer.send(Err(error));
                None
            }
        }
    }

    fn refuse(self: Box<Self>, error: Error) {
        let _ = self.answer.send(Err(error));
    }

    fn is_abandoned(&self) -> bool {
        self.answer.is_closed()
    }
}
