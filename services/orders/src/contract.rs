//! Values of the domain as the contracts write them, both ways. What was stored
//! is read whatever it says; what callers send has been checked by its contract.

use titan::{money::v1 as money, orders::v1 as proto, shipping::v1 as shipping};

use crate::domain::{Address, Currency, Item, Money, Placed, ProductId, Reason, UserId};

impl From<Money> for money::Money {
    fn from(it: Money) -> Self {
        money::Money { currency_code: it.currency.to_string(), minor_units: it.units }
    }
}

impl From<money::Money> for Money {
    fn from(it: money::Money) -> Self {
        let currency = Currency::parse(&it.currency_code).unwrap_or(Currency::NONE);
        Money { currency, units: it.minor_units }
    }
}

impl From<Address> for shipping::Address {
    fn from(it: Address) -> Self {
        shipping::Address {
            recipient: it.recipient,
            address_lines: it.lines,
            postal_code: it.postal_code,
            locality: it.locality,
            region_code: it.region_code,
        }
    }
}

impl From<shipping::Address> for Address {
    fn from(it: shipping::Address) -> Self {
        Address {
            recipient: it.recipient,
            lines: it.address_lines,
            postal_code: it.postal_code,
            locality: it.locality,
            region_code: it.region_code,
        }
    }
}

impl From<Item> for proto::OrderLine {
    fn from(it: Item) -> Self {
        proto::OrderLine {
            product: it.product.to_string(),
            title: it.title,
            quantity: it.quantity,
            unit_price: Some(it.unit_price.into()),
            line_total: Some(it.line_total.into()),
        }
    }
}

impl From<proto::OrderLine> for Item {
    fn from(it: proto::OrderLine) -> Self {
        Item {
            product: ProductId::named(&it.product),
            title: it.title,
            quantity: it.quantity,
            unit_price: it.unit_price.unwrap_or_default().into(),
            line_total: it.line_total.unwrap_or_default().into(),
        }
    }
}

impl From<Item> for proto::Item {
    fn from(it: Item) -> Self {
        proto::Item {
            product: it.product.to_string(),
            title: it.title,
            quantity: it.quantity,
            unit_price: Some(it.unit_price.into()),
            line_total: Some(it.line_total.into()),
        }
    }
}

impl From<proto::OrderPlaced> for Placed {
    fn from(it: proto::OrderPlaced) -> Self {
        Placed {
            customer: UserId::named(&it.customer),
            items: it.lines.into_iter().map(Into::into).collect(),
            total: it.total.unwrap_or_default().into(),
            card: it.card,
            address: it.shipping_address.unwrap_or_default().into(),
        }
    }
}

/// Each reason under its number in the contract.
const REASONS: [(Reason, proto::CancelReason); 7] = [
    (Reason::Requested, proto::CancelReason::Requested),
    (Reason::ProductGone, proto::CancelReason::ProductGone),
    (Reason::PriceChanged, proto::CancelReason::PriceChanged),
    (Reason::OutOfStock, proto::CancelReason::OutOfStock),
    (Reason::PaymentDeclined, proto::CancelReason::PaymentDeclined),
    (Reason::Undeliverable, proto::CancelReason::Undeliverable),
    (Reason::Unavailable, proto::CancelReason::Unavailable),
];

impl From<Reason> for proto::CancelReason {
    fn from(reason: Reason) -> Self {
        REASONS.iter().find(|(it, _)| *it == reason).map_or(Self::Unspecified, |(_, name)| *name)
    }
}

impl From<proto::CancelReason> for Reason {
    fn from(name: proto::CancelReason) -> Self {
        let known = REASONS.iter().find(|(_, it)| *it == name);
        known.map_or(Reason::Unavailable, |(reason, _)| *reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_a_name_of_its_own() {
        for number in 1..=7 {
            let name = proto::CancelReason::try_from(number).unwrap();
            assert_eq!(proto::CancelReason::from(Reason::from(name)), name);
        }
        assert!(proto::CancelReason::try_from(8).is_err(), "a reason is missing from the table");
    }
}
