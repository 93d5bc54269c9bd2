//! An account: what is on it, whose it is, and which movements it allows. It is
//! never overdrawn, since every movement is decided on the state that it is
//! appended to.

use super::{AccountId, Currency, Etag, Micros, Money, TransferId, UserId, money::MAX_UNITS};

/// Where an account is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Money can be moved.
    Open,
    /// No money can be moved for now.
    Frozen,
    /// Closed for good.
    Closed,
}

/// An account of one person in one currency.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its name.
    pub id: AccountId,
    /// Whose it is; never changes.
    pub owner: UserId,
    /// Its currency; never changes.
    pub currency: Currency,
    /// What is on it, in minor units; from zero to [`MAX_UNITS`].
    pub balance: i64,
    /// Where it is in its life.
    pub state: State,
    /// When it was opened.
    pub opened: Micros,
}

/// What happened to an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// It was opened, with nothing on it.
    Opened {
        /// Its name.
        id: AccountId,
        /// Whose it is.
        owner: UserId,
        /// Its currency.
        currency: Currency,
        /// When.
        at: Micros,
    },
    /// Money moved.
    Moved {
        /// On which account.
        id: AccountId,
        /// What moved it.
        cause: Cause,
        /// How much.
        amount: Money,
    },
    /// No money moves for now.
    Frozen(AccountId),
    /// Money moves again.
    Unfrozen(AccountId),
    /// It was closed for good.
    Closed(AccountId),
}

/// What moves money, and in which direction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Cash, onto the account.
    Deposit,
    /// Cash, off the account.
    Withdrawal,
    /// A transfer, off the account.
    Sent(TransferId),
    /// A transfer, onto the account.
    Received(TransferId),
    /// A transfer that failed, back onto the account.
    Returned(TransferId),
}

/// Who asks for a change of their account, and what they have seen of it.
#[derive(Clone, Debug)]
pub struct Intent {
    /// Who asks.
    pub by: UserId,
    /// The state that the change was meant for; `None` = whichever it is.
    pub seen: Option<Etag>,
}

/// Why a change did not happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Somebody else's account.
    #[error("only its owner may see an account and move its money")]
    NotOwner,
    /// The caller has seen an older state.
    #[error("the account has changed since it was read")]
    Stale,
    /// No money moves for now.
    #[error("the account is frozen")]
    Frozen,
    /// Closed for good.
    #[error("the account is closed")]
    Closed,
    /// Of another currency.
    #[error("the account is in another currency")]
    CurrencyMismatch,
    /// It would be overdrawn.
    #[error("there is not that much on the account")]
    InsufficientFunds,
    /// It would hold more than an account can.
    #[error("the account cannot hold that much")]
    BalanceLimit,
    /// There is money on it.
    #[error("an account is closed when there is nothing on it")]
    NotEmpty,
}

type Decision = Result<Vec<Event>, Refusal>;

impl Cause {
    /// What a balance changes by when this moves so many units.
    pub fn change(&self, units: i64) -> i64 {
        match self {
            Cause::Deposit | Cause::Received(_) | Cause::Returned(_) => units,
            Cause::Withdrawal | Cause::Sent(_) => -units,
        }
    }
}

impl Account {
    /// The events of a new account.
    pub fn open(id: AccountId, owner: UserId, currency: Currency, at: Micros) -> Vec<Event> {
        vec![Event::Opened { id, owner, currency, at }]
    }

    /// Pays cash in.
    pub fn deposit(&self, amount: &Money, version: i64, intent: &Intent) -> Decision {
        self.admit(version, intent)?;
        self.admit_movement()?;
        self.put(Cause::Deposit, amount)
    }

    /// Takes cash out; also out of a closed account, to which a transfer that
    /// failed may have given something back.
    pub fn withdraw(&self, amount: &Money, version: i64, intent: &Intent) -> Decision {
        self.admit(version, intent)?;
        if self.state == State::Frozen {
            return Err(Refusal::Frozen);
        }
        self.take(Cause::Withdrawal, amount)
    }

    /// Sends money to another account.
    pub fn send(&self, transfer: &TransferId, by: &UserId, amount: &Money) -> Decision {
        self.admit_owner(by)?;
        self.admit_movement()?;
        self.take(Cause::Sent(transfer.clone()), amount)
    }

    /// Takes in money from another account.
    pub fn receive(&self, transfer: &TransferId, amount: &Money) -> Decision {
        self.admit_movement()?;
        self.put(Cause::Received(transfer.clone()), amount)
    }

    /// Takes back what a failed transfer had taken. Nothing refuses it: the money
    /// has no other place to be.
    pub fn take_back(&self, transfer: &TransferId, amount: &Money) -> Vec<Event> {
        let (id, cause) = (self.id.clone(), Cause::Returned(transfer.clone()));
        vec![Event::Moved { id, cause, amount: amount.clone() }]
    }

    /// Keeps money from moving. Only the first time is an event.
    pub fn freeze(&self) -> Decision {
        match self.state {
            State::Open => Ok(vec![Event::Frozen(self.id.clone())]),
            State::Frozen => Ok(vec![]),
            State::Closed => Err(Refusal::Closed),
        }
    }

    /// Lets money move again.
    pub fn unfreeze(&self) -> Vec<Event> {
        match self.state {
            State::Frozen => vec![Event::Unfrozen(self.id.clone())],
            State::Open | State::Closed => vec![],
        }
    }

    /// Closes it for good. Only the first time is an event, and repeating it
    /// succeeds with the etag of before.
    pub fn close(&self, version: i64, intent: &Intent) -> Decision {
        self.admit_owner(&intent.by)?;
        match self.state {
            State::Closed => Ok(vec![]),
            State::Frozen => Err(Refusal::Frozen),
            State::Open => {
                self.admit(version, intent)?;
                if self.balance > 0 {
                    return Err(Refusal::NotEmpty);
                }
                Ok(vec![Event::Closed(self.id.clone())])
            }
        }
    }

    /// Whether a user may see it.
    pub fn admit_owner(&self, by: &UserId) -> Result<(), Refusal> {
        if *by == self.owner { Ok(()) } else { Err(Refusal::NotOwner) }
    }

    /// The account that begins with an event; `None` when none does.
    pub fn begin(first: &Event) -> Option<Self> {
        let Event::Opened { id, owner, currency, at } = first else { return None };
        let (id, owner, currency) = (id.clone(), owner.clone(), currency.clone());
        Some(Account { id, owner, currency, balance: 0, state: State::Open, opened: *at })
    }

    /// Takes in one more event.
    pub fn evolve(&mut self, event: &Event) {
        match event {
            Event::Opened { .. } => {}
            Event::Moved { cause, amount, .. } => self.balance += cause.change(amount.units()),
            Event::Frozen(_) => self.state = State::Frozen,
            Event::Unfrozen(_) => self.state = State::Open,
            Event::Closed(_) => self.state = State::Closed,
        }
    }

    fn admit(&self, version: i64, intent: &Intent) -> Result<(), Refusal> {
        self.admit_owner(&intent.by)?;
        match intent.seen {
            Some(seen) if seen != Etag(version) => Err(Refusal::Stale),
            _ => Ok(()),
        }
    }

    fn admit_movement(&self) -> Result<(), Refusal> {
        match self.state {
            State::Open => Ok(()),
            State::Frozen => Err(Refusal::Frozen),
            State::Closed => Err(Refusal::Closed),
        }
    }

    fn put(&self, cause: Cause, amount: &Money) -> Decision {
        self.admit_currency(amount)?;
        if amount.units() > MAX_UNITS - self.balance {
            return Err(Refusal::BalanceLimit);
        }
        Ok(vec![Event::Moved { id: self.id.clone(), cause, amount: amount.clone() }])
    }

    fn take(&self, cause: Cause, amount: &Money) -> Decision {
        self.admit_currency(amount)?;
        if amount.units() > self.balance {
            return Err(Refusal::InsufficientFunds);
        }
        Ok(vec![Event::Moved { id: self.id.clone(), cause, amount: amount.clone() }])
    }

    fn admit_currency(&self, amount: &Money) -> Result<(), Refusal> {
        if *amount.currency() == self.currency { Ok(()) } else { Err(Refusal::CurrencyMismatch) }
    }
}

#[cfg(test)]
mod tests;
