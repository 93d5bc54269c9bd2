//! Between the wire and the domain: what a request must hold, who may read, and
//! the one table from errors to codes.

use std::collections::HashSet;

use mesh::status::{self, field, refuse};
use titan::shipping::v1 as proto;
use tonic::{Code, Status};

use crate::{
    app::Error,
    domain::{MAX_LINES, Parcel, Refusal},
};

/// The role that sees everybody's shipments.
const ADMIN: &str = "admin";

/// The user whose shipments alone the caller may see; `None` for an administrator
/// and for a process that the contract admits without a user.
pub(super) fn only_of() -> Option<String> {
    let caller = mesh::call::caller();
    let admin = caller.has_role(ADMIN);
    caller.user.filter(|_| !admin).map(|user| user.name())
}

/// What is to be packed. The contract has checked each field by itself, but the
/// fields that a tombstone lacks may be empty there.
pub(super) fn parcel(wanted: proto::Shipment) -> Result<Parcel, Status> {
    let mut violations = Vec::new();
    let mut require = |holds: bool, path: &str, rule: &str, problem: &str| {
        if !holds {
            violations.push(field(path, rule, problem));
        }
    };
    require(!wanted.customer.is_empty(), "shipment.customer", "required", "must be given");
    require(wanted.address.is_some(), "shipment.address", "required", "must be given");
    let lines = 1..=MAX_LINES;
    let products: HashSet<_> = wanted.lines.iter().map(|line| &line.product).collect();
    let rule = "repeated.min_items";
    require(lines.contains(&wanted.lines.len()), "shipment.lines", rule, "must not be empty");
    let unique = products.len() == wanted.lines.len();
    require(unique, "shipment.lines", "repeated.unique", "must not name a product twice");
    if violations.is_empty() { Ok(wanted.into()) } else { Err(status::invalid(violations)) }
}

/// The table from errors to codes.
impl From<Error> for Status {
    fn from(error: Error) -> Self {
        let refusal = match error {
            Error::Store(error) => return error.into(),
            Error::Refused(refusal) => refusal,
        };
        let (code, reason) = match refusal {
            Refusal::Unknown => (Code::NotFound, "SHIPMENT_NOT_FOUND"),
            Refusal::Different => (Code::AlreadyExists, "SHIPMENT_EXISTS"),
            Refusal::NotServed => (Code::FailedPrecondition, "DESTINATION_NOT_SERVED"),
            Refusal::Cancelled => (Code::FailedPrecondition, "SHIPMENT_CANCELLED"),
            Refusal::HandedOver => (Code::FailedPrecondition, "SHIPMENT_HANDED_OVER"),
            Refusal::NotCustomer => (Code::PermissionDenied, "NOT_CUSTOMER"),
        };
        refuse(code, reason, refusal.to_string())
    }
}
