//! A transfer: where the money of it is. Its steps may be repeated and may come
//! late, so each of them says what it finds: to be done, done already, or no
//! longer to be done.

use super::{AccountId, Micros, Money, TransferId, UserId, account};

/// Where a transfer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Nothing has moved.
    Requested,
    /// The money has left its source.
    Sent,
    /// One of the accounts refused it, before (`sent: false`) or after the money
    /// had left.
    Refused {
        /// Why.
        why: Failure,
        /// Whether the money has to go back.
        sent: bool,
    },
    /// The money is on the destination.
    Completed,
    /// The money is on the source.
    Failed(Failure),
}

/// Why a transfer failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// There was not that much on the source.
    InsufficientFunds,
    /// One of the accounts is in another currency.
    CurrencyMismatch,
    /// One of the accounts is frozen.
    AccountFrozen,
    /// One of the accounts is closed.
    AccountClosed,
    /// There is no such destination.
    AccountNotFound,
    /// The destination holds as much as an account can.
    BalanceLimit,
    /// It was given up by an operator.
    Cancelled,
}

/// Money that goes from one account to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// Its name.
    pub id: TransferId,
    /// Who began it.
    pub by: UserId,
    /// Where the money comes from.
    pub source: AccountId,
    /// Where it goes to.
    pub destination: AccountId,
    /// How much.
    pub amount: Money,
    /// When it was begun.
    pub requested: Micros,
    /// Where it is.
    pub state: State,
}

/// What happened to a transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Somebody began it. The state in it is [`State::Requested`].
    Requested(Box<Transfer>),
    /// The money has left its source.
    Sent(TransferId),
    /// One of the accounts refused it.
    Refused(TransferId, Failure),
    /// The money is on the destination.
    Completed(TransferId),
    /// The money is on the source, for good.
    Failed(TransferId),
}

/// Why a transfer was not begun or is not shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Somebody else's transfer.
    #[error("only who began a transfer may see it")]
    NotRequester,
    /// From an account to itself.
    #[error("a transfer goes to another account")]
    SameAccount,
    /// The name is taken by a transfer of other content.
    #[error("there is another transfer of this name")]
    Taken,
}

/// What a step of a transfer finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It is to be done.
    ToDo,
    /// It was done before.
    Done,
    /// It may not be done any more, and never was.
    Refused(Failure),
}

impl Transfer {
    /// The events of a new transfer, or of the same one asked for again.
    pub fn request(wanted: Transfer, known: Option<&Transfer>) -> Result<Vec<Event>, Refusal> {
        let Some(known) = known else {
            if wanted.source == wanted.destination {
                return Err(Refusal::SameAccount);
            }
            return Ok(vec![Event::Requested(Box::new(wanted))]);
        };
        let content = |it: &Transfer| {
            (it.by.clone(), it.source.clone(), it.destination.clone(), it.amount.clone())
        };
        if content(known) == content(&wanted) { Ok(vec![]) } else { Err(Refusal::Taken) }
    }

    /// Whether the money is to leave its source.
    pub fn sending(&self) -> Step {
        match self.state {
            State::Requested => Step::ToDo,
            State::Sent | State::Completed | State::Refused { sent: true, .. } => Step::Done,
            State::Refused { why, sent: false } | State::Failed(why) => Step::Refused(why),
        }
    }

    /// Whether the money is to come onto its destination.
    pub fn receiving(&self) -> Step {
        match self.state {
            State::Sent => Step::ToDo,
            State::Completed => Step::Done,
            State::Refused { why, .. } | State::Failed(why) => Step::Refused(why),
            State::Requested => Step::Refused(Failure::Cancelled),
        }
    }

    /// Whether, and what, is to go back to the source. Afterwards nothing leaves
    /// it any more, also when nothing ever did.
    pub fn returning(&self) -> Option<Back> {
        match self.state {
            State::Sent | State::Refused { sent: true, .. } => Some(Back::Money),
            State::Requested | State::Refused { sent: false, .. } => Some(Back::Nothing),
            State::Completed | State::Failed(_) => None,
        }
    }

    /// Whether a user may see it.
    pub fn admit(&self, by: &UserId) -> Result<(), Refusal> {
        if *by == self.by { Ok(()) } else { Err(Refusal::NotRequester) }
    }

    /// The transfer that begins with an event; `None` when none does.
    pub fn begin(first: &Event) -> Option<Self> {
        match first {
            Event::Requested(transfer) => Some(Transfer::clone(transfer)),
            _ => None,
        }
    }

    /// Takes in one more event.
    pub fn evolve(&mut self, event: &Event) {
        self.state = match (event, self.state) {
            (Event::Requested(_), state) => state,
            (Event::Sent(_), _) => State::Sent,
            (Event::Refused(_, why), state) => {
                State::Refused { why: *why, sent: state == State::Sent }
            }
            (Event::Completed(_), _) => State::Completed,
            (Event::Failed(_), State::Refused { why, .. }) => State::Failed(why),
            (Event::Failed(_), _) => State::Failed(Failure::Cancelled),
        };
    }
}

/// What goes back when a transfer fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Back {
    /// The money that had left.
    Money,
    /// Nothing had left.
    Nothing,
}

impl Failure {
    /// What the refusal of an account means for a transfer; `None` for one that
    /// no step of a transfer meets.
    pub fn of(refusal: account::Refusal) -> Option<Self> {
        use account::Refusal as It;
        match refusal {
            It::Frozen => Some(Failure::AccountFrozen),
            It::Closed => Some(Failure::AccountClosed),
            It::CurrencyMismatch => Some(Failure::CurrencyMismatch),
            It::InsufficientFunds => Some(Failure::InsufficientFunds),
            It::BalanceLimit => Some(Failure::BalanceLimit),
            It::NotOwner | It::Stale | It::NotEmpty => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Currency;

    fn wanted() -> Transfer {
        Transfer {
            id: TransferId::new("t"),
            by: UserId::new("ada"),
            source: AccountId::new("1"),
            destination: AccountId::new("2"),
            amount: Money::new(5, Currency::new("EUR")).unwrap(),
            requested: 7,
            state: State::Requested,
        }
    }

    fn after(events: &[Event]) -> Transfer {
        let mut transfer = wanted();
        events.iter().for_each(|event| transfer.evolve(event));
        transfer
    }

    fn id() -> TransferId {
        TransferId::new("t")
    }

    #[test]
    fn the_same_transfer_is_begun_once_and_another_is_refused() {
        let known = wanted();
        let later = Transfer { requested: 8, ..wanted() };
        assert_eq!(Transfer::request(later, Some(&known)), Ok(vec![]));
        let bob = Transfer { by: UserId::new("bob"), ..wanted() };
        assert_eq!(Transfer::request(bob, Some(&known)), Err(Refusal::Taken));
        let more = Money::new(6, Currency::new("EUR")).unwrap();
        let more = Transfer { amount: more, ..wanted() };
        assert_eq!(Transfer::request(more, Some(&known)), Err(Refusal::Taken));
        let circle = Transfer { destination: AccountId::new("1"), ..wanted() };
        assert_eq!(Transfer::request(circle, None), Err(Refusal::SameAccount));
    }

    #[test]
    fn each_step_is_done_once_whenever_it_comes() {
        let why = Failure::AccountClosed;
        let refused = Event::Refused(id(), why);
        let (sent, failed) = (Event::Sent(id()), Event::Failed(id()));
        let completed = Event::Completed(id());
        for (events, sending, receiving, returning) in [
            (vec![], Step::ToDo, Step::Refused(Failure::Cancelled), Some(Back::Nothing)),
            (vec![&sent], Step::Done, Step::ToDo, Some(Back::Money)),
            (vec![&refused], Step::Refused(why), Step::Refused(why), Some(Back::Nothing)),
            (vec![&sent, &refused], Step::Done, Step::Refused(why), Some(Back::Money)),
            (vec![&sent, &completed], Step::Done, Step::Done, None),
            (vec![&sent, &refused, &failed], Step::Refused(why), Step::Refused(why), None),
            // It was undone before it came: it must not come any more.
            (
                vec![&failed],
                Step::Refused(Failure::Cancelled),
                Step::Refused(Failure::Cancelled),
                None,
            ),
        ] {
            let events: Vec<Event> = events.into_iter().cloned().collect();
            let transfer = after(&events);
            assert_eq!(transfer.sending(), sending, "{events:?}");
            assert_eq!(transfer.receiving(), receiving, "{events:?}");
            assert_eq!(transfer.returning(), returning, "{events:?}");
        }
    }

    #[test]
    fn only_who_began_it_sees_a_transfer() {
        assert_eq!(wanted().admit(&UserId::new("ada")), Ok(()));
        assert_eq!(wanted().admit(&UserId::new("bob")), Err(Refusal::NotRequester));
    }
}
