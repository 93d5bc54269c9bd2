//! A request's path, split and checked but not decoded; and the decoding of what
//! a template captured (google/api/http.proto, "Path template syntax").

use percent_encoding::percent_decode_str;
use thiserror::Error;

/// Most segments in a path. Real templates have fewer than 16; the tree's work
/// grows with the path, so a longer one is refused before it starts.
const MAX_SEGMENTS: usize = 64;

/// Why a path is refused before any route is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PathError {
    /// It does not begin with a slash.
    #[error("the path does not begin with `/`")]
    Relative,
    /// A `%` without two hexadecimal digits.
    #[error("the path has a malformed percent escape")]
    Escape,
    /// What the escapes stand for is not UTF-8.
    #[error("the path is not UTF-8")]
    Utf8,
    /// `.` or `..`, spelled out or escaped.
    #[error("the path has a dot segment")]
    Dots,
    /// A NUL byte, which other programs take for an end.
    #[error("the path has a NUL")]
    Nul,
    /// More than 64 segments.
    #[error("the path has more than {MAX_SEGMENTS} segments")]
    TooLong,
}

/// The segments of a path as the client sent them.
#[derive(Debug)]
pub struct Path<'a> {
    segments: Vec<&'a str>,
}

impl<'a> Path<'a> {
    /// Splits a raw path (without its query) at its slashes.
    ///
    /// # Errors
    /// When the path could be read in two ways by two programs; see [`PathError`].
    pub fn parse(raw: &'a str) -> Result<Path<'a>, PathError> {
        let rest = raw.strip_prefix('/').ok_or(PathError::Relative)?;
        if rest.is_empty() {
            return Ok(Path { segments: Vec::new() });
        }
        let mut segments = Vec::with_capacity(8);
        for segment in rest.split('/') {
            if segments.len() == MAX_SEGMENTS {
                return Err(PathError::TooLong);
            }
            check(segment)?;
            segments.push(segment);
        }
        Ok(Path { segments })
    }

    /// The segments, raw.
    #[must_use]
    pub fn segments(&self) -> &[&'a str] {
        &self.segments
    }
}

fn check(segment: &str) -> Result<(), PathError> {
    // The common case holds none of these and needs no decoding.
    if segment.contains('\0') {
        return Err(PathError::Nul);
    }
    if !segment.contains('%') {
        return if matches!(segment, "." | "..") { Err(PathError::Dots) } else { Ok(()) };
    }
    if !escapes_are_whole(segment) {
        return Err(PathError::Escape);
    }
    let decoded = percent_decode_str(segment).decode_utf8().map_err(|_| PathError::Utf8)?;
    if decoded.contains('\0') {
        return Err(PathError::Nul);
    }
    // An escaped slash may hide one: `..%2Fusers`.
    if decoded.split('/').any(|part| matches!(part, "." | "..")) {
        return Err(PathError::Dots);
    }
    Ok(())
}

/// Whether every `%` is followed by two hexadecimal digits.
pub(crate) fn escapes_are_whole(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.iter().enumerate().filter(|(_, byte)| **byte == b'%').all(|(at, _)| {
        bytes.get(at + 1..at + 3).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit))
    })
}

/// What a variable of exactly one segment captured: every escape is decoded.
#[must_use]
pub fn decode_single(segment: &str) -> String {
    percent_decode_str(segment).decode_utf8_lossy().into_owned()
}

/// What a variable of several segments captured: every escape is decoded but
/// `%2F`, which stays as the client wrote it, since decoding it would make one
/// segment two.
#[must_use]
pub fn decode_multi(segments: &str) -> String {
    let mut decoded = String::with_capacity(segments.len());
    let mut rest = segments;
    while let Some(at) = find_escaped_slash(rest) {
        decoded.push_str(&decode_single(&rest[..at]));
        decoded.push_str(&rest[at..at + 3]);
        rest = &rest[at + 3..];
    }
    decoded.push_str(&decode_single(rest));
    decoded
}

fn find_escaped_slash(text: &str) -> Option<usize> {
    text.as_bytes().windows(3).position(|window| window.eq_ignore_ascii_case(b"%2f"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_split_but_not_decoded() {
        let path = Path::parse("/v1/a%2Fb//c/").unwrap();
        assert_eq!(path.segments(), ["v1", "a%2Fb", "", "c", ""]);
        assert!(Path::parse("/").unwrap().segments().is_empty());
    }

    #[test]
    fn ambiguous_paths_are_refused() {
        let cases = [
            ("v1/a", PathError::Relative),
            ("", PathError::Relative),
            ("/v1/%", PathError::Escape),
            ("/v1/%2", PathError::Escape),
            ("/v1/%zz", PathError::Escape),
            ("/v1/%ff", PathError::Utf8),
            ("/v1/%c3%28", PathError::Utf8),
            ("/v1/.", PathError::Dots),
            ("/v1/../x", PathError::Dots),
            ("/v1/%2e%2E/x", PathError::Dots),
            ("/v1/.%2e", PathError::Dots),
            ("/v1/..%2fusers", PathError::Dots),
            ("/v1/a%2F..%2Fb", PathError::Dots),
            ("/v1/a%00", PathError::Nul),
            ("/v1/a\0", PathError::Nul),
        ];
        for (raw, expected) in cases {
            assert_eq!(Path::parse(raw).unwrap_err(), expected, "{raw:?}");
        }
        assert_eq!(Path::parse(&"/a".repeat(65)).unwrap_err(), PathError::TooLong);
    }

    #[test]
    fn dots_inside_a_name_are_data() {
        for raw in ["/v1/...", "/v1/a..b", "/v1/.hidden", "/.well-known/x", "/v1/%2ehidden"] {
            assert!(Path::parse(raw).is_ok(), "{raw}");
        }
    }

    #[test]
    fn one_segment_is_decoded_whole_and_several_keep_their_escaped_slashes() {
        assert_eq!(decode_single("a%2Fb%20c%252F"), "a/b c%2F");
        assert_eq!(decode_multi("x/a%2Fb%20c/%2f%41%252F"), "x/a%2Fb c/%2fA%2F");
        assert_eq!(decode_single("a+b"), "a+b");
        assert_eq!(decode_single("%E2%82%AC"), "€");
    }
}
