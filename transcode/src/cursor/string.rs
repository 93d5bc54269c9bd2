//! Strings: found eight bytes at a time, checked once (UTF-8, escapes), and
//! copied as they stand where there is no escape.

use std::borrow::Cow;

use super::{Cursor, Read};
use crate::error::{Fault, Problem};

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// What stands between the quotes, checked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Text<'a> {
    pub(crate) raw: &'a [u8],
    pub(crate) is_escaped: bool,
}

impl<'a> Text<'a> {
    /// The bytes that it means.
    pub(crate) fn content(&self) -> Cow<'a, [u8]> {
        if !self.is_escaped {
            return Cow::Borrowed(self.raw);
        }
        let mut content = Vec::with_capacity(self.raw.len());
        self.unescape(&mut content);
        Cow::Owned(content)
    }

    /// Appends the bytes that it means.
    pub(crate) fn unescape(&self, out: &mut Vec<u8>) {
        let mut rest = self.raw;
        while let Some(at) = rest.iter().position(|byte| *byte == b'\\') {
            out.extend_from_slice(&rest[..at]);
            let (character, len) = escape(&rest[at..]).expect("checked when it was found");
            out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            rest = &rest[at + len..];
        }
        out.extend_from_slice(rest);
    }
}

impl<'a> Cursor<'a> {
    /// Steps over a string.
    #[inline]
    pub(crate) fn string(&mut self) -> Read<Text<'a>> {
        if self.peek() != b'"' {
            return Err(self.wants(Problem::WantsString));
        }
        let start = self.at + 1;
        let (mut at, mut high) = (start, 0);
        // Most strings are plain: one run up to the quote.
        while let Some(word) = self.text[at..].first_chunk::<8>() {
            let word = u64::from_le_bytes(*word);
            let stops = stops(word);
            if stops != 0 {
                let len = stops.trailing_zeros() / 8;
                // Of this word only what stands before the stop belongs to it.
                high |= word & (1_u64 << (8 * len)).wrapping_sub(1);
                at += len as usize;
                break;
            }
            high |= word;
            at += 8;
        }
        if self.text.get(at) == Some(&b'"') && high & HIGHS == 0 {
            self.at = at + 1;
            return Ok(Text { raw: &self.text[start..at], is_escaped: false });
        }
        self.odd_string(start, at)
    }

    /// A string with an escape or other than ASCII, or near the end of the text;
    /// nothing before `at` needs a look but for UTF-8.
    fn odd_string(&mut self, start: usize, mut at: usize) -> Read<Text<'a>> {
        let mut is_escaped = false;
        loop {
            match self.text.get(at) {
                Some(b'"') => break,
                Some(b'\\') => {
                    is_escaped = true;
                    let escape = escape(&self.text[at..]);
                    at += escape.map_err(|problem| Fault { problem, at })?.1;
                }
                Some(0..0x20) => return Err(Fault { problem: Problem::Control, at }),
                Some(_) => at = self.run(at + 1),
                None => return Err(Fault { problem: Problem::End, at: self.text.len() }),
            }
        }
        let raw = &self.text[start..at];
        if let Err(error) = std::str::from_utf8(raw) {
            return Err(Fault { problem: Problem::Utf8, at: start + error.valid_up_to() });
        }
        self.at = at + 1;
        Ok(Text { raw, is_escaped })
    }

    /// The next byte that is not simply copied.
    fn run(&self, mut at: usize) -> usize {
        while let Some(word) = self.text[at..].first_chunk::<8>() {
            let stops = stops(u64::from_le_bytes(*word));
            if stops != 0 {
                return at + stops.trailing_zeros() as usize / 8;
            }
            at += 8;
        }
        let tail = self.text[at..].iter();
        at + tail.take_while(|byte| !matches!(byte, 0..0x20 | b'"' | b'\\')).count()
    }
}

/// The high bit of each byte that is a quote, a backslash or a control
/// character. Only the lowest one is exact: a borrow may mark bytes above it.
#[inline]
fn stops(word: u64) -> u64 {
    let zeros = |word: u64| word.wrapping_sub(ONES) & !word;
    let quotes = zeros(word ^ (ONES * b'"' as u64));
    let slashes = zeros(word ^ (ONES * b'\\' as u64));
    let controls = word.wrapping_sub(ONES * 0x20) & !word;
    (quotes | slashes | controls) & HIGHS
}

/// The character of the escape at the beginning, and how long that is.
fn escape(text: &[u8]) -> Result<(char, usize), Problem> {
    let character = match text.get(1).ok_or(Problem::End)? {
        b'"' => '"',
        b'\\' => '\\',
        b'/' => '/',
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => return unicode(text),
        _ => return Err(Problem::Escape),
    };
    Ok((character, 2))
}

fn unicode(text: &[u8]) -> Result<(char, usize), Problem> {
    let first = hex(&text[2..])?;
    if let Some(character) = char::from_u32(first) {
        return Ok((character, 6));
    }
    let second = match text.get(6..8) {
        Some(b"\\u") if first < 0xdc00 => hex(&text[8..])?,
        _ => return Err(Problem::Surrogate),
    };
    if !(0xdc00..0xe000).contains(&second) {
        return Err(Problem::Surrogate);
    }
    let code = 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00);
    char::from_u32(code).map(|character| (character, 12)).ok_or(Problem::Surrogate)
}

fn hex(text: &[u8]) -> Result<u32, Problem> {
    let digits = text.get(..4).ok_or(Problem::Escape)?;
    digits.iter().try_fold(0, |code, digit| {
        let digit = char::from(*digit).to_digit(16).ok_or(Problem::Escape)?;
        Ok(code << 4 | digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_is_what_the_escapes_mean() {
        let text = r#""a\"\\\/\b\f\n\r\t\u0041\u00e9\ud83d\ude00é😀 and a long tail without any""#;
        let mut cursor = Cursor::new(text.as_bytes());
        let content = cursor.string().unwrap().content();
        let expected = "a\"\\/\u{8}\u{c}\n\r\tAé😀é😀 and a long tail without any";
        assert_eq!(String::from_utf8(content.into_owned()).unwrap(), expected);
        assert_eq!(cursor.at, text.len());
    }

    #[test]
    fn every_stop_is_found_at_every_place() {
        for len in 0..40 {
            for stop in (0..0x20).chain([b'\\']) {
                let mut text = vec![b'x'; len];
                text.insert(0, b'"');
                text.push(stop);
                text.extend_from_slice(b"padding that is long enough for words\"");
                let fault = Cursor::new(&text).string().unwrap_err();
                assert_eq!(fault.at, len + 1, "{stop:#x} behind {len}");
            }
            for filler in [b' ', b'!', b'#', b'[', b']', b'~', 0x7f] {
                let text = [b"\"", vec![filler; len].as_slice(), b"\"\"\\\x01        "].concat();
                let raw = Cursor::new(&text).string().unwrap().raw;
                assert_eq!(raw.len(), len, "{filler:#x}");
            }
        }
    }
}
