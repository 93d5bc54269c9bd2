//! Percent codes (RFC 3986 §2.1): how they are checked and read, once, and after
//! a path or a query has been split, so that a code never becomes a separator.

use std::borrow::Cow;

use thiserror::Error;

/// What is wrong with an encoded text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PercentError {
    /// A `%` that two hexadecimal digits do not follow.
    #[error("has a malformed percent code")]
    Code,
    /// What the codes stand for is not UTF-8.
    #[error("is not UTF-8")]
    Utf8,
}

/// What decoding leaves as it is, or reads in another way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// A variable of one segment, or a literal: every code is decoded.
    Segment,
    /// A variable of several segments: `%2F` stays as the client wrote it, since
    /// decoding it would make one segment two (google/api/http.proto).
    Segments,
    /// A name or value of a query: `+` is a space, as in forms.
    Query,
}

/// Decodes a text; one without codes is returned as it is.
///
/// # Errors
/// When a code is malformed, or the result is not UTF-8.
pub fn decode(text: &str, scope: Scope) -> Result<Cow<'_, str>, PercentError> {
    let special = |byte: u8| byte == b'%' || (byte == b'+' && scope == Scope::Query);
    let Some(first) = text.bytes().position(special) else { return Ok(Cow::Borrowed(text)) };
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    decoded.extend_from_slice(&bytes[..first]);
    let mut at = first;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'%' => {
                let code = code(bytes, at).ok_or(PercentError::Code)?;
                if code == b'/' && scope == Scope::Segments {
                    decoded.extend_from_slice(&bytes[at..at + 3]);
                } else {
                    decoded.push(code);
                }
                at += 2;
            }
            b'+' if scope == Scope::Query => decoded.push(b' '),
            byte => decoded.push(byte),
        }
        at += 1;
    }
    String::from_utf8(decoded).map(Cow::Owned).map_err(|_| PercentError::Utf8)
}

/// Appends a text with every byte encoded but the unreserved ones
/// (`[-_.~0-9a-zA-Z]`) and, in a variable of several segments, the slash: what a
/// client does when it expands a template.
pub(crate) fn encode_into(encoded: &mut String, text: &str, scope: Scope) {
    for byte in text.bytes() {
        if is_unreserved(byte) || (byte == b'/' && scope == Scope::Segments) {
            encoded.push(char::from(byte));
        } else {
            push_code(encoded, byte);
        }
    }
}

/// The form in which a literal and a segment are compared: everything but
/// unreserved characters is encoded ("if the literal contains any reserved
/// character, such characters should be percent-encoded before the matching"),
/// codes are in upper case (RFC 3986 §6.2.2.1). A code that needed none is not
/// decoded: routing sees the bytes that a policy in front of it saw.
pub(crate) fn canonical_bytes(text: &str) -> impl Iterator<Item = u8> {
    let mut digits = 0;
    text.bytes().flat_map(move |byte| {
        let (one, count) = match byte {
            byte if digits > 0 => ([byte.to_ascii_uppercase(), 0, 0], 1),
            b'%' => ([byte, 0, 0], 1),
            byte if is_unreserved(byte) => ([byte, 0, 0], 1),
            byte => ([b'%', digit(byte >> 4), digit(byte & 15)], 3),
        };
        digits = if byte == b'%' && digits == 0 { 2 } else { u8::saturating_sub(digits, 1) };
        one.into_iter().take(count)
    })
}

/// RFC 3986 §2.3.
pub(crate) const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// The byte that the code at `at` stands for.
pub(crate) fn code(bytes: &[u8], at: usize) -> Option<u8> {
    let value = |at: usize| match bytes.get(at)? {
        digit @ b'0'..=b'9' => Some(digit - b'0'),
        digit @ b'a'..=b'f' => Some(digit - b'a' + 10),
        digit @ b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    };
    Some(value(at + 1)? << 4 | value(at + 2)?)
}

fn push_code(encoded: &mut String, byte: u8) {
    encoded.push('%');
    encoded.push(char::from(digit(byte >> 4)));
    encoded.push(char::from(digit(byte & 15)));
}

const fn digit(value: u8) -> u8 {
    b"0123456789ABCDEF"[value as usize]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_decoded_once() {
        let cases = [
            ("plain", Scope::Segment, "plain"),
            ("a%2Fb%20c%252F", Scope::Segment, "a/b c%2F"),
            ("x/a%2Fb%20c/%2f%41%252F", Scope::Segments, "x/a%2Fb c/%2fA%2F"),
            ("a+b", Scope::Segment, "a+b"),
            ("a+b%2B", Scope::Query, "a b+"),
            ("%E2%82%AC", Scope::Segment, "€"),
            ("%e2%82%ac", Scope::Query, "€"),
        ];
        for (text, scope, expected) in cases {
            assert_eq!(decode(text, scope).unwrap(), expected, "{text}");
        }
        assert!(matches!(decode("plain", Scope::Query).unwrap(), Cow::Borrowed(_)));
    }

    #[test]
    fn what_cannot_be_decoded_is_refused() {
        for text in ["%", "%2", "%zz", "%2g", "a%", "%%41", "%+1"] {
            assert_eq!(decode(text, Scope::Segment), Err(PercentError::Code), "{text}");
        }
        for text in ["%ff", "%c3%28", "%ed%a0%80", "%c0%af"] {
            assert_eq!(decode(text, Scope::Segments), Err(PercentError::Utf8), "{text}");
        }
    }

    #[test]
    fn texts_are_compared_with_reserved_characters_encoded_and_codes_in_upper_case() {
        let cases = [
            ("shelves", "shelves"),
            ("a,b", "a%2Cb"),
            ("a%2cb", "a%2Cb"),
            ("é", "%C3%A9"),
            ("%c3%a9", "%C3%A9"),
            ("%73", "%73"),
            ("%%", "%%"),
        ];
        for (text, expected) in cases {
            let canonical: String = canonical_bytes(text).map(char::from).collect();
            assert_eq!(canonical, expected, "{text}");
        }
    }

    #[test]
    fn what_is_encoded_is_decoded_to_the_same() {
        for text in ["", "a/b c", "%2F", "100%", "é€😀", "a+b&c=d", ":.~_-"] {
            let mut encoded = String::new();
            encode_into(&mut encoded, text, Scope::Segment);
            assert_eq!(decode(&encoded, Scope::Segment).unwrap(), text);
            assert_eq!(decode(&encoded, Scope::Query).unwrap(), text);
        }
    }
}
