//! Between the wire and the domain: what a request must hold, who may read, and
//! the one table from errors to codes.

use mesh::status::{self, field, refuse};
use titan::payments::v1 as proto;
use tonic::{Code, Status};

use crate::{
    app::Error,
    domain::{Money, Refusal, Terms},
};

/// The role that sees everybody's payments.
const ADMIN: &str = "admin";

/// The user whose payments alone the caller may see; `None` for an administrator
/// and for a process that the contract admits without a user.
pub(super) fn only_of() -> Option<String> {
    let caller = mesh::call::caller();
    let admin = caller.has_role(ADMIN);
    caller.user.filter(|_| !admin).map(|user| user.name())
}

/// What is to be paid. The contract has checked each field by itself, but those
/// that an answer lacks may be empty there.
pub(super) fn terms(wanted: proto::Payment) -> Result<Terms, Status> {
    let mut violations = Vec::new();
    let mut require = |holds: bool, path: &str, rule: &str, problem: &str| {
        if !holds {
            violations.push(field(path, rule, problem));
        }
    };
    require(!wanted.customer.is_empty(), "payment.customer", "required", "must be given");
    require(!wanted.card.is_empty(), "payment.card", "required", "must be given");
    let amount = wanted.amount.unwrap_or_default();
    let positive = amount.minor_units > 0;
    require(positive, "payment.amount", "int64.gt", "must be more than zero");
    if !violations.is_empty() {
        return Err(status::invalid(violations));
    }
    let amount = Money { currency: amount.currency_code, minor: amount.minor_units };
    Ok(Terms { customer: wanted.customer, amount, card: wanted.card })
}

/// The table from errors to codes.
impl From<Error> for Status {
    fn from(error: Error) -> Self {
        let refusal = match error {
            Error::Store(error) => return error.into(),
            Error::Refused(refusal) => refusal,
            Error::Busy => return refuse(Code::Aborted, "PAYMENT_BUSY", error.to_string()),
            Error::Provider(error) => {
                tracing::warn!(error = status::chain(&error), "the provider did not answer");
                let reason = "PROVIDER_UNAVAILABLE";
                return refuse(Code::Unavailable, reason, "repeat the call to learn its outcome");
            }
        };
        let (code, reason) = match &refusal {
            Refusal::Unknown => (Code::NotFound, "PAYMENT_NOT_FOUND"),
            Refusal::Different => (Code::AlreadyExists, "PAYMENT_EXISTS"),
            Refusal::Undone => (Code::FailedPrecondition, "PAYMENT_UNDONE"),
            Refusal::Declined(_) => (Code::FailedPrecondition, "CARD_DECLINED"),
            Refusal::Captured => (Code::FailedPrecondition, "PAYMENT_CAPTURED"),
            Refusal::NotCustomer => (Code::PermissionDenied, "NOT_CUSTOMER"),
        };
        refuse(code, reason, refusal.to_string())
    }
}
