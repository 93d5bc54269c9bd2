//! What humans can do about a saga. Their wish is stored; the engine carries it
//! out under the lease, so it never races with a step.

use futures_util::FutureExt as _;
use mesh::status;
use tonic::{Code, Status as Answer};

use super::{
    Entry, Happening, KIND, Record, Status,
    record::{self, Note, Wish},
};
use crate::{Error, Store, Tx, params, task::NewTask, time};

/// Why a wish was not accepted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// There is no saga with this id.
    #[error("no saga {0}")]
    NotFound(String),
    /// Retry and skip answer a saga that asks.
    #[error("saga {0} does not need attention")]
    NotAsked(String),
    /// It is over.
    #[error("saga {0} has ended")]
    Ended(String),
    /// It is past its pivot, or on its way back already.
    #[error("saga {0} cannot be turned back any more")]
    NoWayBack(String),
    /// The database.
    #[error(transparent)]
    Store(#[from] Error),
}

impl From<Refused> for Answer {
    fn from(refused: Refused) -> Self {
        let text = refused.to_string();
        match refused {
            Refused::NotFound(_) => status::refuse(Code::NotFound, "SAGA_NOT_FOUND", text),
            Refused::NotAsked(_) => {
                status::refuse(Code::FailedPrecondition, "SAGA_NEEDS_NO_ATTENTION", text)
            }
            Refused::Ended(_) => status::refuse(Code::FailedPrecondition, "SAGA_ENDED", text),
            Refused::NoWayBack(_) => {
                status::refuse(Code::FailedPrecondition, "SAGA_NO_WAY_BACK", text)
            }
            Refused::Store(error) => error.into(),
        }
    }
}

/// The saga with this id.
///
/// # Errors
/// When the database cannot be read.
pub async fn get(store: &Store, id: &str) -> Result<Option<Record>, Error> {
    record::load(store, id).await
}

/// What happened to a saga, the first first; empty when there is none.
///
/// # Errors
/// When the database cannot be read.
pub async fn history(store: &Store, id: &str) -> Result<Vec<Entry>, Error> {
    record::history(store, id).await
}

/// Sagas in the order of their ids, those after `after`, at most `limit`; of one
/// status or of any.
///
/// # Errors
/// When the database cannot be read.
pub async fn list(
    store: &Store,
    after: &str,
    status: Option<Status>,
    limit: u32,
) -> Result<Vec<Record>, Error> {
    record::page(store, after, status, limit).await
}

/// How many sagas of each status are not over, and when the oldest of them was
/// started, in microseconds since 1970.
///
/// # Errors
/// When the database cannot be read.
pub async fn unfinished(store: &Store) -> Result<Vec<(Status, i64, i64)>, Error> {
    record::unfinished(store).await
}

/// Has the step that a saga needs attention for tried again, with all its
/// attempts. `reason` stands in the history beside who asked.
///
/// # Errors
/// [`Refused`].
pub async fn retry(store: &Store, id: &str, reason: &str) -> Result<(), Refused> {
    ask(store, id, reason, Happening::Retried, |saga| {
        if saga.status != Status::NeedsAttention {
            return Err(Refused::NotAsked(saga.id.to_string()));
        }
        saga.attempts = 0;
        saga.status = match saga.direction {
            super::Direction::Do => Status::Running,
            super::Direction::Undo => Status::Compensating,
        };
        Ok(())
    })
    .await
}

/// Leaves out the step that a saga needs attention for: somebody did by hand
/// what it would have done. The saga ends as [`Status::Resolved`].
///
/// # Errors
/// [`Refused`].
pub async fn skip(store: &Store, id: &str, reason: &str) -> Result<(), Refused> {
    ask(store, id, reason, Happening::Asked, |saga| {
        if saga.status != Status::NeedsAttention {
            return Err(Refused::NotAsked(saga.id.to_string()));
        }
        saga.wish = Some(Wish::Skip);
        Ok(())
    })
    .await
}

/// Turns a saga back, as if its step had been refused. When its pivot is passed
/// in this very moment it goes on, and its history says that the wish came too
/// late.
///
/// # Errors
/// [`Refused`].
pub async fn cancel(store: &Store, id: &str, reason: &str) -> Result<(), Refused> {
    ask(store, id, reason, Happening::Asked, turn_back).await
}

/// Like [`cancel`], with a transaction: for a command of the service that owns
/// the saga, which changes other things with it. To be called before anything is
/// locked that the saga's own effects lock. After a refusal the transaction may
/// go on.
///
/// # Errors
/// [`Refused`].
pub async fn cancel_in(tx: &mut Tx, id: &str, reason: &str) -> Result<(), Refused> {
    asked(tx, id.to_owned(), signed(reason), Happening::Asked, turn_back).await
}

fn turn_back(saga: &mut Record) -> Result<(), Refused> {
    if saga.status.is_final() {
        return Err(Refused::Ended(saga.id.to_string()));
    }
    if saga.pivoted || saga.direction == super::Direction::Undo {
        return Err(Refused::NoWayBack(saga.id.to_string()));
    }
    saga.wish = Some(Wish::Cancel);
    Ok(())
}

/// A reason, and who gave it.
fn signed(reason: &str) -> String {
    let who = mesh::call::caller().actor();
    if who.is_empty() { reason.to_owned() } else { format!("{who}: {reason}") }
}

/// Stores a change that a human asked for, and has the engine look at it.
async fn ask(
    store: &Store,
    id: &str,
    reason: &str,
    happening: Happening,
    change: fn(&mut Record) -> Result<(), Refused>,
) -> Result<(), Refused> {
    let (id, detail) = (id.to_owned(), signed(reason));
    store
        .transaction(move |tx| {
            let (id, detail) = (id.clone(), detail.clone());
            asked(tx, id, detail, happening, change).boxed()
        })
        .await
}

async fn asked(
    tx: &mut Tx,
    id: String,
    detail: String,
    happening: Happening,
    change: fn(&mut Record) -> Result<(), Refused>,
) -> Result<(), Refused> {
    // The task before the saga, in the order in which the engine locks them, or
    // the two could wait for each other.
    wake(tx, &id).await?;
    let saga = record::lock(tx, &id).await?;
    let mut saga = saga.ok_or_else(|| Refused::NotFound(id.clone()))?;
    change(&mut saga)?;
    let seen = saga.revision;
    saga.revision += 1;
    saga.updated = time::now();
    record::update(tx, &saga, seen).await?;
    let note = Note { step: saga.step, direction: saga.direction, happening, detail };
    record::note(tx, &id, seen, &[note]).await?;
    Ok(())
}

/// Has the engine look at a saga now: one that waits, or that was left alone.
async fn wake(tx: &mut Tx, id: &str) -> Result<(), Error> {
    if tx.enqueue(NewTask::new(KIND, id)).await? {
        return Ok(());
    }
    // Locks the row also when it is somebody's, so that whether it is cannot
    // change before the wish is stored.
    let sql = "UPDATE durable_task SET due = CASE WHEN owner IS NULL THEN 0 ELSE due END
        WHERE kind = $1 AND key = $2";
    tx.execute(sql, params![KIND, id]).await?;
    let enqueued = tx.enqueued().clone();
    tx.after_commit(move || enqueued.ring());
    Ok(())
}
