//! Money: whole minor units of a currency, never a fraction.

use std::fmt;

/// The most that an account holds and that moves at once, in minor units: the
/// largest number that every reader of JSON holds exactly.
pub const MAX_UNITS: i64 = (1 << 53) - 1;

/// A currency by its alphabetic code of ISO 4217. The contract says which there
/// are; here they are equal or not.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Currency(String);

impl Currency {
    /// The currency of a code.
    pub fn new(code: impl Into<String>) -> Self {
        Currency(code.into())
    }

    /// Its code.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An amount that moves: above zero and at most [`MAX_UNITS`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Money {
    units: i64,
    currency: Currency,
}

impl Money {
    /// So many minor units of a currency; `None` when that cannot move.
    pub fn new(units: i64, currency: Currency) -> Option<Self> {
        (1..=MAX_UNITS).contains(&units).then_some(Money { units, currency })
    }

    /// How many minor units.
    pub fn units(&self) -> i64 {
        self.units
    }

    /// Of which currency.
    pub fn currency(&self) -> &Currency {
        &self.currency
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_moves_is_above_zero_and_exact_in_json() {
        for (units, right) in
            [(1, true), (MAX_UNITS, true), (0, false), (-1, false), (MAX_UNITS + 1, false)]
        {
            assert_eq!(Money::new(units, Currency::new("EUR")).is_some(), right, "{units}");
        }
    }
}
