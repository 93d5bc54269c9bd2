//! Accounts, transfers and entries as the contract tells of them. Commands answer
//! with these, since a repeated call is given the very answer of the first.

use durable::{aggregate::Recorded, time};
use titan::{
    accounts::v1::{
        self as proto, account::State as WireState, entry::Kind, transfer::Failure as WireFailure,
        transfer::State as WireTransferState,
    },
    money::v1::Money as WireMoney,
};

use crate::{
    domain::{Account, Currency, Etag, Transfer, account::State, transfer::State as TransferState},
    store::{Entry, Movement},
};

/// An account as it is told of.
pub(crate) fn account(recorded: Recorded<Account>) -> proto::Account {
    let Recorded { state: account, version } = recorded;
    let state = match account.state {
        State::Open => WireState::Open,
        State::Frozen => WireState::Frozen,
        State::Closed => WireState::Closed,
    };
    proto::Account {
        name: account.id.to_string(),
        owner: account.owner.to_string(),
        currency_code: account.currency.to_string(),
        balance: money(account.balance, &account.currency),
        state: state.into(),
        create_time: Some(time::to_proto(account.opened)),
        etag: Etag(version).to_string(),
    }
}

impl From<Transfer> for proto::Transfer {
    fn from(transfer: Transfer) -> Self {
        let (state, failure) = match transfer.state {
            TransferState::Requested | TransferState::Sent => (WireTransferState::Pending, None),
            TransferState::Refused { why, .. } => (WireTransferState::Pending, Some(why)),
            TransferState::Completed => (WireTransferState::Completed, None),
            TransferState::Failed(why) => (WireTransferState::Failed, Some(why)),
        };
        let failure = failure.map_or(WireFailure::Unspecified, WireFailure::from);
        proto::Transfer {
            name: transfer.id.to_string(),
            source: transfer.source.to_string(),
            destination: transfer.destination.to_string(),
            amount: money(transfer.amount.units(), transfer.amount.currency()),
            state: state.into(),
            failure: failure.into(),
            create_time: Some(time::to_proto(transfer.requested)),
        }
    }
}

impl From<Entry> for proto::Entry {
    fn from(entry: Entry) -> Self {
        let kind = match entry.movement {
            Movement::Deposit => Kind::Deposit,
            Movement::Withdrawal => Kind::Withdrawal,
            Movement::TransferOut => Kind::TransferOut,
            Movement::TransferIn => Kind::TransferIn,
            Movement::TransferReturned => Kind::TransferReturned,
        };
        proto::Entry {
            name: format!("{}/entries/{}", entry.account, entry.number),
            kind: kind.into(),
            amount: money(entry.amount, &entry.currency),
            balance: money(entry.balance, &entry.currency),
            transfer: entry.transfer,
            create_time: Some(time::to_proto(entry.at)),
        }
    }
}

fn money(minor_units: i64, currency: &Currency) -> Option<WireMoney> {
    Some(WireMoney { currency_code: currency.to_string(), minor_units })
}
