//! A payment and the provider's part in it. Pure: times and the provider's answers
//! come in as arguments, what happened goes out as an [`Event`].
//!
//! What the provider is about to be asked is a state of its own, and it is stored
//! before the asking. Whoever finds a payment in such a state does not know
//! whether the provider was reached, and asks again under the same key. Undoing
//! overtakes everything: from then on no other answer counts.

/// A time in microseconds since 1970, UTC: what both databases keep.
pub type Micros = i64;

/// Names a payment; written as `payments/{id}`. The id is the caller's choice.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PaymentId(String);

impl PaymentId {
    /// The payment of this id.
    #[must_use]
    pub fn new(id: &str) -> Self {
        Self(format!("payments/{id}"))
    }

    /// A resource name, as it was stored or has passed the contract's rules.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self(name.to_owned())
    }

    /// The resource name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An amount in minor units of a currency.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Money {
    /// Alphabetic code of ISO 4217.
    pub currency: String,
    /// Minor units.
    pub minor: i64,
}

/// What is to be paid, by whom and with what: it cannot change, since the same id
/// means the same payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Resource name of the user who pays.
    pub customer: String,
    /// How much.
    pub amount: Money,
    /// The provider's token of the card.
    pub card: String,
}

/// Where a payment is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The provider is asked to authorise.
    Authorizing,
    /// The amount is set aside.
    Authorized,
    /// The provider is asked to capture.
    Capturing,
    /// The amount was taken.
    Captured,
    /// The provider is asked to undo it, however far it got.
    Undoing,
    /// The amount was given back.
    Refunded,
    /// Undone before anything was taken.
    Voided,
    /// The bank said no.
    Declined,
}

/// One charge of one card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payment {
    /// Its name.
    pub id: PaymentId,
    /// What was agreed; `None` for one that was undone before it was made.
    pub terms: Option<Terms>,
    /// Where it is in its life.
    pub state: State,
    /// Minor units that were taken, as the provider said.
    pub captured: i64,
    /// Minor units that were given back, as the provider said.
    pub refunded: i64,
    /// Why the bank said no; empty unless it did.
    pub decline_reason: String,
    /// When it was first heard of.
    pub created: Micros,
    /// When it last changed.
    pub updated: Micros,
    /// Counts its states; the first is 1.
    pub version: i64,
}

/// What a caller wants of a payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Set the amount aside.
    Authorize(Terms),
    /// Take it.
    Capture,
    /// Let it go if it was not taken.
    Void,
    /// Undo it, however far it got.
    Refund,
}

/// What the provider is to be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Set the amount aside.
    Authorize,
    /// Take it.
    Capture,
    /// Undo the charge, however far it got.
    Undo,
}

/// What the provider has answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was done; so much was taken and given back so far.
    Done {
        /// Minor units.
        captured: i64,
        /// Minor units.
        refunded: i64,
    },
    /// The bank says no, and nothing was done.
    Declined {
        /// In the bank's words.
        reason: String,
    },
}

/// What happened to a payment, for others to hear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The amount is set aside.
    Authorized,
    /// The bank said no.
    Declined,
    /// The amount was taken.
    Captured,
    /// Undone before anything was taken.
    Voided,
    /// The amount was given back.
    Refunded,
}

/// Why a wish was not followed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no such payment.
    #[error("there is no such payment")]
    Unknown,
    /// The id stands for another payment.
    #[error("another payment was made under this id")]
    Different,
    /// It was undone, maybe before it was made.
    #[error("the payment was undone")]
    Undone,
    /// The bank said no.
    #[error("the card was declined: {0}")]
    Declined(String),
    /// Too late to void.
    #[error("the payment was captured; it can only be refunded")]
    Captured,
    /// Somebody else's.
    #[error("the payment is somebody else's")]
    NotCustomer,
}

impl Payment {
    /// What the payment is once a wish is noted; the same when nothing is to be
    /// done about it, or not before the provider has answered what it was asked.
    ///
    /// # Errors
    /// Why the wish can never come true.
    pub fn wish(
        known: Option<Payment>,
        id: &PaymentId,
        wish: &Wish,
        at: Micros,
    ) -> Result<Payment, Refusal> {
        let Some(payment) = known else {
            let (terms, state) = match wish {
                Wish::Authorize(terms) => (Some(terms.clone()), State::Authorizing),
                Wish::Capture => return Err(Refusal::Unknown),
                // The tombstone. The provider was never asked for this charge,
                // since a payment is stored before it is.
                Wish::Void | Wish::Refund => (None, State::Voided),
            };
            return Ok(Payment::begin(id.clone(), terms, state, at));
        };
        match wish {
            Wish::Authorize(terms) => payment.admit_terms(terms)?,
            Wish::Capture => payment.admit_progress()?,
            Wish::Void if payment.state == State::Captured => return Err(Refusal::Captured),
            Wish::Void | Wish::Refund => {}
        }
        Ok(match (wish, payment.state) {
            (Wish::Capture, State::Authorized) => payment.turn(State::Capturing, at),
            (Wish::Void, State::Authorizing | State::Authorized | State::Declined)
            | (
                Wish::Refund,
                State::Authorizing
                | State::Authorized
                | State::Capturing
                | State::Captured
                | State::Declined,
            ) => payment.turn(State::Undoing, at),
            _ => payment,
        })
    }

    /// What the provider is to be asked now.
    #[must_use]
    pub fn due(&self) -> Option<Action> {
        match self.state {
            State::Authorizing => Some(Action::Authorize),
            State::Capturing => Some(Action::Capture),
            State::Undoing => Some(Action::Undo),
            State::Authorized
            | State::Captured
            | State::Refunded
            | State::Voided
            | State::Declined => None,
        }
    }

    /// What the provider is to be asked though nobody may be left who wants it: its
    /// answer decides whether a card was charged. An undoing is not among these.
    /// Whoever asked for it repeats it or decides on it, and a refund that was made
    /// by hand meanwhile must not be made once more.
    #[must_use]
    pub fn unheard(&self) -> Option<Action> {
        self.due().filter(|action| *action != Action::Undo)
    }

    /// What the payment is once the provider has answered. An answer to what is
    /// no longer asked changes nothing: somebody else has noted it, or the payment
    /// is being undone.
    #[must_use]
    pub fn settle(mut self, action: Action, outcome: &Outcome, at: Micros) -> Payment {
        if self.due() != Some(action) {
            return self;
        }
        match (action, outcome) {
            // A refund that is refused has to be asked for again, or looked into.
            (Action::Undo, Outcome::Declined { .. }) => self,
            (_, Outcome::Declined { reason }) => {
                self.decline_reason.clone_from(reason);
                self.turn(State::Declined, at)
            }
            (action, Outcome::Done { captured, refunded }) => {
                (self.captured, self.refunded) = (*captured, *refunded);
                let state = match action {
                    Action::Authorize => State::Authorized,
                    Action::Capture => State::Captured,
                    Action::Undo if *captured > 0 => State::Refunded,
                    Action::Undo => State::Voided,
                };
                self.turn(state, at)
            }
        }
    }

    /// What is told of a payment that has just come to its state.
    #[must_use]
    pub fn news(&self) -> Option<Event> {
        match self.state {
            State::Authorizing | State::Capturing | State::Undoing => None,
            State::Authorized => Some(Event::Authorized),
            State::Captured => Some(Event::Captured),
            State::Refunded => Some(Event::Refunded),
            State::Voided => Some(Event::Voided),
            State::Declined => Some(Event::Declined),
        }
    }

    /// Whether it is this user's. One that was never made is nobody's.
    #[must_use]
    pub fn is_of(&self, user: &str) -> bool {
        self.terms.as_ref().is_some_and(|terms| terms.customer == user)
    }

    fn begin(id: PaymentId, terms: Option<Terms>, state: State, at: Micros) -> Self {
        let decline_reason = String::new();
        let (captured, refunded, created, updated, version) = (0, 0, at, at, 1);
        Self { id, terms, state, captured, refunded, decline_reason, created, updated, version }
    }

    fn turn(mut self, state: State, at: Micros) -> Self {
        self.state = state;
        self.version += 1;
        self.updated = at.max(self.updated + 1);
        self
    }

    fn admit_terms(&self, terms: &Terms) -> Result<(), Refusal> {
        if self.terms.as_ref().is_some_and(|mine| mine != terms) {
            return Err(Refusal::Different);
        }
        self.admit_progress()
    }

    fn admit_progress(&self) -> Result<(), Refusal> {
        match self.state {
            State::Undoing | State::Refunded | State::Voided => Err(Refusal::Undone),
            State::Declined => Err(Refusal::Declined(self.decline_reason.clone())),
            State::Authorizing | State::Authorized | State::Capturing | State::Captured => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
