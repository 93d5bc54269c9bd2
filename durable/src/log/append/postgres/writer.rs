//! One task of a process that writes appends together: those that come while a batch
//! is on its way are the next batch. It waits for nobody, so an append that comes alone
//! is written at once.
//!
//! Nobody is told of success before the commit. When the connection breaks meanwhile,
//! everybody is told that the outcome is unknown.

use std::{
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use sqlx::{Connection as _, PgPool, Postgres, pool::PoolConnection};
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

use super::{
    super::Appending,
    batch::{Batch, Known, Outcome, Waiting},
};
use crate::{
    Error,
    log::Signal,
    store::{
        TRUSTED_IDLE,
        queue::{CAPACITY, Queue, Request, Waits},
    },
};

/// How often it looks after those who wait behind a batch that takes long.
const LOOK: Duration = Duration::from_secs(1);
/// A batch that is not answered for so long will not be: the server ends a statement
/// after thirty seconds.
const GIVE_UP: Duration = Duration::from_secs(35);

/// The way to the task.
pub(crate) struct Appends(mpsc::Sender<Request<Wish>>);

/// Something that somebody wants of the task.
enum Wish {
    Append(Waiting),
    /// To end, and to say so.
    Close(oneshot::Sender<()>),
}

struct Writer {
    pool: PgPool,
    signal: Arc<Signal>,
    connection: Held,
    known: Known,
}

/// A connection that is kept from batch to batch.
struct Held {
    connection: Option<PoolConnection<Postgres>>,
    used: Instant,
}

impl Appends {
    /// Starts it. It ends with the last of those who have the way to it.
    pub(crate) fn start(pool: PgPool, signal: Arc<Signal>) -> Self {
        let (appends, incoming) = mpsc::channel(CAPACITY);
        let connection = Held { connection: None, used: Instant::now() };
        let writer = Writer { pool, signal, connection, known: Known::default() };
        tokio::spawn(writer.run(Queue::new(incoming)));
        Self(appends)
    }

    /// Writes it with others, unless it is too large for that. Dropped before it is
    /// taken, nothing is written.
    pub(in crate::log) async fn append(&self, appending: Appending) -> Result<Outcome, Error> {
        if !appending.is_small() {
            return Ok(Outcome::Alone(appending));
        }
        let (answer, outcome) = oneshot::channel();
        self.send(Wish::Append(Waiting { appending, answer })).await?;
        outcome.await.map_err(|_| Error::Unavailable(sqlx::Error::WorkerCrashed))?
    }

    /// Ends it after the batch that it works on.
    pub(crate) async fn close(&self) {
        let (answer, closed) = oneshot::channel();
        if self.send(Wish::Close(answer)).await.is_ok() {
            let _ = closed.await;
        }
    }

    async fn send(&self, wish: Wish) -> Result<(), Error> {
        let closed = |_| Error::Unavailable(sqlx::Error::PoolClosed);
        self.0.send(Request::now(wish)).await.map_err(closed)
    }
}

impl Writer {
    async fn run(mut self, mut queue: Queue<Wish>) {
        while let Some(wish) = queue.next().await {
            match wish {
                Wish::Append(first) => {
                    let batch = gather(first, &mut queue);
                    self.write(batch, &mut queue).await;
                }
                Wish::Close(closed) => {
                    // The connection first, then the word of it.
                    drop(self);
                    let _ = closed.send(());
                    return;
                }
            }
        }
    }

    async fn write(&mut self, batch: Batch, queue: &mut Queue<Wish>) {
        let began = Instant::now();
        let answered = {
            let Self { pool, connection, known, .. } = self;
            let mut writing = pin!(async {
                let connection = connection.get(pool).await?;
                batch.write(connection, known).await
            });
            loop {
                match timeout(LOOK, &mut writing).await {
                    Ok(answered) => break answered,
                    Err(_) if began.elapsed() > GIVE_UP => break Err(sqlx::Error::PoolTimedOut),
                    Err(_) => queue.expire(),
                }
            }
        };
        self.connection.used = Instant::now();
        match answered {
            Ok(answers) => {
                match answers.until() {
                    Some(end) => self.signal.numbered(end),
                    None if answers.has_unnumbered() => self.signal.committed(),
                    None => {}
                }
                batch.answer(answers, &mut self.known);
            }
            Err(error) => self.give_up(batch, error),
        }
    }

    fn give_up(&mut self, batch: Batch, error: sqlx::Error) {
        let refused = matches!(error, sqlx::Error::Database(_));
        let error = Error::from(error);
        if refused && !matches!(error, Error::Unavailable(_)) {
            // The server undid it. One that cannot be written does not hurt the others.
            return batch.part();
        }
        tracing::warn!(
            error = mesh::status::chain(&error),
            appends = batch.len(),
            "appends may not have been written"
        );
        self.connection.discard();
        let shared = Shared(Arc::new(error));
        batch.fail(|| {
            let source = std::io::Error::other(shared.clone());
            Error::Unavailable(sqlx::Error::Io(source))
        });
    }
}

/// Takes whatever waits already.
fn gather(first: Waiting, queue: &mut Queue<Wish>) -> Batch {
    let mut batch = Batch::default();
    batch.push(first);
    let fits = |batch: &Batch, wish: &Wish| match wish {
        Wish::Append(waiting) => batch.has_room(&waiting.appending),
        Wish::Close(_) => false,
    };
    while let Some(Wish::Append(next)) = queue.next_if(|wish| fits(&batch, wish)) {
        batch.push(next);
    }
    batch
}

impl Waits for Wish {
    fn is_abandoned(&self) -> bool {
        matches!(self, Self::Append(waiting) if waiting.answer.is_closed())
    }

    fn is_patient(&self) -> bool {
        matches!(self, Self::Close(_))
    }

    fn refuse(self, error: Error) {
        match self {
            Self::Append(waiting) => drop(waiting.answer.send(Err(error))),
            Self::Close(answer) => drop(answer.send(())),
        }
    }
}

impl Held {
    /// The connection; one that has rested for long is asked whether it still lives.
    async fn get(&mut self, pool: &PgPool) -> Result<&mut PoolConnection<Postgres>, sqlx::Error> {
        if self.used.elapsed() > TRUSTED_IDLE
            && let Some(connection) = &mut self.connection
            && connection.ping().await.is_err()
        {
            self.discard();
        }
        match &mut self.connection {
            Some(connection) => Ok(connection),
            empty => Ok(empty.insert(pool.acquire().await?)),
        }
    }

    /// Who knows what it is in the middle of.
    fn discard(&mut self) {
        drop(self.connection.take().map(PoolConnection::detach));
    }
}

/// One failure that several are told of.
#[derive(Clone, Debug, thiserror::Error)]
#[error(transparent)]
struct Shared(Arc<Error>);
