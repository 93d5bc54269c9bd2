//! Answers that nobody heard: a process that dies between the provider's answer and
//! its own commit leaves a payment of which nobody knows whether a card was charged,
//! and its caller may never ask again. So a task is promised with each question to
//! the provider. When it is due and the payment still waits, the question is repeated
//! under its key, and its answer is noted in the transaction that ends the task.

use std::{sync::Arc, time::Duration};

use durable::{
    Error as StoreError, Store, Tx,
    task::{HandlerError, Kind, Lease, NewTask, Worker},
    time,
};

use super::{Payments, heard};
use crate::{
    domain::{Micros, Payment, PaymentId},
    provider::Provider,
    store,
};

const LOST: &str = "settle-lost-payment";

/// Well beyond the deadline of a call and its repetitions: who asked has been
/// answered by then, or is not there any more.
const PATIENCE: Duration = Duration::from_secs(30);

/// Bounds of the waits while the provider does not answer. Its outage is over at
/// some time, so it is asked without end.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// Promises that a payment is looked at, when the provider is about to be asked.
pub(super) async fn promise(tx: &mut Tx, payment: &Payment) -> Result<(), StoreError> {
    if payment.unheard().is_some() {
        tx.enqueue(NewTask::new(LOST, payment.id.as_str()).due(overdue(payment))).await?;
    }
    Ok(())
}

/// When its answer is late.
fn overdue(payment: &Payment) -> Micros {
    payment.updated.saturating_add(i64::try_from(PATIENCE.as_micros()).unwrap_or(i64::MAX))
}

/// Learns what became of payments whose answer was lost, until dropped, at any point
/// without harm. To run beside [`routes`](crate::routes), in every replica.
pub async fn settle_lost(store: Store, provider: Arc<dyn Provider>) {
    settling_lost(Worker::new(store.clone()), store, provider).run().await;
}

/// A worker that does so beside what it does already.
#[must_use]
pub fn settling_lost(worker: Worker, store: Store, provider: Arc<dyn Provider>) -> Worker {
    let payments = Payments::new(store, provider, time::now);
    let kind = Kind::new(LOST).attempts(u32::MAX).retry(RETRY.0, RETRY.1);
    worker.kind(kind, move |lease| {
        let payments = payments.clone();
        async move { payments.settle_if_lost(&lease).await }
    })
}

impl Payments {
    async fn settle_if_lost(&self, lease: &Lease) -> Result<(), HandlerError> {
        let id = PaymentId::named(lease.key());
        // The task was due by the worker's clock, and that was promised for this time.
        let at = (self.clock)().max(lease.due());
        let known = store::get(&self.store, &id).await?;
        let lost = known.filter(|payment| overdue(payment) <= at);
        let answer = match lost.as_ref().and_then(|payment| Some((payment, payment.unheard()?))) {
            Some((payment, action)) => Some((action, self.ask(payment, action).await?)),
            None => None,
        };
        let mut tx = self.store.begin().await?;
        // The payment before its task, in the order of those who promise.
        match heard(&mut tx, &id, answer, at).await?.filter(|it| it.unheard().is_some()) {
            // It was asked for something else since.
            Some(payment) => lease.postpone(&mut tx, overdue(&payment)).await?,
            None => lease.complete(&mut tx).await?,
        }
        Ok(tx.commit().await?)
    }
}
