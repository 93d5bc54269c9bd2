//! Money and times as they stand in events.

use durable::time;
use prost_types::Timestamp;
use titan::money::v1::Money as Wire;

use crate::domain::{Currency, Micros, Money};

pub(super) fn from_money(money: &Money) -> Option<Wire> {
    let currency_code = money.currency().as_str().to_owned();
    Some(Wire { currency_code, minor_units: money.units() })
}

/// `None` for what was never written.
pub(super) fn money(wire: Option<Wire>) -> Option<Money> {
    let Wire { currency_code, minor_units } = wire?;
    Money::new(minor_units, Currency::new(currency_code))
}

/// The epoch when it is missing, which no event of ours is.
pub(super) fn micros(wire: Option<&Timestamp>) -> Micros {
    wire.and_then(time::from_proto).unwrap_or_default()
}
