//! Amounts: whole minor units of a currency, never fractions.

use std::fmt;

/// A currency by its ISO 4217 code, such as `EUR`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Currency([u8; 3]);

impl Currency {
    /// ISO 4217's word for no currency at all.
    pub const NONE: Currency = Currency(*b"XXX");

    /// Reads a code of three upper-case letters.
    pub fn parse(code: &str) -> Option<Self> {
        let bytes: [u8; 3] = code.as_bytes().try_into().ok()?;
        bytes.iter().all(u8::is_ascii_uppercase).then_some(Currency(bytes))
    }

    /// The code.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("only ASCII letters were let in")
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An amount of a currency in its minor units: 1999 `EUR` is € 19.99.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Money {
    /// The currency.
    pub currency: Currency,
    /// Minor units.
    pub units: i64,
}

impl Money {
    /// So many times as much; `None` beyond 64 bits.
    pub fn times(self, quantity: i64) -> Option<Money> {
        Some(Money { units: self.units.checked_mul(quantity)?, ..self })
    }

    /// The sum; `None` beyond 64 bits, or for two currencies.
    pub fn plus(self, other: Money) -> Option<Money> {
        let units = self.units.checked_add(other.units)?;
        (self.currency == other.currency).then_some(Money { units, ..self })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn money(units: i64, code: &str) -> Money {
        Money { currency: Currency::parse(code).unwrap(), units }
    }

    #[test]
    fn a_currency_is_three_upper_case_letters() {
        assert_eq!(Currency::parse("EUR").unwrap().as_str(), "EUR");
        for code in ["", "EU", "EURO", "eur", "E1R", "Ä€"] {
            assert_eq!(Currency::parse(code), None, "{code}");
        }
    }

    #[test]
    fn nothing_wraps_and_nothing_is_mixed() {
        assert_eq!(money(250, "EUR").times(3), Some(money(750, "EUR")));
        assert_eq!(money(250, "EUR").plus(money(50, "EUR")), Some(money(300, "EUR")));
        assert_eq!(money(i64::MAX, "EUR").times(2), None);
        assert_eq!(money(i64::MAX, "EUR").plus(money(1, "EUR")), None);
        assert_eq!(money(250, "EUR").plus(money(50, "USD")), None);
    }
}
