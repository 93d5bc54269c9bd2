//! Names of products, stock and reservations.

use std::fmt;

use uuid::Uuid;

/// Names a product; written as `products/{uuid}`, and its stock as `stock/{uuid}`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProductId(String);

impl ProductId {
    /// The product of this unique id.
    #[must_use]
    pub fn new(id: Uuid) -> Self {
        Self(format!("products/{}", id.hyphenated()))
    }

    /// A resource name, as it was stored or has passed the contract's rules.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self(name.to_owned())
    }

    /// The product that `stock/{product}` counts.
    #[must_use]
    pub fn of_stock(name: &str) -> Self {
        Self(format!("products/{}", name.trim_start_matches("stock/")))
    }

    /// Resource name of its stock.
    #[must_use]
    pub fn stock(&self) -> String {
        format!("stock/{}", self.0.trim_start_matches("products/"))
    }

    /// The resource name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ProductId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Names a reservation; written as `reservations/{id}`. The id is the caller's
/// choice.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ReservationId(String);

impl ReservationId {
    /// The reservation of this id.
    #[must_use]
    pub fn new(id: &str) -> Self {
        Self(format!("reservations/{id}"))
    }

    /// A resource name, as it was stored or has passed the contract's rules.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self(name.to_owned())
    }

    /// The resource name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
