//! Transfers as streams of events.

use durable::{Error, Event as Logged, NewEvent, aggregate::Aggregate, time};
use titan::accounts::v1::{self as proto, transfer::Failure as WireFailure};

use super::wire::{from_money, micros, money};
use crate::domain::{
    AccountId, Transfer, TransferId, UserId,
    transfer::{Event, Failure, State},
};

impl Aggregate for Transfer {
    type Event = Event;

    fn begin(first: &Event) -> Option<Self> {
        Transfer::begin(first)
    }

    fn evolve(&mut self, event: &Event) {
        Transfer::evolve(self, event);
    }

    fn encode(event: &Event) -> NewEvent {
        match event {
            Event::Requested(it) => NewEvent::of(&proto::TransferRequested {
                transfer: it.id.to_string(),
                user: it.by.to_string(),
                source: it.source.to_string(),
                destination: it.destination.to_string(),
                amount: from_money(&it.amount),
                request_time: Some(time::to_proto(it.requested)),
            }),
            Event::Sent(id) => NewEvent::of(&proto::TransferSent { transfer: id.to_string() }),
            Event::Refused(id, why) => NewEvent::of(&proto::TransferRefused {
                transfer: id.to_string(),
                failure: WireFailure::from(*why).into(),
            }),
            Event::Completed(id) => {
                NewEvent::of(&proto::TransferCompleted { transfer: id.to_string() })
            }
            Event::Failed(id) => NewEvent::of(&proto::TransferFailed { transfer: id.to_string() }),
        }
    }

    fn decode(event: &Logged) -> Result<Option<Event>, Error> {
        if let Some(it) = event.decode::<proto::TransferRequested>()? {
            return Ok(requested(it));
        }
        let id = TransferId::named(&event.stream);
        if let Some(it) = event.decode::<proto::TransferRefused>()? {
            let why = failure(it.failure());
            return Ok(why.map(|why| Event::Refused(id, why)));
        }
        Ok(if event.is::<proto::TransferSent>() {
            Some(Event::Sent(id))
        } else if event.is::<proto::TransferCompleted>() {
            Some(Event::Completed(id))
        } else if event.is::<proto::TransferFailed>() {
            Some(Event::Failed(id))
        } else {
            None
        })
    }
}

fn requested(it: proto::TransferRequested) -> Option<Event> {
    Some(Event::Requested(Box::new(Transfer {
        id: TransferId::named(it.transfer),
        by: UserId::named(it.user),
        source: AccountId::named(it.source),
        destination: AccountId::named(it.destination),
        amount: money(it.amount)?,
        requested: micros(it.request_time.as_ref()),
        state: State::Requested,
    })))
}

impl From<Failure> for WireFailure {
    fn from(why: Failure) -> Self {
        match why {
            Failure::InsufficientFunds => WireFailure::InsufficientFunds,
            Failure::CurrencyMismatch => WireFailure::CurrencyMismatch,
            Failure::AccountFrozen => WireFailure::AccountFrozen,
            Failure::AccountClosed => WireFailure::AccountClosed,
            Failure::AccountNotFound => WireFailure::AccountNotFound,
            Failure::BalanceLimit => WireFailure::BalanceLimit,
            Failure::Cancelled => WireFailure::Cancelled,
        }
    }
}

/// `None` for one that was never written.
fn failure(why: WireFailure) -> Option<Failure> {
    match why {
        WireFailure::Unspecified => None,
        WireFailure::InsufficientFunds => Some(Failure::InsufficientFunds),
        WireFailure::CurrencyMismatch => Some(Failure::CurrencyMismatch),
        WireFailure::AccountFrozen => Some(Failure::AccountFrozen),
        WireFailure::AccountClosed => Some(Failure::AccountClosed),
        WireFailure::AccountNotFound => Some(Failure::AccountNotFound),
        WireFailure::BalanceLimit => Some(Failure::BalanceLimit),
        WireFailure::Cancelled => Some(Failure::Cancelled),
    }
}
