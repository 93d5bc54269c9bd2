//! W3C Trace Context: where a call stands in its trace, carried from hop to hop
//! whether or not anybody records it.

use std::fmt;

use http::{HeaderName, HeaderValue};

/// `traceparent`, level 1.
pub(crate) const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// `tracestate`, passed on as it came.
pub(crate) const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
/// W3C baggage, passed on as it came.
pub(crate) const BAGGAGE: HeaderName = HeaderName::from_static("baggage");

/// Longest `tracestate` or `baggage` that is passed on, in bytes; the
/// specifications ask for 512 and 8192 at least.
pub(crate) const MAX_PASSED_BYTES: usize = 8 * 1024;

/// A place in a trace.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Trace {
    /// The trace; never zero.
    pub(crate) id: u128,
    /// The span that the next one is a child of; never zero.
    pub(crate) span: u64,
    /// Whether the trace is recorded.
    pub(crate) sampled: bool,
}

impl Trace {
    /// The start of a new trace.
    pub(crate) fn root(sampled: bool) -> Self {
        Self { id: fastrand::u128(1..), span: fastrand::u64(1..), sampled }
    }

    /// The place of a request from outside: what its `traceparent` says, or the start
    /// of a new trace, which is recorded with this probability.
    #[must_use]
    pub fn of(given: Option<&HeaderValue>, ratio: f64) -> Self {
        let given = given.and_then(|given| Self::parse(given.as_bytes()));
        given.unwrap_or_else(|| Self::root(fastrand::f64() < ratio))
    }

    /// The id of the trace in hex, as logs show it.
    #[must_use]
    pub fn id(&self) -> HeaderValue {
        let mut text = [0; 32];
        write_hex(&mut text, &self.id.to_be_bytes());
        HeaderValue::from_bytes(&text).expect("hex is a header value")
    }

    /// Reads `traceparent`. A malformed one is treated as absent, as the
    /// specification demands (§3.2.2.3).
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        // A later version may append fields behind a dash; `ff` is forbidden.
        let known =
            text.len() == 55 || (text.len() > 55 && text[55] == b'-' && &text[..2] != b"00");
        if !known || text[2] != b'-' || text[35] != b'-' || text[52] != b'-' {
            return None;
        }
        let version = hex(&text[..2])?;
        let id = u128::from(hex(&text[3..19])?) << 64 | u128::from(hex(&text[19..35])?);
        let span = hex(&text[36..52])?;
        let flags = hex(&text[53..55])?;
        let valid = version != 0xff && id != 0 && span != 0;
        valid.then_some(Self { id, span, sampled: flags & 1 == 1 })
    }

    /// The `traceparent` header. Written by hand: this runs once for every call.
    #[must_use]
    pub fn header(&self) -> HeaderValue {
        let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
        write_hex(&mut text[3..35], &self.id.to_be_bytes());
        write_hex(&mut text[36..52], &self.span.to_be_bytes());
        text[54] += u8::from(self.sampled);
        HeaderValue::from_bytes(&text).expect("hex and dashes are a header value")
    }
}

/// Digits by their characters; what is none has bits above a digit's four. Lower
/// case only: upper case is malformed by the specification.
const DIGITS: [u8; 256] = {
    let mut digits = [0xff; 256];
    let mut value = 0;
    while value < 16 {
        digits[b"0123456789abcdef"[value as usize] as usize] = value;
        value += 1;
    }
    digits
};

/// The number that at most sixteen digits make. Read without a branch for each:
/// this runs for every call.
fn hex(digits: &[u8]) -> Option<u64> {
    let (mut number, mut seen) = (0, 0);
    for digit in digits {
        let value = DIGITS[usize::from(*digit)];
        seen |= value;
        number = number << 4 | u64::from(value & 0xf);
    }
    (seen <= 0xf).then_some(number)
}

/// Fills `text` with the digits of bytes, two for each.
fn write_hex(text: &mut [u8], bytes: &[u8]) {
    let (pairs, _) = text.as_chunks_mut::<2>();
    for (pair, byte) in pairs.iter_mut().zip(bytes) {
        let digit = |half: u8| b"0123456789abcdef"[usize::from(half)];
        *pair = [digit(byte >> 4), digit(byte & 0xf)];
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.id, self.span, u8::from(self.sampled))
    }
}

impl fmt::Debug for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_traceparent_survives_the_round_trip() {
        let trace = Trace::parse(EXAMPLE.as_bytes()).unwrap();
        assert!(trace.sampled);
        assert_eq!(trace.to_string(), EXAMPLE);
        assert_eq!(trace.header(), EXAMPLE);
        assert_eq!(Trace { sampled: false, ..trace }.header(), EXAMPLE.replace("-01", "-00"));
    }

    #[test]
    fn a_trace_is_continued_or_begun() {
        let of = |text: &str, ratio| Trace::of(Some(&HeaderValue::from_str(text).unwrap()), ratio);
        assert_eq!(of(EXAMPLE, 0.0).header(), EXAMPLE);
        assert_eq!(of(EXAMPLE, 0.0).id(), "4bf92f3577b34da6a3ce929d0e0e4736");
        for bad in ["", &EXAMPLE[..52], &EXAMPLE.to_uppercase()] {
            assert!(of(bad, 1.0).sampled && of(bad, 1.0) != of(bad, 1.0), "{bad}");
        }
        assert!(!Trace::of(None, 0.0).sampled);
    }

    #[test]
    fn what_the_specification_calls_malformed_is_ignored() {
        for text in [
            "",
            "00",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-extra",
            "00_4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7_01",
        ] {
            assert_eq!(Trace::parse(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn a_later_version_is_read_as_far_as_it_is_known() {
        let later = "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more";
        assert!(Trace::parse(later.as_bytes()).is_some());
    }
}
