//! One attempt at a task, and what follows when it fails.

use std::{panic::AssertUnwindSafe, sync::atomic::Ordering};

use futures_util::FutureExt as _;
use mesh::status;

use super::{
    HandlerError, Lease, dead, gauges,
    worker::{Inner, Registered},
};
use crate::Error;

/// Of an error that is put on record: its chain says enough in less, and what a
/// peer put into its message must not fill the table.
const MAX_ERROR_BYTES: usize = 4 * 1024;

/// Runs the handler, and gives the task back when it fails.
pub(super) async fn run(inner: &Inner, registered: &Registered, lease: &Lease) {
    if inner.is_stopping() {
        return unclaim(inner, lease).await;
    }
    let counted = gauges::Attempt::begin(&lease.kind);
    let most = registered.kind.attempts;
    // Those that fail are buried at their last attempt. More than that means that
    // the process died each time.
    if lease.attempts > most {
        counted.failed();
        let error = format!("each of {most} attempts ended with its process");
        return settle(inner, registered, lease, &error).await;
    }
    let handler = &registered.handler;
    let work = AssertUnwindSafe(async { handler(lease.clone()).await }).catch_unwind();
    let outcome = mesh::call::caused_by(Some(&lease.traceparent), work).await;
    let error: HandlerError = match outcome {
        Ok(Ok(())) if lease.settled.load(Ordering::Relaxed) => return,
        Ok(Ok(())) => "the handler neither completed nor postponed its task".into(),
        Ok(Err(error)) => error,
        Err(_) => "the handler panicked".into(),
    };
    if matches!(error.downcast_ref(), Some(Error::Fenced { .. })) {
        tracing::info!(kind = lease.kind, key = lease.key, "a lease was lost to another worker");
        return;
    }
    counted.failed();
    settle(inner, registered, lease, &shortened(status::chain(&*error))).await;
}

/// Gives back what was claimed just before the worker was stopped.
async fn unclaim(inner: &Inner, lease: &Lease) {
    let written = async {
        let mut tx = inner.store.begin().await?;
        lease.unclaim(&mut tx).await?;
        tx.commit().await
    };
    if let Err(cause) = written.await {
        // Others find that its owner is gone.
        let (kind, key, cause) = (&lease.kind, &lease.key, status::chain(&cause));
        tracing::warn!(kind, key, cause, "a task that was not begun could not be given back");
    }
}

/// Puts the failure on record and the task back, or among the dead ones. When
/// even this fails, the row is found to be nobody's and given back then.
async fn settle(inner: &Inner, registered: &Registered, lease: &Lease, error: &str) {
    let kind = &registered.kind;
    let last = lease.attempts >= kind.attempts;
    let wait = kind.wait(lease.attempts);
    let again = (inner.now)().saturating_add(i64::try_from(wait.as_micros()).unwrap_or(i64::MAX));
    let written = give_back(inner, lease, (!last).then_some(again), error).await;
    let Lease { kind, key, attempts, .. } = lease;
    match written {
        Ok(()) if last => tracing::error!(kind, key, attempts, error, "a task is given up"),
        Ok(()) => tracing::warn!(kind, key, attempts, error, ?wait, "a task failed"),
        Err(Error::Fenced { .. }) => {
            tracing::info!(kind, key, error, "a task failed whose lease was lost");
        }
        Err(cause) => {
            let cause = status::chain(&cause);
            tracing::warn!(kind, key, error, cause, "a failed task could not be given back");
        }
    }
}

/// Until `again`, or for good.
async fn give_back(
    inner: &Inner,
    lease: &Lease,
    again: Option<i64>,
    error: &str,
) -> Result<(), Error> {
    let mut tx = inner.store.begin().await?;
    lease.guard(&mut tx).await?;
    dead::record(&mut tx, lease, (inner.now)(), error).await?;
    match (again, &lease.schedule) {
        (Some(again), _) => lease.retry(&mut tx, again, error).await?,
        (None, Some(schedule)) => lease.postpone(&mut tx, schedule.after(lease.due)).await?,
        (None, None) => lease.bury(&mut tx, error).await?,
    }
    tx.commit().await
}

fn shortened(mut error: String) -> String {
    error.truncate(error.floor_char_boundary(MAX_ERROR_BYTES));
    error
}
