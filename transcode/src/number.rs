//! Numbers as text: integers exactly, whatever notation ProtoJSON allows for
//! them, and floating-point numbers rounded once.

use crate::{cursor::Cursor, error::Problem, program::Kind};

/// A whole number of up to 64 bits and its sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Integer {
    pub(crate) is_negative: bool,
    pub(crate) magnitude: u64,
}

/// Exponents beyond this mean zero, a fraction, or out of range for any length
/// of text within the limits.
const MAX_EXPONENT: i64 = 1 << 40;

/// Reads `-?[0-9]+`, as in keys, paths and queries.
pub(crate) fn decimal(text: &[u8]) -> Result<Integer, Problem> {
    let (is_negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    if digits.is_empty() {
        return Err(Problem::NotInteger);
    }
    let magnitude = digits.iter().try_fold(0_u64, |magnitude, digit| {
        if !digit.is_ascii_digit() {
            return Err(Problem::NotInteger);
        }
        push(magnitude, *digit)
    })?;
    Ok(Integer { is_negative, magnitude })
}

fn push(magnitude: u64, digit: u8) -> Result<u64, Problem> {
    let magnitude = magnitude.checked_mul(10);
    magnitude.and_then(|all| all.checked_add(u64::from(digit - b'0'))).ok_or(Problem::Range)
}

/// The integer that a JSON number is, exactly: `1e3` and `1.50e1` are integers,
/// and `9223372036854775807.0` is not rounded.
pub(crate) fn exact(number: &[u8]) -> Result<Integer, Problem> {
    let (is_negative, number) = match number {
        [b'-', number @ ..] => (true, number),
        number => (false, number),
    };
    let exponent_at = number.iter().position(|byte| matches!(byte, b'e' | b'E'));
    let (mantissa, exponent) = match exponent_at {
        Some(at) => (&number[..at], exponent(&number[at + 1..])),
        None => (number, 0),
    };
    let point = mantissa.iter().position(|byte| *byte == b'.').unwrap_or(mantissa.len());
    let fraction = i64::try_from(mantissa.len().saturating_sub(point + 1)).unwrap_or(MAX_EXPONENT);
    let digits = mantissa.iter().filter(|byte| **byte != b'.');
    let zeros = digits.clone().rev().take_while(|digit| **digit == b'0').count();
    let significant = digits.clone().count() - zeros;
    let magnitude = digits.take(significant).try_fold(0, |all, digit| push(all, *digit));
    // A number of more digits than fit has a fraction, or is out of range.
    let scale = exponent - fraction + i64::try_from(zeros).unwrap_or(MAX_EXPONENT);
    if significant == 0 {
        return Ok(Integer { is_negative, magnitude: 0 });
    }
    if scale < 0 {
        return Err(Problem::NotInteger);
    }
    let scale = u32::try_from(scale).map_err(|_| Problem::Range)?;
    let power = 10_u64.checked_pow(scale).ok_or(Problem::Range)?;
    let magnitude = magnitude?.checked_mul(power).ok_or(Problem::Range)?;
    Ok(Integer { is_negative, magnitude })
}

fn exponent(text: &[u8]) -> i64 {
    let (sign, digits) = match text {
        [b'-', digits @ ..] => (-1, digits),
        [b'+', digits @ ..] => (1, digits),
        digits => (1, digits),
    };
    let size = digits
        .iter()
        .fold(0_i64, |size, digit| (size * 10 + i64::from(digit - b'0')).min(MAX_EXPONENT));
    sign * size
}

/// Whether a text is one JSON number and nothing else.
pub(crate) fn is_number(text: &[u8]) -> bool {
    let mut cursor = Cursor::new(text);
    cursor.number().is_ok() && cursor.at == text.len()
}

impl Integer {
    /// As the bits that a kind encodes.
    #[inline]
    pub(crate) fn bits(self, kind: Kind) -> Result<u64, Problem> {
        match kind {
            Kind::Int64 | Kind::Sfixed64 => self.signed().map(i64::cast_unsigned),
            Kind::Sint64 => self.signed().map(zigzag),
            Kind::Uint64 | Kind::Fixed64 => self.unsigned(),
            Kind::Uint32 | Kind::Fixed32 => {
                u32::try_from(self.unsigned()?).map(u64::from).map_err(|_| Problem::Range)
            }
            Kind::Sint32 => self.narrow().map(|number| zigzag(number.into())),
            Kind::Sfixed32 => self.narrow().map(|number| number.cast_unsigned().into()),
            _ => self.narrow().map(|number| i64::from(number).cast_unsigned()),
        }
    }

    fn signed(self) -> Result<i64, Problem> {
        let number = 0_i64.checked_add_unsigned(self.magnitude);
        match (self.is_negative, number) {
            (false, Some(number)) => Ok(number),
            (true, Some(number)) => Ok(-number),
            (true, None) if self.magnitude == i64::MIN.unsigned_abs() => Ok(i64::MIN),
            _ => Err(Problem::Range),
        }
    }

    fn narrow(self) -> Result<i32, Problem> {
        i32::try_from(self.signed()?).map_err(|_| Problem::Range)
    }

    fn unsigned(self) -> Result<u64, Problem> {
        // -0 is zero.
        if self.is_negative && self.magnitude != 0 {
            Err(Problem::Range)
        } else {
            Ok(self.magnitude)
        }
    }
}

#[inline]
fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)).cast_unsigned()
}

/// A floating-point number as the bits that its kind encodes, from a JSON number.
pub(crate) fn float(kind: Kind, number: &[u8]) -> Result<u64, Problem> {
    let number = std::str::from_utf8(number).map_err(|_| Problem::NotNumber)?;
    match kind {
        Kind::Float => {
            let number: f32 = number.parse().map_err(|_| Problem::NotNumber)?;
            if number.is_finite() { Ok(number.to_bits().into()) } else { Err(Problem::Range) }
        }
        _ => {
            let number: f64 = number.parse().map_err(|_| Problem::NotNumber)?;
            if number.is_finite() { Ok(number.to_bits()) } else { Err(Problem::Range) }
        }
    }
}

/// As [`float`], from a string: also the numbers that JSON does not have.
pub(crate) fn float_text(kind: Kind, text: &[u8]) -> Result<u64, Problem> {
    let special = match text {
        b"NaN" => f64::NAN,
        b"Infinity" => f64::INFINITY,
        b"-Infinity" => f64::NEG_INFINITY,
        _ if is_number(text) => return float(kind, text),
        _ => return Err(Problem::NotNumber),
    };
    Ok(match kind {
        #[allow(clippy::cast_possible_truncation, reason = "these three exist in both")]
        Kind::Float => (special as f32).to_bits().into(),
        _ => special.to_bits(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_exact_in_every_notation() {
        for (text, expected) in [
            ("0", Ok(0)),
            ("-0", Ok(0)),
            ("1e3", Ok(1000)),
            ("1.50e1", Ok(15)),
            ("100000.000", Ok(100_000)),
            ("1200e-2", Ok(12)),
            ("0e999999999999999999999", Ok(0)),
            ("0.0", Ok(0)),
            ("2.147483647e9", Ok(2_147_483_647)),
            ("9223372036854775807.0", Ok(i64::MAX)),
            ("-9223372036854775808", Ok(i64::MIN)),
            ("-9.223372036854775808e18", Ok(i64::MIN)),
            ("9223372036854775808", Err(Problem::Range)),
            ("1e19", Err(Problem::Range)),
            ("1e99999999999999999999", Err(Problem::Range)),
            ("1.5", Err(Problem::NotInteger)),
            ("1e-1", Err(Problem::NotInteger)),
            ("1e-99999999999999999999", Err(Problem::NotInteger)),
            ("0.000000000000000000000000001", Err(Problem::NotInteger)),
        ] {
            let bits = exact(text.as_bytes()).and_then(|number| number.bits(Kind::Int64));
            assert_eq!(bits.map(u64::cast_signed), expected, "{text}");
        }
        assert_eq!(exact(b"18446744073709551615").unwrap().bits(Kind::Uint64), Ok(u64::MAX));
        assert_eq!(exact(b"18446744073709551616"), Err(Problem::Range));
    }

    #[test]
    fn kinds_have_their_ranges_and_encodings() {
        for (kind, text, expected) in [
            (Kind::Int32, "-1", Ok(u64::MAX)),
            (Kind::Int32, "2147483648", Err(Problem::Range)),
            (Kind::Sint32, "-2147483648", Ok(0xffff_ffff)),
            (Kind::Sint64, "-1", Ok(1)),
            (Kind::Sfixed32, "-1", Ok(0xffff_ffff)),
            (Kind::Uint32, "4294967295", Ok(0xffff_ffff)),
            (Kind::Uint32, "4294967296", Err(Problem::Range)),
            (Kind::Uint64, "-1", Err(Problem::Range)),
            (Kind::Fixed32, "-0", Ok(0)),
            (Kind::Int32, "", Err(Problem::NotInteger)),
            (Kind::Int32, "-", Err(Problem::NotInteger)),
            (Kind::Int32, "+1", Err(Problem::NotInteger)),
            (Kind::Int32, " 1", Err(Problem::NotInteger)),
            (Kind::Int32, "010", Ok(10)),
        ] {
            let bits = decimal(text.as_bytes()).and_then(|number| number.bits(kind));
            assert_eq!(bits, expected, "{kind:?} {text:?}");
        }
    }

    #[test]
    fn floats_are_rounded_once_and_never_become_infinite() {
        assert_eq!(float(Kind::Double, b"1e400"), Err(Problem::Range));
        assert_eq!(float(Kind::Float, b"3.5e38"), Err(Problem::Range));
        assert_eq!(float(Kind::Double, b"-0"), Ok((-0.0_f64).to_bits()));
        assert_eq!(float(Kind::Float, b"0.1"), Ok(0.1_f32.to_bits().into()));
        assert_eq!(float_text(Kind::Float, b"-Infinity"), Ok(f32::NEG_INFINITY.to_bits().into()));
        for text in ["inf", "nan", "infinity", "+1", "1.", ".5", "", " 1", "0x1", "1 "] {
            assert_eq!(
                float_text(Kind::Double, text.as_bytes()),
                Err(Problem::NotNumber),
                "{text}"
            );
        }
    }
}
