//! Following a wish through the provider: note it, ask, note the answer. Nothing
//! is asked that is not noted before, and no transaction is open while the
//! provider takes its time. Whoever repeats a wish goes on where the last one was
//! cut off, whichever process that was.

mod answer;
mod lost;

use std::sync::Arc;

use durable::{
    Store, Tx,
    command::{self, Command, Handler, handler},
    list::Query,
};
use titan::payments::v1 as proto;
use tower::{ServiceBuilder, ServiceExt as _, util::BoxCloneSyncService};

use crate::{
    domain::{Action, Micros, Outcome, Payment, PaymentId, Refusal, Wish},
    provider::{Booking, Call, Provider, Unavailable},
    store,
};

pub use lost::{settle_lost, settling_lost};

/// Times that the provider is asked within one call. A wish needs two answers at
/// the most (authorise or capture, then undo or capture); more are needed only
/// when others change the payment at the same time.
const ROUNDS: usize = 5;

/// Why a command or a query did not do what it says.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The domain said no.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// What the provider has done is unknown.
    #[error(transparent)]
    Provider(#[from] Unavailable),
    /// Others kept changing the payment.
    #[error("the payment is being changed by others")]
    Busy,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] durable::Error),
}

/// Wants something of a payment.
#[derive(Clone, Debug)]
pub(crate) struct ChangePayment {
    pub(crate) payment: PaymentId,
    pub(crate) wish: Wish,
    pub(crate) at: Micros,
}

/// The payments of this service.
#[derive(Clone)]
pub(crate) struct Payments {
    store: Store,
    provider: Arc<dyn Provider>,
    clock: fn() -> Micros,
    note: BoxCloneSyncService<Command<ChangePayment>, proto::Payment, Error>,
}

impl Payments {
    pub(crate) fn new(store: Store, provider: Arc<dyn Provider>, clock: fn() -> Micros) -> Self {
        // Outermost first.
        let note = ServiceBuilder::new()
            .layer(command::trace())
            .layer(command::transaction(store.clone()))
            // A key that stood for another request is refused before the provider
            // hears of this one.
            .layer(command::idempotent())
            .service(handler(Note));
        Self { store, provider, clock, note: BoxCloneSyncService::new(note) }
    }

    /// Does what is wanted, or finds that it is done.
    pub(crate) async fn follow(&self, it: Command<ChangePayment>) -> Result<Payment, Error> {
        let ChangePayment { payment: id, wish, .. } = it.body.clone();
        self.note.clone().oneshot(it).await?;
        for _ in 0..ROUNDS {
            let known = store::get(&self.store, &id).await?;
            let wished = Payment::wish(known.clone(), &id, &wish, (self.clock)())?;
            if Some(&wished) != known.as_ref() {
                self.settle(&id, &wish, None).await?;
                continue;
            }
            let Some(action) = wished.due() else { return Ok(wished) };
            let outcome = self.ask(&wished, action).await?;
            self.settle(&id, &wish, Some((action, outcome))).await?;
        }
        Err(Error::Busy)
    }

    /// Asks the provider. The key is the payment's and the action's, never the
    /// caller's: however many ask, it is one call to the provider.
    async fn ask(&self, payment: &Payment, action: Action) -> Result<Outcome, Unavailable> {
        let charge = payment.id.as_str();
        let Some(terms) = &payment.terms else {
            // Never made, so the provider has never heard of it.
            return Ok(Outcome::Done { captured: 0, refunded: 0 });
        };
        let call = |key| Call { key, charge };
        match action {
            Action::Authorize => {
                self.provider.authorize(call(&format!("{charge}/authorize")), terms).await
            }
            Action::Capture => {
                self.provider.capture(call(&format!("{charge}/capture")), terms).await
            }
            Action::Undo => self.provider.undo(call(&format!("{charge}/undo")), terms).await,
        }
    }

    /// Notes an answer, and what is to be asked next, in one transaction.
    async fn settle(
        &self,
        id: &PaymentId,
        wish: &Wish,
        answer: Option<(Action, Outcome)>,
    ) -> Result<(), Error> {
        let at = (self.clock)();
        let mut tx = self.store.begin().await?;
        let known = heard(&mut tx, id, answer, at).await?;
        // What refuses the wish now is found again by who reads the payment.
        if let Ok(wished) = Payment::wish(known.clone(), id, wish, at) {
            save(&mut tx, known.as_ref(), &wished).await?;
        }
        Ok(tx.commit().await?)
    }

    pub(crate) async fn get(&self, id: &PaymentId) -> Result<Payment, Error> {
        Ok(store::get(&self.store, id).await?.ok_or(Refusal::Unknown)?)
    }

    pub(crate) async fn list(
        &self,
        customer: Option<String>,
        query: Query,
    ) -> Result<(Vec<Payment>, String), Error> {
        Ok(store::list(&self.store, customer, query).await?)
    }

    pub(crate) async fn bookings(&self, payment: &Payment) -> Result<Vec<Booking>, Error> {
        Ok(self.provider.bookings(payment.id.as_str()).await?)
    }

    pub(crate) fn now(&self) -> Micros {
        (self.clock)()
    }
}

/// Notes an answer of the provider, if there is one; the payment as it is then,
/// locked.
async fn heard(
    tx: &mut Tx,
    id: &PaymentId,
    answer: Option<(Action, Outcome)>,
    at: Micros,
) -> Result<Option<Payment>, durable::Error> {
    let known = store::lock(tx, id).await?;
    let (Some(payment), Some((action, outcome))) = (&known, answer) else { return Ok(known) };
    let settled = payment.clone().settle(action, &outcome, at);
    save(tx, Some(payment), &settled).await?;
    Ok(Some(settled))
}

/// Writes a payment that has changed, tells of it where others care, and promises
/// to look after it while an answer is awaited.
async fn save(
    tx: &mut Tx,
    before: Option<&Payment>,
    after: &Payment,
) -> Result<(), durable::Error> {
    if before == Some(after) {
        return Ok(());
    }
    store::save(tx, after).await?;
    if let Some(event) = after.news() {
        store::tell(tx, after, event).await?;
    }
    lost::promise(tx, after).await
}

/// Notes a wish under its key. The answer that is kept says only that it was noted:
/// what came of it is read from the payment.
#[derive(Clone, Debug)]
struct Note;

impl Handler<ChangePayment> for Note {
    type Answer = proto::Payment;
    type Error = Error;

    async fn handle(&self, tx: &mut Tx, it: ChangePayment) -> Result<proto::Payment, Error> {
        let known = store::lock(tx, &it.payment).await?;
        let wished = Payment::wish(known.clone(), &it.payment, &it.wish, it.at)?;
        save(tx, known.as_ref(), &wished).await?;
        Ok(wished.into())
    }
}
