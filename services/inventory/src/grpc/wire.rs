//! Between the wire and the domain: what a request must hold, and the one table
//! from errors to codes.

use std::collections::HashSet;

use mesh::{
    mask::Mask,
    status::{self, Violation, field, refuse, refuse_resource},
};
use prost_types::FieldMask;
use titan::{inventory::v1 as proto, money::v1::Money as WireMoney};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::{
    app::Error,
    domain::{
        Micros, Money, ProductId,
        product::{self, MAX_PRICE, MAX_TITLE_CHARS, Price, Revision, Title},
        reservation::{self, Line, MAX_LINES, Shortage, Wish},
    },
};

/// How long pieces are set aside when the caller does not say: longer than any
/// saga of the shop takes while its services are up.
const DEFAULT_TTL: Micros = 15 * 60 * 1_000_000;

/// Resource name of the user who calls.
pub(super) fn caller() -> Result<String, Status> {
    Ok(mesh::call::caller().user()?.name())
}

/// Title and price of a new product.
pub(super) fn offer(wanted: proto::Product) -> Result<(Title, Price), Status> {
    match (title(&wanted.title), price(wanted.price)) {
        (Ok(title), Ok(price)) => Ok((title, price)),
        (title, price) => {
            Err(status::invalid([title.err(), price.err()].into_iter().flatten().collect()))
        }
    }
}

fn title(text: &str) -> Result<Title, Violation> {
    let problem = format!("must be one line of 1 to {MAX_TITLE_CHARS} characters");
    Title::parse(text).ok_or_else(|| field("product.title", "string.pattern", problem))
}

fn price(price: Option<WireMoney>) -> Result<Price, Violation> {
    let price = price.ok_or_else(|| field("product.price", "required", "must be given"))?;
    let money = Money { currency: price.currency_code, minor: price.minor_units };
    let problem = format!("must be from 0 to {MAX_PRICE} minor units");
    Price::parse(money).ok_or_else(|| field("product.price.minor_units", "int64.gte_lte", problem))
}

/// The product that an update is for.
pub(super) fn product_in_body(name: &str) -> Result<ProductId, Status> {
    if name.is_empty() {
        let missing = field("product.name", "required", "must name the product to change");
        return Err(status::invalid(vec![missing]));
    }
    Ok(ProductId::named(name))
}

/// What an update changes.
pub(super) fn revision(
    wanted: proto::Product,
    mask: Option<&FieldMask>,
) -> Result<Revision, Status> {
    let (mask, mut violations) = Mask::read(mask, &["title", "price"]);
    let mut note = |violation| violations.push(violation);
    let new_title = mask.pick("title", wanted.title).map(|text| title(&text)).transpose();
    let title = new_title.map_err(&mut note).unwrap_or_default();
    let new_price = mask.pick("price", wanted.price).map(price).transpose();
    let price = new_price.map_err(&mut note).unwrap_or_default();
    if violations.is_empty() {
        Ok(Revision { title, price })
    } else {
        Err(status::invalid(violations))
    }
}

/// What is to be set aside, and until when. The contract has checked each field by
/// itself, but lines that a tombstone lacks may be missing there.
pub(super) fn hold(wanted: proto::Reservation, now: Micros) -> Result<Wish, Status> {
    let mut violations = Vec::new();
    let products: HashSet<_> = wanted.lines.iter().map(|line| &line.product).collect();
    if !(1..=MAX_LINES).contains(&wanted.lines.len()) {
        violations.push(field("reservation.lines", "repeated.min_items", "must not be empty"));
    }
    if products.len() < wanted.lines.len() {
        let problem = "must not name a product twice";
        violations.push(field("reservation.lines", "repeated.unique", problem));
    }
    if !violations.is_empty() {
        return Err(status::invalid(violations));
    }
    let ttl = wanted.ttl.map_or(DEFAULT_TTL, |ttl| {
        ttl.seconds.saturating_mul(1_000_000).saturating_add(i64::from(ttl.nanos / 1_000))
    });
    let line = |line: proto::ReservationLine| {
        let product = ProductId::named(&line.product);
        Line { product, quantity: line.quantity }
    };
    let lines = wanted.lines.into_iter().map(line).collect();
    Ok(Wish::Hold { lines, until: now.saturating_add(ttl) })
}

/// The table from errors to codes.
impl From<Error> for Status {
    fn from(error: Error) -> Self {
        match error {
            Error::Product(refusal) => of_product(&refusal),
            Error::Reservation(refusal) => of_reservation(&refusal),
            Error::Stock(too_many) => {
                refuse(Code::OutOfRange, "TOO_MANY_PIECES", too_many.to_string())
            }
            Error::Store(error) => error.into(),
        }
    }
}

fn of_product(refusal: &product::Refusal) -> Status {
    let message = refusal.to_string();
    match refusal {
        product::Refusal::Unknown(id) => {
            let (reason, kind) = ("PRODUCT_NOT_FOUND", "inventory.titan/Product");
            refuse_resource(Code::NotFound, reason, kind, id.as_str(), message)
        }
        product::Refusal::NotSeller => refuse(Code::PermissionDenied, "NOT_SELLER", message),
        product::Refusal::Stale => refuse(Code::Aborted, "ETAG_MISMATCH", message),
    }
}

fn of_reservation(refusal: &reservation::Refusal) -> Status {
    let (code, reason) = match refusal {
        reservation::Refusal::OutOfStock(short) => return out_of_stock(refusal, short),
        reservation::Refusal::Unknown => (Code::NotFound, "RESERVATION_NOT_FOUND"),
        reservation::Refusal::Different => (Code::AlreadyExists, "RESERVATION_EXISTS"),
        reservation::Refusal::Released => (Code::FailedPrecondition, "RESERVATION_RELEASED"),
        reservation::Refusal::Expired => (Code::FailedPrecondition, "RESERVATION_EXPIRED"),
        reservation::Refusal::Committed => (Code::FailedPrecondition, "RESERVATION_COMMITTED"),
    };
    refuse(code, reason, refusal.to_string())
}

/// FAILED_PRECONDITION with a violation for each product that is short.
fn out_of_stock(refusal: &reservation::Refusal, short: &[Shortage]) -> Status {
    let reason = "OUT_OF_STOCK";
    let plain = refuse(Code::FailedPrecondition, reason, refusal.to_string());
    let mut details = ErrorDetails::new();
    if let Some(info) = plain.get_details_error_info() {
        details.set_error_info(info.reason, info.domain, info.metadata);
    }
    for Shortage { product, wanted, available } in short {
        let problem = format!("{wanted} pieces were asked for, {available} can be reserved");
        details.add_precondition_failure_violation(reason, product.as_str(), problem);
    }
    Status::with_error_details(Code::FailedPrecondition, plain.message(), details)
}
