//! Connections that read. What they are asked runs on a thread that may block:
//! one hop there and one back, however many rows are read.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use rusqlite::Connection;
use tokio::{
    sync::{AcquireError, OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use super::{connect, turn::gone};
use crate::{Error, store::home::Home};

/// How long a task waits for a reading connection.
const PATIENCE: Duration = Duration::from_secs(10);
/// Each reader is a thread and a page cache of 2 MB; more of them than cores
/// would only wait for each other.
const READERS: u32 = 4;
/// Steps of SQLite's machine, about a tenth of a millisecond, after which it looks
/// whether anybody still waits for the answer.
const STEPS: i32 = 10_000;

/// Clones share the connections.
#[derive(Clone)]
pub(crate) struct Readers {
    home: Home,
    path: Arc<str>,
    permits: Arc<Semaphore>,
    /// Those at rest. They are opened when they are needed first.
    resting: Arc<Mutex<Vec<Connection>>>,
}

impl Readers {
    /// On a file that is there.
    pub(super) fn on(path: &str) -> Self {
        Self {
            home: Home::here(),
            path: path.into(),
            permits: Arc::new(Semaphore::new(READERS as usize)),
            resting: Arc::default(),
        }
    }

    /// Runs `read` with a connection that refuses to write. Dropped, it ends soon.
    ///
    /// # Errors
    /// Those of `read`; [`Error::Unavailable`] when all connections are busy for ten
    /// seconds, or closed.
    pub(crate) async fn run<T, F>(&self, read: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, Error> + Send + 'static,
    {
        let permit = self.permit().await?;
        let (path, resting) = (self.path.clone(), self.resting.clone());
        let asked = Asked::default();
        let dropped = asked.0.clone();
        let job = move || {
            let connection = match lock(&resting).pop() {
                Some(connection) => connection,
                None => connect::reader(&path)?,
            };
            connection.progress_handler(STEPS, Some(move || dropped.load(Relaxed)))?;
            let answer = read(&connection);
            lock(&resting).push(connection);
            drop(permit);
            answer
        };
        self.home.block(job).await.map_err(|_| gone())?
    }

    async fn permit(&self) -> Result<OwnedSemaphorePermit, Error> {
        let closed = |_: AcquireError| Error::Unavailable(sqlx::Error::PoolClosed);
        if let Ok(permit) = self.permits.clone().try_acquire_owned() {
            return Ok(permit);
        }
        let permits = self.permits.clone();
        let acquired = self.home.run(async { timeout(PATIENCE, permits.acquire_owned()).await });
        acquired.await.map_err(|_| Error::Unavailable(sqlx::Error::PoolTimedOut))?.map_err(closed)
    }

    /// A connection beside the others that is always the same one.
    pub(crate) async fn observer(&self) -> Result<Observer, Error> {
        let path = self.path.clone();
        let connection = self.home.block(move || connect::reader(&path)).await;
        let connection = Some(connection.map_err(|_| gone())??);
        Ok(Observer { home: self.home.clone(), connection })
    }

    /// Waits for those at work and closes all; who asks from here on is refused.
    pub(in crate::store) async fn close(&self) {
        let all = self.permits.acquire_many(READERS).await;
        self.permits.close();
        lock(&self.resting).clear();
        drop(all);
    }
}

/// Tells the reader when nobody waits for it any more.
#[derive(Default)]
struct Asked(Arc<AtomicBool>);

impl Drop for Asked {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

/// See [`Readers::observer`].
pub(crate) struct Observer {
    home: Home,
    /// `None` while it is asked, and for good when who asked was dropped meanwhile.
    connection: Option<Connection>,
}

impl Observer {
    pub(crate) async fn run<T, F>(&mut self, read: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, Error> + Send + 'static,
    {
        let connection = self.connection.take().ok_or_else(gone)?;
        let asked = self.home.block(move || (read(&connection), connection)).await;
        let (answer, connection) = asked.map_err(|_| gone())?;
        self.connection = Some(connection);
        answer
    }
}

fn lock(resting: &Mutex<Vec<Connection>>) -> std::sync::MutexGuard<'_, Vec<Connection>> {
    resting.lock().unwrap_or_else(PoisonError::into_inner)
}
