//! The names of things: ids that cannot be mixed up, and etags.

use std::fmt;

use uuid::Uuid;

/// Names an order; written as `orders/{uuid}`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OrderId(String);

impl OrderId {
    /// The order of this unique id.
    pub fn new(id: Uuid) -> Self {
        OrderId(format!("orders/{}", id.hyphenated()))
    }

    /// A name as it was stored.
    pub fn stored(name: String) -> Self {
        OrderId(name)
    }

    /// Reads a resource name; `None` when no order can bear it. Only the
    /// canonical spelling is read, so that an order has exactly one name.
    pub fn parse(name: &str) -> Option<Self> {
        let id = Uuid::try_parse(name.strip_prefix("orders/")?).ok()?;
        Some(OrderId::new(id)).filter(|id| id.as_str() == name)
    }

    /// The resource name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The bare id: what the resources that belong to the order are named by.
    pub fn bare(&self) -> &str {
        self.0.strip_prefix("orders/").unwrap_or(&self.0)
    }
}

impl fmt::Display for OrderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Names a product; written as `products/{product}`. Its form is the business of
/// the inventory service.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ProductId(String);

impl ProductId {
    /// The product of a resource name whose form the contract has checked.
    pub fn named(name: &str) -> Self {
        ProductId(name.to_owned())
    }

    /// The resource name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ProductId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Names a user; written as `users/{user}`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct UserId(String);

impl UserId {
    /// The user of this id, as a token tells it.
    pub fn new(id: &str) -> Self {
        UserId(format!("users/{id}"))
    }

    /// The user of a resource name.
    pub fn named(name: &str) -> Self {
        UserId(name.to_owned())
    }

    /// The resource name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Stands for one state of an order. Opaque to users.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Etag(String);

impl Etag {
    /// The etag of the state after so many events.
    pub fn of(version: i64) -> Self {
        Etag(version.to_string())
    }

    /// What a caller sent; `None` when they left it out.
    pub fn given(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| Etag(text.to_owned()))
    }
}

impl fmt::Display for Etag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_has_exactly_one_name() {
        let id = OrderId::new(Uuid::from_u128(0xab));
        assert_eq!(OrderId::parse(id.as_str()), Some(id.clone()));
        assert_eq!(id.bare(), "00000000-0000-0000-0000-0000000000ab");
        for name in [
            "",
            "orders/",
            "orders/first",
            "products/00000000-0000-0000-0000-0000000000ab",
            "orders/000000000000000000000000000000ab",
            "orders/00000000-0000-0000-0000-0000000000AB",
        ] {
            assert_eq!(OrderId::parse(name), None, "{name:?}");
        }
    }
}
