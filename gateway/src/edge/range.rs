//! Parts of a download (RFC 9110 §14): one range of bytes. Several at once would
//! cost more than they save, and may be ignored (§14.2).

use std::ops::Range;

use http::{HeaderMap, HeaderValue, header};

/// What of a representation is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// All of it: nothing else was asked for, or nothing that is understood.
    All,
    /// These bytes; never none.
    Part(Range<u64>),
    /// Bytes that it does not have: 416.
    Outside,
}

/// What a request asks of a representation of this length and tag. `If-Range`
/// counts with a strong tag only; a date says too little to join two parts by.
pub(super) fn asked(request: &HeaderMap, length: u64, tag: Option<&HeaderValue>) -> Asked {
    let mut values = request.get_all(header::RANGE).iter();
    let (Some(range), None) = (values.next(), values.next()) else { return Asked::All };
    if let Some(known) = request.get(header::IF_RANGE) {
        let strong = tag.filter(|tag| !tag.as_bytes().starts_with(b"W/"));
        if strong != Some(known) {
            return Asked::All;
        }
    }
    range.to_str().ok().and_then(|range| parse(range, length)).unwrap_or(Asked::All)
}

/// `bytes=0-9`, `bytes=10-`, `bytes=-5`; nothing for what is not one such range.
fn parse(text: &str, length: u64) -> Option<Asked> {
    let (unit, range) = text.split_once('=')?;
    if !unit.eq_ignore_ascii_case("bytes") {
        return None;
    }
    let (first, last) = range.trim().split_once('-')?;
    let part = match (number(first)?, number(last)?) {
        (Some(first), Some(last)) if last < first => return None,
        (Some(first), Some(last)) => first..last.saturating_add(1).min(length),
        (Some(first), None) => first..length,
        (None, Some(suffix)) => length.saturating_sub(suffix)..length,
        (None, None) => return None,
    };
    Some(if part.start < part.end { Asked::Part(part) } else { Asked::Outside })
}

/// A number that is not there is no mistake; one that is too long is more than any
/// length.
fn number(text: &str) -> Option<Option<u64>> {
    if text.is_empty() {
        return Some(None);
    }
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| Some(text.parse().unwrap_or(u64::MAX)))
}

/// `Content-Range` of a part, or of none.
pub(super) fn content_range(part: Option<&Range<u64>>, length: u64) -> HeaderValue {
    let text = match part {
        Some(part) => format!("bytes {}-{}/{length}", part.start, part.end - 1),
        None => format!("bytes */{length}"),
    };
    HeaderValue::from_str(&text).expect("numbers are a header value")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&'static str, &str)], tag: &str) -> Asked {
        let pairs = pairs.iter().map(|(name, value)| (*name, value.parse().unwrap()));
        let headers = pairs.map(|(name, value)| (header::HeaderName::from_static(name), value));
        let tag = (!tag.is_empty()).then(|| HeaderValue::from_str(tag).unwrap());
        asked(&headers.collect(), 10, tag.as_ref())
    }

    #[test]
    fn one_range_is_a_part() {
        for (text, part) in [
            ("bytes=0-0", 0..1),
            ("bytes=2-4", 2..5),
            ("Bytes= 2-4", 2..5),
            ("bytes=2-", 2..10),
            ("bytes=9-99999999999999999999999", 9..10),
            ("bytes=-3", 7..10),
            ("bytes=-99", 0..10),
        ] {
            assert_eq!(of(&[("range", text)], ""), Asked::Part(part), "{text}");
        }
        assert_eq!(content_range(Some(&(2..5)), 10), "bytes 2-4/10");
    }

    #[test]
    fn what_is_not_there_is_outside() {
        for text in ["bytes=10-", "bytes=10-12", "bytes=-0", "bytes=99999999999999999999-"] {
            assert_eq!(of(&[("range", text)], ""), Asked::Outside, "{text}");
        }
        assert_eq!(content_range(None, 10), "bytes */10");
    }

    #[test]
    fn what_is_no_range_of_bytes_asks_for_all() {
        for text in
            ["", "bytes", "bytes=", "bytes=-", "bytes=4-2", "bytes=a-", "bytes=+1-2", "lines=1-2"]
        {
            assert_eq!(of(&[("range", text)], ""), Asked::All, "{text}");
        }
        assert_eq!(of(&[("range", "bytes=0-1,4-5")], ""), Asked::All);
        assert_eq!(of(&[("range", "bytes=0-1"), ("range", "bytes=4-5")], ""), Asked::All);
    }

    #[test]
    fn a_part_is_joined_only_to_what_it_is_a_part_of() {
        let range = ("range", "bytes=0-1");
        assert_eq!(of(&[range, ("if-range", "\"7\"")], "\"7\""), Asked::Part(0..2));
        for (known, tag) in [
            ("\"8\"", "\"7\""),
            ("\"7\"", ""),
            ("W/\"7\"", "W/\"7\""),
            ("Sun, 22 Nov 2026 10:00:00 GMT", "\"7\""),
        ] {
            assert_eq!(of(&[range, ("if-range", known)], tag), Asked::All, "{known} {tag}");
        }
    }
}
