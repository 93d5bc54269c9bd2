//! The `grpc-timeout` header: a relative time on the wire, a monotonic instant
//! within a process (gRPC over HTTP/2, "Timeout").

use std::{cell::RefCell, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue};

/// The header.
pub const HEADER: HeaderName = HeaderName::from_static("grpc-timeout");

/// The time a call is allowed by its header: `None` without one.
///
/// # Errors
/// A value that is not 1 to 8 digits and a unit.
pub fn parse(headers: &HeaderMap) -> Result<Option<Duration>, InvalidTimeout> {
    headers.get(&HEADER).map(read).transpose()
}

/// The time in the header's value.
pub(crate) fn read(value: &HeaderValue) -> Result<Duration, InvalidTimeout> {
    let [digits @ .., unit] = value.as_bytes() else {
        return Err(InvalidTimeout);
    };
    if digits.is_empty() || digits.len() > 8 || !digits.iter().all(u8::is_ascii_digit) {
        return Err(InvalidTimeout);
    }
    let number = digits.iter().fold(0_u64, |sum, digit| sum * 10 + u64::from(digit - b'0'));
    match unit {
        b'H' => Ok(Duration::from_secs(number * 3_600)),
        b'M' => Ok(Duration::from_secs(number * 60)),
        b'S' => Ok(Duration::from_secs(number)),
        b'm' => Ok(Duration::from_millis(number)),
        b'u' => Ok(Duration::from_micros(number)),
        b'n' => Ok(Duration::from_nanos(number)),
        _ => Err(InvalidTimeout),
    }
}

/// The header's value in the finest unit that its eight digits hold, rounded
/// down so that no hop gains time.
#[must_use]
pub fn format(timeout: Duration) -> HeaderValue {
    const MOST: u128 = 99_999_999;
    let units: [(u128, u8); 5] = [
        (timeout.as_micros(), b'u'),
        (timeout.as_millis(), b'm'),
        (u128::from(timeout.as_secs()), b'S'),
        (u128::from(timeout.as_secs() / 60), b'M'),
        (u128::from(timeout.as_secs() / 3_600), b'H'),
    ];
    let (number, unit) =
        units.into_iter().find(|(number, _)| *number <= MOST).unwrap_or((MOST, b'H'));

    // Formatted by hand: this runs once for every call.
    let mut text = [0_u8; 9];
    let mut at = text.len() - 1;
    text[at] = unit;
    let mut rest = number;
    loop {
        at -= 1;
        text[at] = b'0' + u8::try_from(rest % 10).expect("a digit fits");
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    HeaderValue::from_bytes(&text[at..]).expect("digits and a letter are a header value")
}

/// Values that a thread keeps: one for each step of the deadlines that its calls
/// have in common, which are few.
const KEPT: usize = 16;

thread_local! {
    static RECENT: RefCell<[(u64, HeaderValue); KEPT]> =
        const { RefCell::new([const { (0, HeaderValue::from_static("0u")) }; KEPT]) };
}

/// The header's value for a time that is left, with less than a hundredth of it
/// kept back: calls with the same contract then send the same value, which is
/// neither written anew nor sent in full (HPACK's table has it), and the answer
/// of a server that runs out of time comes before its caller gives up.
pub(crate) fn passed_on(left: Duration) -> HeaderValue {
    let micros = coarse(u64::try_from(left.as_micros()).unwrap_or(u64::MAX));
    // Fibonacci hashing: neighbouring steps get slots of their own.
    let slot = (micros.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 60) as usize;
    RECENT.with_borrow_mut(|recent| {
        let (kept, value) = &mut recent[slot];
        if *kept != micros {
            (*kept, *value) = (micros, format(Duration::from_micros(micros)));
        }
        value.clone()
    })
}

/// The leading eight bits of a number.
fn coarse(number: u64) -> u64 {
    let rest = (u64::BITS - number.leading_zeros()).saturating_sub(8);
    number >> rest << rest
}

/// The header is not what the specification says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("grpc-timeout must be 1 to 8 digits and one of H, M, S, m, u, n")]
pub struct InvalidTimeout;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse_text(text: &str) -> Result<Option<Duration>, InvalidTimeout> {
        let mut headers = HeaderMap::new();
        headers.insert(HEADER, HeaderValue::from_str(text).unwrap());
        parse(&headers)
    }

    #[test]
    fn the_header_is_read_strictly() {
        for (text, expected) in [
            ("1H", Ok(Some(Duration::from_secs(3_600)))),
            ("2M", Ok(Some(Duration::from_secs(120)))),
            ("99999999S", Ok(Some(Duration::from_secs(99_999_999)))),
            ("250m", Ok(Some(Duration::from_millis(250)))),
            ("1u", Ok(Some(Duration::from_micros(1)))),
            ("0n", Ok(Some(Duration::ZERO))),
            ("", Err(InvalidTimeout)),
            ("S", Err(InvalidTimeout)),
            ("100000000S", Err(InvalidTimeout)),
            ("-1S", Err(InvalidTimeout)),
            ("1 S", Err(InvalidTimeout)),
            ("1s", Err(InvalidTimeout)),
        ] {
            assert_eq!(parse_text(text), expected, "{text}");
        }
        assert_eq!(parse(&HeaderMap::new()), Ok(None));
    }

    proptest! {
        #[test]
        fn what_is_passed_on_is_the_time_left_but_for_a_hundredth(micros in 0_u64..99_000_000) {
            let left = Duration::from_micros(micros);
            let value = passed_on(left);
            let passed = parse_text(value.to_str().unwrap()).unwrap().unwrap();
            prop_assert!(passed <= left);
            prop_assert!(passed >= left.mul_f64(0.99));
            prop_assert_eq!(passed_on(left), value);
        }

        #[test]
        fn a_hop_never_gains_time(micros in 0_u64..u64::MAX / 2) {
            let timeout = Duration::from_micros(micros);
            let value = format(timeout);
            let back = parse_text(value.to_str().unwrap()).unwrap().unwrap();
            prop_assert!(back <= timeout);
            prop_assert!(timeout < Duration::from_secs(99) || timeout.as_secs_f64() - back.as_secs_f64() <= 3_600.0
                || timeout.as_secs() > 99_999_999 * 3_600);
        }
    }
}
