//! Single values that are no messages, from JSON.

use super::Reader;
use crate::{
    cursor::Read,
    error::Problem,
    number,
    program::{EnumTable, Kind},
    wire,
};

/// Digits that always fit 64 bits.
const SAFE_DIGITS: usize = 19;

impl Reader<'_> {
    /// Appends a string and its length.
    #[inline]
    pub(super) fn string(&mut self) -> Read<()> {
        let text = self.json.string()?;
        if text.is_escaped {
            let start = wire::open(self.out);
            text.unescape(self.out);
            wire::close(self.out, start);
        } else {
            wire::put_varint(self.out, text.raw.len() as u64);
            self.out.extend_from_slice(text.raw);
        }
        Ok(())
    }

    /// Appends bytes and their length.
    pub(super) fn bytes(&mut self) -> Read<()> {
        let at = self.json.at;
        let text = self.json.string()?;
        let start = wire::open(self.out);
        let decoded = crate::base64::decode(&text.content(), self.out);
        decoded.map_err(|problem| self.fault_at(at, problem))?;
        wire::close(self.out, start);
        Ok(())
    }

    /// Reads a number, a bool or an enum; nothing where an enum's name is not
    /// known and to be ignored.
    #[inline]
    pub(super) fn bits(&mut self, kind: Kind) -> Read<Option<u64>> {
        match kind {
            Kind::Bool => self.bool().map(Some),
            Kind::Double | Kind::Float => self.float(kind).map(Some),
            Kind::Enum(table) => {
                let programs = self.programs;
                self.enumerated(&programs.enums[table as usize])
            }
            _ => self.integer(kind).map(Some),
        }
    }

    fn bool(&mut self) -> Read<u64> {
        match self.json.peek() {
            b't' => self.json.literal(b"true").map(|()| 1),
            b'f' => self.json.literal(b"false").map(|()| 0),
            _ => Err(self.json.wants(Problem::WantsBool)),
        }
    }

    fn integer(&mut self, kind: Kind) -> Read<u64> {
        let at = self.json.at;
        let number = match self.json.peek() {
            b'"' => {
                let content = self.json.string()?.content();
                quoted_integer(&content)
            }
            b'-' | b'0'..=b'9' => {
                let number = self.json.number()?;
                plain_or_exact(number)
            }
            _ => return Err(self.json.wants(Problem::WantsNumber)),
        };
        let bits = number.and_then(|number| number.bits(kind));
        bits.map_err(|problem| self.fault_at(at, problem))
    }

    fn float(&mut self, kind: Kind) -> Read<u64> {
        let at = self.json.at;
        let bits = match self.json.peek() {
            b'"' => number::float_text(kind, &self.json.string()?.content()),
            b'-' | b'0'..=b'9' => number::float(kind, self.json.number()?),
            _ => return Err(self.json.wants(Problem::WantsNumber)),
        };
        bits.map_err(|problem| self.fault_at(at, problem))
    }

    fn enumerated(&mut self, table: &EnumTable) -> Read<Option<u64>> {
        let at = self.json.at;
        let number = match self.json.peek() {
            b'"' => {
                let name = self.json.string()?;
                match name.is_escaped {
                    false => table.number(name.raw),
                    true => table.number(&name.content()),
                }
            }
            b'n' if table.is_null => {
                self.json.literal(b"null")?;
                Some(0)
            }
            b'-' | b'0'..=b'9' => {
                let number = plain_or_exact(self.json.number()?);
                let bits = number.and_then(|number| number.bits(Kind::Int32));
                let bits = bits.map_err(|problem| self.fault_at(at, problem))?;
                known(table, bits)
            }
            _ => return Err(self.json.wants(Problem::WantsEnum)),
        };
        match number {
            Some(number) => Ok(Some(i64::from(number).cast_unsigned())),
            None if self.ignore_unknown => Ok(None),
            None => Err(self.fault_at(at, Problem::UnknownEnum)),
        }
    }
}

/// Closed enums have no values but those of the contract; `NullValue` has one.
#[allow(clippy::cast_possible_truncation, reason = "checked to be an i32")]
pub(super) fn known(table: &EnumTable, bits: u64) -> Option<i32> {
    let number = bits as i32;
    let is_open = !table.is_closed && !table.is_null;
    (is_open || table.quoted(number).is_some()).then_some(number)
}

/// A JSON number, which mostly has digits alone.
#[inline]
fn plain_or_exact(number: &[u8]) -> Result<number::Integer, Problem> {
    let (is_negative, digits) = match number {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    if digits.len() > SAFE_DIGITS || !digits.iter().all(u8::is_ascii_digit) {
        return number::exact(number);
    }
    let magnitude = digits.iter().fold(0, |all, digit| all * 10 + u64::from(digit - b'0'));
    Ok(number::Integer { is_negative, magnitude })
}

/// In quotes stands what could stand without them.
fn quoted_integer(text: &[u8]) -> Result<number::Integer, Problem> {
    if number::is_number(text) { plain_or_exact(text) } else { Err(Problem::NotInteger) }
}
