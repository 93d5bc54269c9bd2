//! JSON to protobuf: one pass over the text, and what is read is appended to the
//! message at once. Strict: a name that is not known, a field or key that comes
//! twice, and anything behind the value are refused.

mod any;
mod map;
mod message;
mod scalar;
mod text;
mod well_known;

use crate::{
    cursor::{Cursor, Read},
    error::{Fault, Problem},
    options::ReadOptions,
    program::{Field, Label, Programs},
};

pub(crate) use text::{append_text, takes_text};

/// How often its own length a text may be searched for late `@type`s of nested
/// `Any`s: without a bound each level would search all that is below it.
const ANY_SEARCHES: usize = 8;

/// Reads one text.
pub(crate) struct Reader<'a> {
    programs: &'a Programs,
    json: Cursor<'a>,
    out: &'a mut Vec<u8>,
    ignore_unknown: bool,
    /// Levels that may still be opened.
    depth: usize,
    /// Values that may still come.
    elements: usize,
    /// Where `out` has to end.
    out_end: usize,
    /// Bytes that may still be searched for `@type`.
    searches: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(
        programs: &'a Programs,
        text: &'a [u8],
        options: &ReadOptions,
        out: &'a mut Vec<u8>,
    ) -> Reader<'a> {
        let limits = options.limits;
        Reader {
            programs,
            json: Cursor::new(text),
            ignore_unknown: options.ignore_unknown,
            depth: limits.depth,
            elements: limits.elements,
            out_end: out.len().saturating_add(limits.output),
            searches: text.len().saturating_mul(ANY_SEARCHES),
            out,
        }
    }

    /// Reads the whole text as a message.
    pub(crate) fn whole_message(&mut self, message: u32) -> Read<()> {
        self.json.space();
        self.count()?;
        self.message(message)?;
        self.json.end()
    }

    /// Reads the whole text as the value of a field. Within a message `null` means
    /// that a field is absent; a text that says so of its only field is none.
    pub(crate) fn whole_field(&mut self, field: &'a Field) -> Read<()> {
        let is_single = matches!(field.label, Label::Implicit | Label::Explicit);
        if self.json.space() == b'n' && !(field.takes_null && is_single) {
            return Err(self.json.wants(Problem::Null));
        }
        self.member(field)?;
        self.json.end()
    }

    /// One more value.
    #[inline]
    fn count(&mut self) -> Read<()> {
        if self.elements == 0 {
            return Err(self.json.fault(Problem::ElementLimit));
        }
        self.elements -= 1;
        if self.out.len() > self.out_end {
            return Err(self.json.fault(Problem::OutputLimit));
        }
        Ok(())
    }

    /// Opens an object or array; [`Reader::leave`] when it was closed.
    #[inline]
    fn enter(&mut self, bracket: u8, otherwise: Problem) -> Read<()> {
        if self.json.space() != bracket {
            return Err(self.json.wants(otherwise));
        }
        if self.depth == 0 {
            return Err(self.json.fault(Problem::DepthLimit));
        }
        self.depth -= 1;
        self.json.at += 1;
        Ok(())
    }

    #[inline]
    fn leave(&mut self) {
        self.depth += 1;
    }

    #[cold]
    fn fault_at(&self, at: usize, problem: Problem) -> Fault<Problem> {
        Fault { problem, at }
    }
}
