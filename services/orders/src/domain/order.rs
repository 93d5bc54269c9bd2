//! An order: placed with the prices of that moment, confirmed, and then brought
//! to one of its two ends by the saga that places it.
//!
//! ```text
//! placed ─ confirm ─► processing ─ complete ─► completed
//!   │                    ├─ cancel ─► cancelling ─ abandon ─┐
//!   │                    └─ abandon ────────────────────────┤
//!   └─ cancel ──────────────────────────────────────────────┴─► cancelled
//! ```

mod pricing;

use super::{Currency, Etag, Micros, Money, OrderId, ProductId, UserId};

pub use pricing::{MAX_ITEMS, MAX_QUANTITY, MAX_TOTAL, Offer, Wish, check, price};

/// A line of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// What.
    pub product: ProductId,
    /// What it was called when the order was placed.
    pub title: String,
    /// How many pieces, 1 to [`MAX_QUANTITY`].
    pub quantity: i64,
    /// The price of a piece when the order was placed.
    pub unit_price: Money,
    /// The price of all of them.
    pub line_total: Money,
}

/// Where to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Address {
    /// Who receives it.
    pub recipient: String,
    /// Street and number, one line after the other.
    pub lines: Vec<String>,
    /// Postal code; empty where there is none.
    pub postal_code: String,
    /// Town.
    pub locality: String,
    /// Country, as two letters (ISO 3166-1).
    pub region_code: String,
}

/// Why an order was cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Somebody asked for it.
    Requested,
    /// A product is no longer sold.
    ProductGone,
    /// A product no longer costs what the order says.
    PriceChanged,
    /// Not enough of a product.
    OutOfStock,
    /// The provider did not take the payment.
    PaymentDeclined,
    /// Nobody ships to that address.
    Undeliverable,
    /// A service that was needed did not answer in time.
    Unavailable,
}

/// Where an order is in its life. Completed and cancelled are ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Waits for its customer to confirm it.
    Placed,
    /// Stock, payment and parcel are being arranged.
    Processing,
    /// What was arranged is being undone, as far as that is still possible.
    Cancelling {
        /// What they said who asked for it.
        detail: String,
    },
    /// Paid, and with the carrier.
    Completed,
    /// Nothing of it is left to pay or to ship.
    Cancelled {
        /// Why.
        reason: Reason,
        /// More of it, for people.
        detail: String,
    },
}

/// An order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// Its name.
    pub id: OrderId,
    /// What was placed, which never changes.
    pub placed: Placed,
    /// Where it is in its life.
    pub state: State,
    /// Whether it was ever confirmed: from then on there are a reservation, a
    /// payment and a shipment that bear its id, or notes that there are none.
    pub confirmed: bool,
    /// When it was placed.
    pub created: Micros,
    /// When it last changed; grows strictly.
    pub updated: Micros,
}

/// Something that happened to an order. All that is kept of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// To which.
    pub order: OrderId,
    /// When: [`Order::updated`] from then on.
    pub at: Micros,
    /// What.
    pub fact: Fact,
}

/// What can happen to an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// It was placed.
    Placed(Placed),
    /// Its customer confirmed it.
    Confirmed,
    /// Somebody wants what is being arranged to be undone.
    CancellationRequested {
        /// What they say.
        detail: String,
    },
    /// Everything was arranged.
    Completed,
    /// It came to nothing, and nothing was left behind.
    Cancelled {
        /// Why.
        reason: Reason,
        /// More of it, for people.
        detail: String,
    },
}

/// What an order holds when it is placed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// Whose it is.
    pub customer: UserId,
    /// What is ordered: at least one line, and no product twice.
    pub items: Vec<Item>,
    /// The sum of the lines.
    pub total: Money,
    /// The token of the card that pays, as the payments service knows it.
    pub card: String,
    /// Where to.
    pub address: Address,
}

/// Who asks for something.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asker {
    /// The user in whose name it is asked for, if there is one.
    pub user: Option<UserId>,
    /// Whether they run the shop: one of its services in its own name, or an
    /// administrator.
    pub runs_shop: bool,
}

/// When a change is asked for, and which state of the order was seen.
#[derive(Clone, Debug)]
pub struct Intent {
    /// The state that the change was meant for; `None` = whichever it is.
    pub seen: Option<Etag>,
    /// When.
    pub at: Micros,
}

/// Why something did not happen.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Nothing is ordered, or too many lines.
    #[error("an order has 1 to {MAX_ITEMS} items")]
    Items,
    /// No pieces, or too many.
    #[error("an item has 1 to {MAX_QUANTITY} pieces")]
    Quantity(usize),
    /// A product in two lines.
    #[error("a product stands in one item only")]
    Twice(usize),
    /// There is no such product.
    #[error("there is no {0}")]
    NoProduct(ProductId),
    /// Two currencies in one order.
    #[error("the items are sold in different currencies, {0} and {1}")]
    Currencies(Currency, Currency),
    /// More than [`MAX_TOTAL`].
    #[error("an order is at most {MAX_TOTAL} minor units in total")]
    TooDear,
    /// No payment could be taken for it.
    #[error("an order costs something")]
    Free,
    /// There is none.
    #[error("there is no such order")]
    NoOrder,
    /// Somebody else's.
    #[error("an order is its customer's")]
    NotCustomer,
    /// It is on its way, so it can no longer be cancelled.
    #[error("the order can no longer be cancelled")]
    TooLate,
    /// It has been cancelled, or is about to be.
    #[error("the order is cancelled")]
    Cancelled,
    /// Nobody is arranging anything for it.
    #[error("the order is not being processed")]
    NotProcessing,
    /// The caller has seen an older state.
    #[error("the order has changed since it was read")]
    Stale,
}

impl Order {
    /// The event that an order begins with.
    pub fn place(order: OrderId, placed: Placed, at: Micros) -> Event {
        Event { order, at, fact: Fact::Placed(placed) }
    }

    /// The order that begins with `first`; `None` when none can.
    pub fn begin(first: &Event) -> Option<Order> {
        let Event { order, at, fact: Fact::Placed(placed) } = first else { return None };
        Some(Order {
            id: order.clone(),
            placed: placed.clone(),
            state: State::Placed,
            confirmed: false,
            created: *at,
            updated: *at,
        })
    }

    /// Takes in what happened.
    pub fn evolve(&mut self, event: &Event) {
        self.updated = event.at;
        self.state = match &event.fact {
            Fact::Placed(_) => State::Placed,
            Fact::Confirmed => State::Processing,
            Fact::CancellationRequested { detail } => State::Cancelling { detail: detail.clone() },
            Fact::Completed => State::Completed,
            Fact::Cancelled { reason, detail } => {
                State::Cancelled { reason: *reason, detail: detail.clone() }
            }
        };
        self.confirmed |= event.fact == Fact::Confirmed;
    }

    /// Whether `asker` may read it, and may withdraw it.
    pub fn admits(&self, asker: &Asker) -> Result<(), Refusal> {
        if asker.runs_shop { Ok(()) } else { self.is_paid_by(asker) }
    }

    /// Whether `asker` may have it paid: its customer, whoever runs the shop.
    pub fn is_paid_by(&self, asker: &Asker) -> Result<(), Refusal> {
        let customer = Some(&self.placed.customer);
        if asker.user.as_ref() == customer { Ok(()) } else { Err(Refusal::NotCustomer) }
    }

    /// Orders what was placed. Confirming again says nothing new.
    pub fn confirm(&self, version: i64, intent: &Intent) -> Result<Option<Event>, Refusal> {
        match self.state {
            State::Placed => {
                expect(version, intent)?;
                Ok(Some(self.event(intent.at, Fact::Confirmed)))
            }
            State::Processing | State::Completed => Ok(None),
            State::Cancelling { .. } | State::Cancelled { .. } => Err(Refusal::Cancelled),
        }
    }

    /// Withdraws it: at once while nothing was arranged, by undoing it otherwise.
    /// Cancelling again says nothing new.
    pub fn cancel(
        &self,
        version: i64,
        intent: &Intent,
        detail: &str,
    ) -> Result<Option<Event>, Refusal> {
        let detail = detail.to_owned();
        let fact = match self.state {
            State::Placed => Fact::Cancelled { reason: Reason::Requested, detail },
            State::Processing => Fact::CancellationRequested { detail },
            State::Cancelling { .. } | State::Cancelled { .. } => return Ok(None),
            State::Completed => return Err(Refusal::TooLate),
        };
        expect(version, intent)?;
        Ok(Some(self.event(intent.at, fact)))
    }

    /// Everything was arranged; also when somebody asked too late to undo it.
    pub fn complete(&self, at: Micros) -> Result<Option<Event>, Refusal> {
        match self.state {
            State::Processing | State::Cancelling { .. } => {
                Ok(Some(self.event(at, Fact::Completed)))
            }
            State::Completed => Ok(None),
            State::Placed | State::Cancelled { .. } => Err(Refusal::NotProcessing),
        }
    }

    /// It came to nothing, and what had been arranged is undone: for a reason, or
    /// since somebody asked for it.
    pub fn abandon(
        &self,
        at: Micros,
        because: Option<(Reason, &str)>,
    ) -> Result<Option<Event>, Refusal> {
        let (reason, detail) = match (&self.state, because) {
            (State::Processing | State::Cancelling { .. }, Some((reason, detail))) => {
                (reason, detail)
            }
            (State::Cancelling { detail }, None) => (Reason::Requested, detail.as_str()),
            (State::Processing, None) => (Reason::Requested, ""),
            (State::Cancelled { .. }, _) => return Ok(None),
            (State::Placed | State::Completed, _) => return Err(Refusal::NotProcessing),
        };
        let fact = Fact::Cancelled { reason, detail: detail.to_owned() };
        Ok(Some(self.event(at, fact)))
    }

    /// At a time after every one before, also when clocks differ between replicas.
    fn event(&self, at: Micros, fact: Fact) -> Event {
        Event { order: self.id.clone(), at: at.max(self.updated + 1), fact }
    }
}

/// Checked where a change is certain, so that a call repeated after its answer
/// was lost succeeds although its etag is the one of before.
fn expect(version: i64, intent: &Intent) -> Result<(), Refusal> {
    match &intent.seen {
        Some(seen) if *seen != Etag::of(version) => Err(Refusal::Stale),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
