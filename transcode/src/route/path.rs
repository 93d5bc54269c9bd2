//! A request's path, split and checked but not decoded. A path that two programs
//! could read in two ways is refused before any route is looked at.

use thiserror::Error;

use crate::percent::{self, Scope, is_unreserved};

/// Most segments in a path. Templates have fewer than 32; the tree's work grows
/// with the path, so a longer one is refused before it starts.
pub const MAX_SEGMENTS: usize = 64;

/// Longest path in bytes: what HTTP servers commonly take for a request line.
pub const MAX_BYTES: usize = 8 << 10;

/// Why a path is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PathError {
    /// It does not begin with a slash.
    #[error("the path does not begin with `/`")]
    Relative,
    /// A `%` without two hexadecimal digits.
    #[error("the path has a malformed percent code")]
    Code,
    /// What the codes stand for is not UTF-8.
    #[error("the path is not UTF-8")]
    Utf8,
    /// `.` or `..`, spelled out or encoded.
    #[error("the path has a dot segment")]
    Dots,
    /// A NUL byte, which other programs take for an end.
    #[error("the path has a NUL")]
    Nul,
    /// A space, a control character, `\`, `?` or `#`, which no path has unencoded.
    #[error("the path has a character that must be percent-encoded")]
    Character,
    /// More than 64 segments or 8 KiB.
    #[error("the path is too long")]
    TooLong,
}

/// The segments of a path as the client sent them.
#[derive(Clone, Copy, Debug)]
pub struct Path<'a> {
    raw: &'a str,
    /// Where each segment ends; the next begins one byte later.
    ends: [u16; MAX_SEGMENTS],
    len: usize,
    /// One bit for each segment that holds more than unreserved characters, and
    /// is therefore not compared byte by byte.
    odd: u64,
}

impl<'a> Path<'a> {
    /// Splits a raw path (without its query) at its slashes.
    ///
    /// # Errors
    /// When the path could be read in two ways by two programs; see [`PathError`].
    pub fn parse(raw: &'a str) -> Result<Path<'a>, PathError> {
        let bytes = raw.as_bytes();
        if bytes.first() != Some(&b'/') {
            return Err(PathError::Relative);
        }
        if bytes.len() > MAX_BYTES {
            return Err(PathError::TooLong);
        }
        let mut path = Path { raw, ends: [0; MAX_SEGMENTS], len: 0, odd: 0 };
        if bytes.len() == 1 {
            return Ok(path);
        }
        let (mut start, mut seen) = (1, 0);
        for (at, byte) in bytes.iter().enumerate().skip(1) {
            if *byte == b'/' {
                path.push(start, at, seen)?;
                (start, seen) = (at + 1, 0);
            } else {
                seen |= class(*byte);
            }
        }
        path.push(start, bytes.len(), seen)?;
        Ok(path)
    }

    /// How many segments there are; none in `/`.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether the path is `/`.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// A segment, raw.
    ///
    /// # Panics
    /// When there is no such segment.
    #[must_use]
    pub fn segment(&self, at: usize) -> &'a str {
        assert!(at < self.len, "segment {at} of {}", self.len);
        &self.raw[self.start(at)..usize::from(self.ends[at])]
    }

    /// Segments as they stand in the path, with the slashes between them.
    pub(super) fn slice(&self, from: usize, to: usize) -> &'a str {
        if from >= to { "" } else { &self.raw[self.start(from)..usize::from(self.ends[to - 1])] }
    }

    pub(super) fn is_odd(&self, at: usize) -> bool {
        self.odd >> at & 1 == 1
    }

    fn start(&self, at: usize) -> usize {
        at.checked_sub(1).map_or(1, |before| usize::from(self.ends[before]) + 1)
    }

    fn push(&mut self, start: usize, end: usize, seen: u8) -> Result<(), PathError> {
        if self.len == MAX_SEGMENTS {
            return Err(PathError::TooLong);
        }
        check(&self.raw[start..end], seen)?;
        self.odd |= u64::from(seen & (ODD | CODE) != 0) << self.len;
        self.ends[self.len] = u16::try_from(end).expect("a path is shorter than 64 KiB");
        self.len += 1;
        Ok(())
    }
}

/// A reserved character, or one that is not ASCII.
const ODD: u8 = 1;
/// A percent code.
const CODE: u8 = 2;
/// A dot: only a segment with one can be a dot segment.
const DOT: u8 = 4;
/// A character that must not be there.
const BAD: u8 = 8;

const CLASSES: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut classes = [ODD; 256];
    let mut byte = 0_u8;
    loop {
        classes[byte as usize] = match byte {
            b'%' => CODE,
            b'.' => DOT,
            0..=b' ' | 0x7f | b'\\' | b'?' | b'#' => BAD,
            byte if is_unreserved(byte) => 0,
            _ => ODD,
        };
        if byte == u8::MAX {
            return classes;
        }
        byte += 1;
    }
}

fn class(byte: u8) -> u8 {
    CLASSES[usize::from(byte)]
}

fn check(segment: &str, seen: u8) -> Result<(), PathError> {
    if seen & BAD != 0 {
        return Err(if segment.contains('\0') { PathError::Nul } else { PathError::Character });
    }
    if seen & CODE != 0 {
        return check_decoded(segment);
    }
    if seen & DOT != 0 && is_dots(segment) { Err(PathError::Dots) } else { Ok(()) }
}

fn check_decoded(segment: &str) -> Result<(), PathError> {
    let decoded = percent::decode(segment, Scope::Segment).map_err(|error| match error {
        percent::PercentError::Code => PathError::Code,
        percent::PercentError::Utf8 => PathError::Utf8,
    })?;
    if decoded.contains('\0') {
        return Err(PathError::Nul);
    }
    // An escaped slash may hide one: `..%2Fusers`; so may a backslash, which some
    // file systems take for a slash.
    if decoded.split(['/', '\\']).any(is_dots) { Err(PathError::Dots) } else { Ok(()) }
}

fn is_dots(segment: &str) -> bool {
    matches!(segment, "." | "..")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segments(raw: &str) -> Vec<&str> {
        let path = Path::parse(raw).unwrap();
        (0..path.len()).map(|at| path.segment(at)).collect()
    }

    #[test]
    fn a_path_is_split_but_not_decoded() {
        assert_eq!(segments("/v1/a%2Fb//c/"), ["v1", "a%2Fb", "", "c", ""]);
        assert!(Path::parse("/").unwrap().is_empty());
        assert_eq!(segments("//"), ["", ""]);
        let path = Path::parse("/v1/a/b").unwrap();
        assert_eq!([path.slice(1, 3), path.slice(0, 1), path.slice(3, 3)], ["a/b", "v1", ""]);
    }

    #[test]
    fn ambiguous_paths_are_refused() {
        let cases = [
            ("v1/a", PathError::Relative),
            ("", PathError::Relative),
            ("*", PathError::Relative),
            ("/v1/%", PathError::Code),
            ("/v1/%2", PathError::Code),
            ("/v1/%2/0", PathError::Code),
            ("/v1/%zz", PathError::Code),
            ("/v1/%ff", PathError::Utf8),
            ("/v1/%c3%28", PathError::Utf8),
            ("/v1/%c3/%a9", PathError::Utf8),
            ("/v1/.", PathError::Dots),
            ("/v1/../x", PathError::Dots),
            ("/v1/%2e%2E/x", PathError::Dots),
            ("/v1/.%2e", PathError::Dots),
            ("/v1/..%2fusers", PathError::Dots),
            ("/v1/a%2F..%2Fb", PathError::Dots),
            ("/v1/a%5C..%5Cb", PathError::Dots),
            ("/v1/a%00", PathError::Nul),
            ("/v1/a\0", PathError::Nul),
            ("/v1/a b", PathError::Character),
            ("/v1/a\\b", PathError::Character),
            ("/v1/a\n", PathError::Character),
            ("/v1/a?b", PathError::Character),
            ("/v1/a#b", PathError::Character),
        ];
        for (raw, expected) in cases {
            assert_eq!(Path::parse(raw).unwrap_err(), expected, "{raw:?}");
        }
    }

    #[test]
    fn long_paths_are_refused() {
        assert_eq!(Path::parse(&"/a".repeat(65)).unwrap_err(), PathError::TooLong);
        assert_eq!(Path::parse(&"/a".repeat(64)).unwrap().len(), 64);
        let long = "a".repeat(MAX_BYTES);
        assert_eq!(Path::parse(&format!("/{long}")).unwrap_err(), PathError::TooLong);
        assert!(Path::parse(&format!("/{}", &long[1..])).is_ok());
    }

    #[test]
    fn dots_inside_a_name_are_data() {
        for raw in ["/v1/...", "/v1/a..b", "/v1/.hidden", "/.well-known/x", "/v1/%2ehidden"] {
            assert!(Path::parse(raw).is_ok(), "{raw}");
        }
    }
}
