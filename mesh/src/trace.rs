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
        write_hex(&mut text, self.id);
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
        let version = byte(&text[..2])?;
        let id = hex(&text[3..35])?;
        let span = u64::try_from(hex(&text[36..52])?).ok()?;
        let flags = byte(&text[53..55])?;
        let valid = version != 0xff && id != 0 && span != 0;
        valid.then_some(Self { id, span, sampled: flags & 1 == 1 })
    }

    /// The `traceparent` header. Written by hand: this runs once for every call.
    #[must_use]
    pub fn header(&self) -> HeaderValue {
        let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
        write_hex(&mut text[3..35], self.id);
        write_hex(&mut text[36..52], self.span.into());
        text[54] += u8::from(self.sampled);
        HeaderValue::from_bytes(&text).expect("hex and dashes are a header value")
    }
}

/// One in each byte of a word.
const EACH: u64 = 0x0101_0101_0101_0101;

/// A number in eight digits of lower case. Written in one word, without a branch or
/// a table: this runs six times for every call.
fn digits(number: u32) -> [u8; 8] {
    let mut word = u64::from(number);
    word = (word << 16 | word) & 0x0000_ffff_0000_ffff;
    word = (word << 8 | word) & 0x00ff_00ff_00ff_00ff;
    word = (word << 4 | word) & 0x0f0f_0f0f_0f0f_0f0f;
    ascii(word).to_be_bytes()
}

/// The characters of digits that have a byte each.
fn ascii(digits: u64) -> u64 {
    let letters = (digits + 6 * EACH) >> 4 & EACH;
    digits + u64::from(b'0') * EACH + u64::from(b'a' - b'9' - 1) * letters
}

/// The number in eight digits, as [`digits`] writes it: upper case is malformed by
/// the specification.
fn number(text: [u8; 8]) -> Option<u32> {
    let text = u64::from_be_bytes(text);
    let letters = text >> 6 & EACH;
    let mut word = (text & (0xf * EACH)) + 9 * letters;
    let valid = word & (0xf0 * EACH) == 0 && ascii(word) == text;
    word = (word >> 4 | word) & 0x00ff_00ff_00ff_00ff;
    word = (word >> 8 | word) & 0x0000_ffff_0000_ffff;
    u32::try_from((word >> 16 | word) & 0xffff_ffff).ok().filter(|_| valid)
}

/// The number in any multiple of eight digits.
fn hex(text: &[u8]) -> Option<u128> {
    let (words, _) = text.as_chunks::<8>();
    words.iter().try_fold(0, |all, word| Some(all << 32 | u128::from(number(*word)?)))
}

/// The number in two digits.
fn byte(text: &[u8]) -> Option<u32> {
    number([b'0', b'0', b'0', b'0', b'0', b'0', text[0], text[1]])
}

/// Fills `text` with the digits of a number, from the last one on.
fn write_hex(text: &mut [u8], mut number: u128) {
    let (words, _) = text.as_chunks_mut::<8>();
    for word in words.iter_mut().rev() {
        #[expect(clippy::cast_possible_truncation, reason = "32 bits at a time")]
        let low = number as u32;
        *word = digits(low);
        number >>= 32;
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
    use proptest::prelude::*;

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

    proptest! {
        #[test]
        fn digits_are_those_of_the_standard_library(value: u32) {
            prop_assert_eq!(digits(value).to_vec(), format!("{value:08x}").into_bytes());
            prop_assert_eq!(number(digits(value)), Some(value));
        }

        #[test]
        fn one_character_that_is_no_digit_is_found(value: u32, at in 0_usize..8, other: u8) {
            let mut text = digits(value);
            text[at] = other;
            let expected = other.is_ascii_digit() || (b'a'..=b'f').contains(&other);
            prop_assert_eq!(number(text).is_some(), expected);
        }
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
