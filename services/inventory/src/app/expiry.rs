//! The end of a reservation's time: a task that is promised in the transaction
//! which makes the reservation, so that no reservation is held for ever. Whether
//! it still has to be put back is decided when the task is due.

use std::time::Duration;

use durable::{
    Error as StoreError, Store, Tx,
    task::{HandlerError, Kind, Lease, NewTask, Worker},
    time,
};

use super::{Error, handlers::change};
use crate::domain::{Micros, ReservationId, reservation::Wish};

const EXPIRE: &str = "expire-reservation";

/// The longest wait between attempts: pieces that should be for sale are not, and
/// an outage is over at some time, so it is tried without end.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// Promises that a reservation is looked at when its time is over.
pub(super) async fn promise(
    tx: &mut Tx,
    id: &ReservationId,
    until: Micros,
) -> Result<(), StoreError> {
    tx.enqueue(NewTask::new(EXPIRE, id.as_str()).due(until)).await?;
    Ok(())
}

/// Puts back what has expired, until dropped, at any point without harm. To run
/// beside [`routes`](crate::routes), in every replica.
pub async fn expire(store: Store) {
    expiring(Worker::new(store.clone()), store).run().await;
}

/// A worker that puts back what has expired, beside what it does already.
#[must_use]
pub fn expiring(worker: Worker, store: Store) -> Worker {
    let kind = Kind::new(EXPIRE).attempts(u32::MAX).retry(Duration::from_millis(100), LONGEST_WAIT);
    worker.kind(kind, move |lease| {
        let store = store.clone();
        async move { put_back(&store, &lease).await }
    })
}

async fn put_back(store: &Store, lease: &Lease) -> Result<(), HandlerError> {
    let id = ReservationId::named(lease.key());
    let mut tx = store.begin().await?;
    lease.complete(&mut tx).await?;
    // The task was due by the worker's clock, and that was promised for this time.
    let at = time::now().max(lease.due());
    match change(&mut tx, id, Wish::Expire, at).await {
        Ok(_) => {}
        Err(Error::Store(error)) => return Err(error.into()),
        Err(refusal) => return Err(refusal.to_string().into()),
    }
    Ok(tx.commit().await?)
}
