//! A product: what it is called, what it costs, and who may say so.

use super::{Micros, Money, ProductId};

/// Most characters of a title, white space around it not counted.
pub const MAX_TITLE_CHARS: usize = 200;

/// The dearest piece, in minor units: an order of a hundred lines of ten of the
/// dearest products still fits into an amount of 2^53.
pub const MAX_PRICE: i64 = 1_000_000_000_000;

/// One line of 1 to [`MAX_TITLE_CHARS`] characters, without white space around it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Title(String);

impl Title {
    /// Trims and checks what a user typed; `None` when it is no title.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let one_line =
            !text.chars().any(|c| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}'));
        let fits = (1..=MAX_TITLE_CHARS).contains(&text.chars().count());
        (one_line && fits).then(|| Self(text.to_owned()))
    }

    /// A title as it was stored; the rules of today do not apply to it.
    #[must_use]
    pub fn stored(text: String) -> Self {
        Self(text)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What one piece costs: not negative, at most [`MAX_PRICE`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Price(Money);

impl Price {
    /// Checks an amount; `None` when it is no price.
    #[must_use]
    pub fn parse(money: Money) -> Option<Self> {
        (0..=MAX_PRICE).contains(&money.minor).then_some(Self(money))
    }

    /// A price as it was stored; the rules of today do not apply to it.
    #[must_use]
    pub fn stored(money: Money) -> Self {
        Self(money)
    }

    /// The amount.
    #[must_use]
    pub fn money(&self) -> &Money {
        &self.0
    }
}

/// Something that is sold by the piece.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Product {
    /// Its name.
    pub id: ProductId,
    /// What it is called.
    pub title: Title,
    /// What one piece costs.
    pub price: Price,
    /// Resource name of the user who sells it, and alone may change it.
    pub seller: String,
    /// When it was first offered.
    pub created: Micros,
    /// When it last changed; grows strictly with every change.
    pub updated: Micros,
    /// Counts its states; the first is 1.
    pub version: i64,
}

/// New values; what is `None` stays.
#[derive(Clone, Debug, Default)]
pub struct Revision {
    /// The title.
    pub title: Option<Title>,
    /// The price.
    pub price: Option<Price>,
}

/// Why a product was not found or did not change.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no such product.
    #[error("there is no {0}")]
    Unknown(ProductId),
    /// Somebody else's product.
    #[error("only its seller may change a product or its stock")]
    NotSeller,
    /// The caller has seen an older state.
    #[error("the product has changed since it was read")]
    Stale,
}

impl Product {
    /// A new product.
    #[must_use]
    pub fn offer(id: ProductId, title: Title, price: Price, seller: String, at: Micros) -> Self {
        Product { id, title, price, seller, created: at, updated: at, version: 1 }
    }

    /// Gives it new values; whether anything is new. The state that the caller has
    /// seen counts only when something is: a call repeated after its answer was
    /// lost finds the product as it wants it.
    ///
    /// # Errors
    /// Why not; nothing has changed.
    pub fn revise(
        &mut self,
        to: Revision,
        by: &str,
        seen: &str,
        at: Micros,
    ) -> Result<bool, Refusal> {
        if by != self.seller {
            return Err(Refusal::NotSeller);
        }
        let title = to.title.unwrap_or_else(|| self.title.clone());
        let price = to.price.unwrap_or_else(|| self.price.clone());
        if title == self.title && price == self.price {
            return Ok(false);
        }
        if !seen.is_empty() && seen != self.etag() {
            return Err(Refusal::Stale);
        }
        (self.title, self.price) = (title, price);
        self.version += 1;
        self.updated = at.max(self.updated + 1);
        Ok(true)
    }

    /// Stands for the present state. Opaque to users.
    #[must_use]
    pub fn etag(&self) -> String {
        self.version.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_are_one_line_and_prices_are_not_negative() {
        for (text, right) in [(" Tea ", true), ("", false), ("two\nlines", false)] {
            assert_eq!(Title::parse(text).is_some(), right, "{text:?}");
        }
        assert!(Title::parse(&"ä".repeat(MAX_TITLE_CHARS + 1)).is_none());
        for (minor, right) in [(0, true), (MAX_PRICE, true), (-1, false), (MAX_PRICE + 1, false)] {
            let money = Money { currency: "EUR".into(), minor };
            assert_eq!(Price::parse(money).is_some(), right, "{minor}");
        }
    }
}
