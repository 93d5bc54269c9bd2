//! The provider that is built in: no network and no money, but a ledger of its
//! own that only it writes, in transactions of its own, so that a charge is really
//! made once and a test can count. It books whatever it is asked for under a new
//! key, and would charge twice if it were asked twice.

mod ledger;

use std::time::Duration;

use durable::{Store, params};
use tonic::async_trait;

use self::ledger::Charge;
use super::{Booking, Call, Kind, Provider, Unavailable};
use crate::domain::{Outcome, Terms};

/// Attempts of each call for `card-flaky` that fail before one works.
const FLAKY_FAILURES: i64 = 2;

/// See the module. What happens is decided by the card, as the README says.
#[derive(Clone, Debug)]
pub struct Simulated {
    store: Store,
    delay: Duration,
}

/// Why nothing is booked.
enum No {
    Declined(&'static str),
    Lost(Lost),
}

/// Why an answer does not reach its caller.
#[derive(Debug, thiserror::Error)]
enum Lost {
    #[error("the simulated provider lost the request")]
    Request,
    #[error("the simulated provider lost the answer")]
    Answer,
    #[error("the simulated provider gives nothing back to this card")]
    Refund,
}

impl From<durable::Error> for Unavailable {
    fn from(error: durable::Error) -> Self {
        Unavailable(Box::new(error))
    }
}

impl From<Lost> for Unavailable {
    fn from(lost: Lost) -> Self {
        Unavailable(Box::new(lost))
    }
}

impl Simulated {
    /// Keeps its ledger in a store that was opened with this service's
    /// migrations. `delay` is how long it takes to answer for `card-slow`.
    #[must_use]
    pub fn new(store: Store, delay: Duration) -> Self {
        Self { store, delay }
    }

    /// Books once per key what `decide` says, and answers as the card lets it.
    async fn once(
        &self,
        call: Call<'_>,
        terms: &Terms,
        decide: impl FnOnce(&mut Charge) -> Result<Option<(Kind, i64)>, No> + Send,
    ) -> Result<Outcome, Unavailable> {
        let attempt = self.attempt(call.key).await?;
        if terms.card == "card-flaky" && attempt <= FLAKY_FAILURES {
            return Err(Lost::Request.into());
        }
        let mut tx = self.store.begin().await?;
        let mut charge = Charge::lock(&mut tx, call.charge).await?;
        if !charge.knows(call.key) {
            match decide(&mut charge) {
                Ok(Some((kind, minor))) => charge.book(call.key, kind, minor, terms),
                Ok(None) => {}
                Err(No::Declined(reason)) => {
                    return Ok(Outcome::Declined { reason: reason.to_owned() });
                }
                Err(No::Lost(lost)) => return Err(lost.into()),
            }
            charge.save(&mut tx).await?;
        }
        tx.commit().await?;
        match &*terms.card {
            "card-slow" => tokio::time::sleep(self.delay).await,
            "card-unknown" if attempt == 1 => return Err(Lost::Answer.into()),
            _ => {}
        }
        let (captured, refunded) = (charge.total(Kind::Capture), charge.total(Kind::Refund));
        Ok(Outcome::Done { captured, refunded })
    }

    /// Counts the attempts of a call, in a transaction of its own, since those
    /// that fail count too.
    async fn attempt(&self, key: &str) -> Result<i64, durable::Error> {
        let sql = "INSERT INTO simulated_attempt (key, attempts) VALUES ($1, 1)
            ON CONFLICT (key) DO UPDATE SET attempts = simulated_attempt.attempts + 1
            RETURNING attempts";
        let mut tx = self.store.begin().await?;
        let row = tx.query_one(sql, params![key]).await?;
        tx.commit().await?;
        row.map_or(Ok(1), |row| row.get("attempts"))
    }
}

#[async_trait]
impl Provider for Simulated {
    async fn authorize(&self, call: Call<'_>, terms: &Terms) -> Result<Outcome, Unavailable> {
        self.once(call, terms, |charge| match &*terms.card {
            _ if charge.closed => Err(No::Declined("charge_closed")),
            "card-declined" => Err(No::Declined("insufficient_funds")),
            "card-ok"
            | "card-slow"
            | "card-unknown"
            | "card-flaky"
            | "card-capture-declined"
            | "card-no-refund" => Ok(Some((Kind::Authorize, terms.amount.minor))),
            _ => Err(No::Declined("unknown_card")),
        })
        .await
    }

    async fn capture(&self, call: Call<'_>, terms: &Terms) -> Result<Outcome, Unavailable> {
        self.once(call, terms, |charge| match &*terms.card {
            _ if charge.closed => Err(No::Declined("charge_closed")),
            "card-capture-declined" => Err(No::Declined("expired_card")),
            _ if charge.total(Kind::Authorize) == 0 => Err(No::Declined("not_authorized")),
            _ => Ok(Some((Kind::Capture, terms.amount.minor))),
        })
        .await
    }

    async fn undo(&self, call: Call<'_>, terms: &Terms) -> Result<Outcome, Unavailable> {
        self.once(call, terms, |charge| {
            let taken = charge.total(Kind::Capture) - charge.total(Kind::Refund);
            let set_aside = charge.total(Kind::Authorize) - charge.total(Kind::Release);
            if terms.card == "card-no-refund" && taken > 0 {
                return Err(No::Lost(Lost::Refund));
            }
            charge.closed = true;
            Ok(match (taken, set_aside) {
                (1.., _) => Some((Kind::Refund, taken)),
                (_, 1..) => Some((Kind::Release, set_aside)),
                _ => None,
            })
        })
        .await
    }

    async fn bookings(&self, charge: &str) -> Result<Vec<Booking>, Unavailable> {
        let rows = self.store.query(ledger::BOOKINGS, params![charge]).await?;
        Ok(rows.iter().map(ledger::read).collect::<Result<_, _>>()?)
    }
}
