//! A place in a JSON text (RFC 8259): spaces, strings, literals, numbers, and how
//! to step over a value. Every byte that is stepped over is checked.

mod string;

pub(crate) use string::Text;

use crate::error::{Fault, Problem};

pub(crate) type Read<T> = Result<T, Fault<Problem>>;

/// Where a reader stands in a text.
#[derive(Clone, Debug)]
pub(crate) struct Cursor<'a> {
    pub(crate) text: &'a [u8],
    pub(crate) at: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(text: &'a [u8]) -> Cursor<'a> {
        Cursor { text, at: 0 }
    }

    /// The byte here; zero at the end, since JSON has no such byte.
    #[inline]
    pub(crate) fn peek(&self) -> u8 {
        self.text.get(self.at).copied().unwrap_or(0)
    }

    /// Steps over spaces; the byte behind them.
    #[inline]
    pub(crate) fn space(&mut self) -> u8 {
        loop {
            let byte = self.peek();
            if byte > b' ' || !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return byte;
            }
            self.at += 1;
        }
    }

    #[cold]
    pub(crate) fn fault(&self, problem: Problem) -> Fault<Problem> {
        Fault { problem, at: self.at }
    }

    /// For something else than the grammar has here.
    #[cold]
    pub(crate) fn unexpected(&self) -> Fault<Problem> {
        let problem = if self.at >= self.text.len() { Problem::End } else { Problem::Syntax };
        self.fault(problem)
    }

    /// For a value of another type than the field takes, if it is a value at all.
    #[cold]
    pub(crate) fn wants(&self, problem: Problem) -> Fault<Problem> {
        match self.peek() {
            b'n' if self.text[self.at..].starts_with(b"null") => self.fault(Problem::Null),
            b'{' | b'[' | b'"' | b'-' | b'0'..=b'9' | b't' | b'f' => self.fault(problem),
            _ => self.unexpected(),
        }
    }

    /// Steps over one byte of the grammar, and spaces before it.
    #[inline]
    pub(crate) fn expect(&mut self, byte: u8) -> Read<()> {
        if self.space() != byte {
            return Err(self.unexpected());
        }
        self.at += 1;
        Ok(())
    }

    /// Between two members: whether another one follows.
    #[inline]
    pub(crate) fn more(&mut self, end: u8) -> Read<bool> {
        let byte = self.space();
        if byte != b',' && byte != end {
            return Err(self.unexpected());
        }
        self.at += 1;
        Ok(byte == b',')
    }

    /// Behind an opening bracket: whether it is closed at once.
    #[inline]
    pub(crate) fn is_empty(&mut self, end: u8) -> bool {
        let is_empty = self.space() == end;
        if is_empty {
            self.at += 1;
        }
        is_empty
    }

    /// Steps over `true`, `false` or `null`.
    #[inline]
    pub(crate) fn literal(&mut self, literal: &[u8]) -> Read<()> {
        if !self.text[self.at..].starts_with(literal) {
            return Err(self.unexpected());
        }
        self.at += literal.len();
        Ok(())
    }

    /// Steps over a number; its text.
    pub(crate) fn number(&mut self) -> Read<&'a [u8]> {
        let start = self.at;
        if self.peek() == b'-' {
            self.at += 1;
        }
        match self.peek() {
            b'0' => self.at += 1,
            b'1'..=b'9' => self.digits()?,
            _ => return Err(self.unexpected()),
        }
        if self.peek() == b'.' {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), b'e' | b'E') {
            self.at += 1;
            if matches!(self.peek(), b'+' | b'-') {
                self.at += 1;
            }
            self.digits()?;
        }
        if self.peek().is_ascii_digit() {
            return Err(self.unexpected());
        }
        Ok(&self.text[start..self.at])
    }

    fn digits(&mut self) -> Read<()> {
        if !self.peek().is_ascii_digit() {
            return Err(self.unexpected());
        }
        while self.peek().is_ascii_digit() {
            self.at += 1;
        }
        Ok(())
    }

    /// Steps over a value of any type, at most `depth` levels deep.
    pub(crate) fn skip(&mut self, depth: usize) -> Read<()> {
        match self.space() {
            b'{' | b'[' if depth == 0 => Err(self.fault(Problem::DepthLimit)),
            b'{' => {
                self.at += 1;
                let mut more = !self.is_empty(b'}');
                while more {
                    self.space();
                    self.string()?;
                    self.expect(b':')?;
                    self.skip(depth - 1)?;
                    more = self.more(b'}')?;
                }
                Ok(())
            }
            b'[' => {
                self.at += 1;
                let mut more = !self.is_empty(b']');
                while more {
                    self.skip(depth - 1)?;
                    more = self.more(b']')?;
                }
                Ok(())
            }
            b'"' => self.string().map(drop),
            b't' => self.literal(b"true"),
            b'f' => self.literal(b"false"),
            b'n' => self.literal(b"null"),
            _ => self.number().map(drop),
        }
    }

    /// At the end of the text, but for spaces.
    pub(crate) fn end(&mut self) -> Read<()> {
        self.space();
        if self.at < self.text.len() {
            return Err(self.fault(Problem::Trailing));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn skipped(text: &[u8]) -> Result<(), Problem> {
        let mut cursor = Cursor::new(text);
        cursor.skip(3).and_then(|()| cursor.end()).map_err(|fault| fault.problem)
    }

    #[test]
    fn json_is_stepped_over() {
        for text in [
            r#" {"a": [1, -2, 1.5e-7, "x", null, true, {"b": 0}], "c":{}, "d" : [ ] } "#,
            "0",
            "-0.0E+9",
            "\"\\u00e9\\ud83d\\ude00\\/\"",
            "\"é😀\"",
        ] {
            assert_eq!(skipped(text.as_bytes()), Ok(()), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused_where_it_stands() {
        use Problem as P;
        for (text, at, problem) in [
            (&b""[..], 0, P::End),
            (b"{", 1, P::End),
            (b"{\"a\"", 4, P::End),
            (b"{}{}", 2, P::Trailing),
            (b"{'a':1}", 1, P::Syntax),
            (b"{\"a\":1,}", 7, P::Syntax),
            (b"[1,]", 3, P::Syntax),
            (b"[1 2]", 3, P::Syntax),
            (b"01", 1, P::Syntax),
            (b"+1", 0, P::Syntax),
            (b"1.", 2, P::End),
            (b".5", 0, P::Syntax),
            (b"1e", 2, P::End),
            (b"-", 1, P::End),
            (b"NaN", 0, P::Syntax),
            (b"tru", 0, P::Syntax),
            (b"\"a", 2, P::End),
            (b"\"\x01\"", 1, P::Control),
            (b"\"\\x\"", 1, P::Escape),
            (b"\"\\u12g4\"", 1, P::Escape),
            (b"\"a\\ud800\"", 2, P::Surrogate),
            (b"\"\\udc00\"", 1, P::Surrogate),
            (b"\"\\ud800\\u0041\"", 1, P::Surrogate),
            (b"\"a\xff\"", 2, P::Utf8),
            (b"\"\xed\xa0\x80\"", 1, P::Utf8),
            (b"\xef\xbb\xbf{}", 0, P::Syntax),
            (b"[[[[]]]]", 3, P::DepthLimit),
        ] {
            let mut cursor = Cursor::new(text);
            let fault = cursor.skip(3).and_then(|()| cursor.end()).unwrap_err();
            let text = String::from_utf8_lossy(text);
            assert_eq!((fault.problem, fault.at), (problem, at), "{text}");
        }
    }
}
