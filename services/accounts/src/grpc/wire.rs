//! Between the wire and the domain, and the one table from errors to codes.

use durable::time;
use mesh::status::{self, field, refuse};
use prost_types::Timestamp;
use titan::money::v1::Money as WireMoney;
use tonic::{Code, Status};

use crate::{
    app::Error,
    domain::{Currency, Micros, Money, UserId, account, transfer},
};

/// The user who calls.
pub(super) fn caller() -> Result<UserId, Status> {
    Ok(UserId::new(&mesh::call::caller().user()?.id))
}

/// An amount that can move. The contract has checked its currency.
pub(super) fn amount(path: &str, wire: Option<&WireMoney>) -> Result<Money, Status> {
    let wire = wire.cloned().unwrap_or_default();
    Money::new(wire.minor_units, Currency::new(wire.currency_code)).ok_or_else(|| {
        let path = format!("{path}.minor_units");
        status::invalid(vec![field(&path, "int64.gt", "must be above zero")])
    })
}

/// A time to look back to.
pub(super) fn read_time(wire: Option<&Timestamp>) -> Result<Option<Micros>, Status> {
    let read = |wire| {
        time::from_proto(wire).ok_or_else(|| {
            let problem = "must be a time from the year 1 to 9999";
            status::invalid(vec![field("read_time", "timestamp", problem)])
        })
    };
    wire.map(read).transpose()
}

/// The table from errors to codes.
impl From<Error> for Status {
    fn from(error: Error) -> Self {
        let message = error.to_string();
        let (code, reason) = match error {
            Error::NoAccount => (Code::NotFound, "ACCOUNT_NOT_FOUND"),
            Error::NoTransfer => (Code::NotFound, "TRANSFER_NOT_FOUND"),
            Error::Account(refusal) => from_account(refusal),
            Error::Transfer(transfer::Refusal::NotRequester) => {
                (Code::PermissionDenied, "NOT_REQUESTER")
            }
            Error::Transfer(transfer::Refusal::Taken) => (Code::AlreadyExists, "TRANSFER_EXISTS"),
            Error::Transfer(transfer::Refusal::SameAccount) => {
                let path = "transfer.destination";
                return status::invalid(vec![field(path, "different", message)]);
            }
            Error::Store(error) => return error.into(),
        };
        refuse(code, reason, message)
    }
}

fn from_account(refusal: account::Refusal) -> (Code, &'static str) {
    use account::Refusal as It;
    match refusal {
        It::NotOwner => (Code::PermissionDenied, "NOT_OWNER"),
        It::Stale => (Code::Aborted, "ETAG_MISMATCH"),
        It::Frozen => (Code::FailedPrecondition, "ACCOUNT_FROZEN"),
        It::Closed => (Code::FailedPrecondition, "ACCOUNT_CLOSED"),
        It::CurrencyMismatch => (Code::FailedPrecondition, "CURRENCY_MISMATCH"),
        It::InsufficientFunds => (Code::FailedPrecondition, "INSUFFICIENT_FUNDS"),
        It::BalanceLimit => (Code::FailedPrecondition, "BALANCE_LIMIT"),
        It::NotEmpty => (Code::FailedPrecondition, "ACCOUNT_NOT_EMPTY"),
    }
}
