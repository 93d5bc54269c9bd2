//! Accounts as streams of events.

use durable::{
    Error, Event as Logged, NewEvent,
    aggregate::{Aggregate, Snapshots},
    time,
};
use prost::Message;
use titan::accounts::v1 as proto;

use super::wire::{from_money, micros, money};
use crate::domain::{
    Account, AccountId, Currency, Money, TransferId, UserId,
    account::{Cause, Event, State},
};

/// An account is used for years. This bounds what a load reads to a fraction of
/// a page, and makes one append in a hundred a row longer.
const EVENTS_PER_SNAPSHOT: i64 = 100;

impl Aggregate for Account {
    type Event = Event;

    const SNAPSHOTS: Option<Snapshots<Self>> = Some(Snapshots {
        every: EVENTS_PER_SNAPSHOT,
        form: 1,
        write: Kept::write,
        read: Kept::read,
    });

    fn begin(first: &Event) -> Option<Self> {
        Account::begin(first)
    }

    fn evolve(&mut self, event: &Event) {
        Account::evolve(self, event);
    }

    fn encode(event: &Event) -> NewEvent {
        match event {
            Event::Opened { id, owner, currency, at } => NewEvent::of(&proto::AccountOpened {
                account: id.to_string(),
                owner: owner.to_string(),
                currency_code: currency.to_string(),
                open_time: Some(time::to_proto(*at)),
            }),
            Event::Moved { id, cause, amount } => moved(id, cause, amount),
            Event::Frozen(id) => NewEvent::of(&proto::AccountFrozen { account: id.to_string() }),
            Event::Unfrozen(id) => {
                NewEvent::of(&proto::AccountUnfrozen { account: id.to_string() })
            }
            Event::Closed(id) => NewEvent::of(&proto::AccountClosed { account: id.to_string() }),
        }
    }

    fn decode(event: &Logged) -> Result<Option<Event>, Error> {
        if let Some(it) = event.decode::<proto::AccountOpened>()? {
            return Ok(Some(Event::Opened {
                id: AccountId::named(it.account),
                owner: UserId::named(it.owner),
                currency: Currency::new(it.currency_code),
                at: micros(it.open_time.as_ref()),
            }));
        }
        if event.is::<proto::AccountFrozen>() {
            return Ok(Some(Event::Frozen(AccountId::named(&event.stream))));
        }
        if event.is::<proto::AccountUnfrozen>() {
            return Ok(Some(Event::Unfrozen(AccountId::named(&event.stream))));
        }
        if event.is::<proto::AccountClosed>() {
            return Ok(Some(Event::Closed(AccountId::named(&event.stream))));
        }
        movement(event)
    }
}

fn moved(id: &AccountId, cause: &Cause, amount: &Money) -> NewEvent {
    let (account, amount) = (id.to_string(), from_money(amount));
    match cause {
        Cause::Deposit => NewEvent::of(&proto::MoneyDeposited { account, amount }),
        Cause::Withdrawal => NewEvent::of(&proto::MoneyWithdrawn { account, amount }),
        Cause::Sent(it) => {
            NewEvent::of(&proto::MoneySent { account, transfer: it.to_string(), amount })
        }
        Cause::Received(it) => {
            NewEvent::of(&proto::MoneyReceived { account, transfer: it.to_string(), amount })
        }
        Cause::Returned(it) => {
            NewEvent::of(&proto::MoneyReturned { account, transfer: it.to_string(), amount })
        }
    }
}

/// A movement of money; `None` for an event of another type.
fn movement(event: &Logged) -> Result<Option<Event>, Error> {
    let (cause, amount) = if let Some(it) = event.decode::<proto::MoneyDeposited>()? {
        (Cause::Deposit, it.amount)
    } else if let Some(it) = event.decode::<proto::MoneyWithdrawn>()? {
        (Cause::Withdrawal, it.amount)
    } else if let Some(it) = event.decode::<proto::MoneySent>()? {
        (Cause::Sent(TransferId::named(it.transfer)), it.amount)
    } else if let Some(it) = event.decode::<proto::MoneyReceived>()? {
        (Cause::Received(TransferId::named(it.transfer)), it.amount)
    } else if let Some(it) = event.decode::<proto::MoneyReturned>()? {
        (Cause::Returned(TransferId::named(it.transfer)), it.amount)
    } else {
        return Ok(None);
    };
    let id = AccountId::named(&event.stream);
    Ok(money(amount).map(|amount| Event::Moved { id, cause, amount }))
}

/// An account as a snapshot.
#[derive(Clone, PartialEq, Message)]
struct Kept {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(string, tag = "2")]
    owner: String,
    #[prost(string, tag = "3")]
    currency: String,
    #[prost(int64, tag = "4")]
    balance: i64,
    #[prost(enumeration = "proto::account::State", tag = "5")]
    state: i32,
    #[prost(int64, tag = "6")]
    opened: i64,
}

impl Kept {
    fn write(account: &Account) -> Vec<u8> {
        let state = match account.state {
            State::Open => proto::account::State::Open,
            State::Frozen => proto::account::State::Frozen,
            State::Closed => proto::account::State::Closed,
        };
        let kept = Kept {
            id: account.id.to_string(),
            owner: account.owner.to_string(),
            currency: account.currency.to_string(),
            balance: account.balance,
            state: state.into(),
            opened: account.opened,
        };
        kept.encode_to_vec()
    }

    fn read(bytes: &[u8]) -> Option<Account> {
        let kept = Kept::decode(bytes).ok()?;
        let state = match kept.state() {
            proto::account::State::Unspecified => return None,
            proto::account::State::Open => State::Open,
            proto::account::State::Frozen => State::Frozen,
            proto::account::State::Closed => State::Closed,
        };
        Some(Account {
            id: AccountId::named(kept.id),
            owner: UserId::named(kept.owner),
            currency: Currency::new(kept.currency),
            balance: kept.balance,
            state,
            opened: kept.opened,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_is_read_back_in_every_state() {
        for state in [State::Open, State::Frozen, State::Closed] {
            let account = Account {
                id: AccountId::new("1"),
                owner: UserId::new("ada"),
                currency: Currency::new("EUR"),
                balance: 5,
                state,
                opened: 7,
            };
            assert_eq!(Kept::read(&Kept::write(&account)), Some(account));
        }
        assert_eq!(Kept::read(b""), None);
    }
}
