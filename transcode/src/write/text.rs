//! Strings as JSON has them (RFC 8259): checked to be UTF-8, copied in runs.

use super::{Printer, Written};
use crate::{error::WireProblem, wire::Wire};

const ONES: u64 = 0x0101_0101_0101_0101;
const SPACES: u64 = ONES * b' ' as u64;
const HIGHS: u64 = 0x8080_8080_8080_8080;
const HEX: &[u8; 16] = b"0123456789abcdef";

impl Printer<'_> {
    /// Prints a string in quotes.
    #[inline]
    pub(super) fn put_string(&mut self, content: Wire<'_>) -> Written {
        let bytes = content.bytes;
        self.out.push(b'"');
        if is_plain(bytes) {
            self.out.extend_from_slice(bytes);
        } else {
            if let Err(error) = std::str::from_utf8(bytes) {
                let mut content = content;
                content.at = error.valid_up_to();
                return Err(content.fault(WireProblem::Utf8).into());
            }
            escape(bytes, self.out);
        }
        self.out.push(b'"');
        Ok(())
    }
}

/// Whether all of it is ASCII that stands for itself.
#[inline]
fn is_plain(bytes: &[u8]) -> bool {
    let (words, rest) = bytes.as_chunks::<8>();
    let words = words.iter().map(|word| u64::from_le_bytes(*word));
    let odd = words.fold(0, |odd, word| odd | odd_bytes(word));
    // The end is looked at as a whole word too, together with what stands before it.
    let last = match bytes.last_chunk::<8>() {
        Some(last) => odd_bytes(u64::from_le_bytes(*last)),
        None => odd_bytes(rest.iter().fold(SPACES, |word, byte| word << 8 | u64::from(*byte))),
    };
    (odd | last) & HIGHS == 0
}

/// High bits where a byte is a quote, a backslash, a control character or not
/// ASCII; the other bits mean nothing. Borrows may mark more bytes than that, but
/// only where one is; and what a difference tells of a byte that is not ASCII does
/// not matter, since such a byte is marked in any case.
#[inline]
fn odd_bytes(word: u64) -> u64 {
    let quotes = (word ^ (ONES * b'"' as u64)).wrapping_sub(ONES);
    let slashes = (word ^ (ONES * b'\\' as u64)).wrapping_sub(ONES);
    let controls = word.wrapping_sub(SPACES);
    quotes | slashes | controls | word
}

/// Appends UTF-8 with escapes where JSON demands them.
fn escape(bytes: &[u8], out: &mut Vec<u8>) {
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|byte| matches!(byte, 0..0x20 | b'"' | b'\\')) {
        out.extend_from_slice(&rest[..at]);
        match rest[at] {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0x8 => out.extend_from_slice(b"\\b"),
            0xc => out.extend_from_slice(b"\\f"),
            byte => {
                let digits = [byte >> 4, byte & 0xf].map(|digit| HEX[usize::from(digit)]);
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(&digits);
            }
        }
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_odd_byte_is_found_at_every_place() {
        for len in 0..24 {
            for at in 0..=len {
                for byte in 0..=255_u8 {
                    let mut bytes = vec![b'x'; len];
                    bytes.insert(at, byte);
                    let is_plain_byte =
                        matches!(byte, b' '..=b'~' | 0x7f) && byte != b'"' && byte != b'\\';
                    assert_eq!(is_plain(&bytes), is_plain_byte, "{byte:#x} at {at} of {len}");
                }
            }
        }
    }

    #[test]
    fn escapes_are_those_of_json() {
        let mut out = Vec::new();
        escape("a\"\\\n\r\t\u{8}\u{c}\u{1}\u{1f}\u{7f}é\u{2028}".as_bytes(), &mut out);
        let expected = "a\\\"\\\\\\n\\r\\t\\b\\f\\u0001\\u001f\u{7f}é\u{2028}";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
