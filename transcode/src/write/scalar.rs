//! Single values that are no messages, as JSON.

use super::{Printer, Stop, Written};
use crate::{
    base64,
    error::WireProblem,
    program::{Kind, Programs, Shape},
    wire::Wire,
};

/// Whether it is a number that a closed enum does not have; protobuf takes such a
/// field for an unknown one.
#[inline]
#[allow(clippy::cast_possible_truncation, reason = "as decoders of enums do")]
pub(super) fn has_closed_unknown(programs: &Programs, kind: Kind, bits: u64) -> bool {
    let Kind::Enum(table) = kind else { return false };
    let table = &programs.enums[table as usize];
    table.is_closed && table.quoted(bits as i32).is_none()
}

/// What decoders keep of a number that was written with more bits than its kind has.
#[inline]
#[allow(clippy::cast_possible_truncation, reason = "as decoders of 32 bits do")]
pub(super) fn kept(kind: Kind, bits: u64) -> u64 {
    match kind {
        Kind::Int32
        | Kind::Sint32
        | Kind::Sfixed32
        | Kind::Uint32
        | Kind::Fixed32
        | Kind::Enum(_) => u64::from(bits as u32),
        Kind::Bool => u64::from(bits != 0),
        _ => bits,
    }
}

impl Printer<'_> {
    /// Prints a number, a bool or an enum; integers of 64 bits as strings, since
    /// readers of JSON often have nothing but doubles.
    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "as decoders of 32 bits do")]
    pub(super) fn put_bits(&mut self, kind: Kind, bits: u64) {
        match kind {
            Kind::Double => self.put_double(f64::from_bits(bits)),
            Kind::Float => self.put_float(f32::from_bits(bits as u32)),
            Kind::Int32 | Kind::Sfixed32 => self.put_integer((bits as u32).cast_signed()),
            Kind::Sint32 => {
                let bits = bits as u32;
                self.put_integer((bits >> 1).cast_signed() ^ -(bits & 1).cast_signed());
            }
            Kind::Uint32 | Kind::Fixed32 => self.put_integer(bits as u32),
            Kind::Int64 | Kind::Sfixed64 => self.put_quoted(bits.cast_signed()),
            Kind::Sint64 => self.put_quoted((bits >> 1).cast_signed() ^ -(bits & 1).cast_signed()),
            Kind::Uint64 | Kind::Fixed64 => self.put_quoted(bits),
            Kind::Bool => self.out.extend_from_slice(if bits == 0 { b"false" } else { b"true" }),
            Kind::Enum(table) => self.put_enum(table, (bits as u32).cast_signed()),
            Kind::String | Kind::Bytes | Kind::Message(_) | Kind::Group(_) => {}
        }
    }

    #[inline]
    fn put_integer<I: itoa::Integer>(&mut self, number: I) {
        self.out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
    }

    #[inline]
    fn put_quoted<I: itoa::Integer>(&mut self, number: I) {
        self.out.push(b'"');
        self.put_integer(number);
        self.out.push(b'"');
    }

    fn put_double(&mut self, number: f64) {
        if number.is_finite() {
            self.put_finite(zmij::Buffer::new().format_finite(number));
        } else {
            self.put_special(number);
        }
    }

    fn put_float(&mut self, number: f32) {
        if number.is_finite() {
            self.put_finite(zmij::Buffer::new().format_finite(number));
        } else {
            self.put_special(number.into());
        }
    }

    /// The shortest digits that lead back to the number.
    fn put_finite(&mut self, text: &str) {
        self.out.extend_from_slice(text.strip_suffix(".0").unwrap_or(text).as_bytes());
    }

    fn put_special(&mut self, number: f64) {
        let name: &[u8] = if number.is_nan() {
            b"\"NaN\""
        } else if number > 0.0 {
            b"\"Infinity\""
        } else {
            b"\"-Infinity\""
        };
        self.out.extend_from_slice(name);
    }

    fn put_enum(&mut self, table: u32, number: i32) {
        let programs = self.programs;
        let table = &programs.enums[table as usize];
        if table.is_null {
            self.out.extend_from_slice(b"null");
            return;
        }
        match table.quoted(number).filter(|_| !self.options.enum_numbers) {
            Some(name) => self.out.extend_from_slice(name),
            None => self.put_integer(number),
        }
    }

    /// Prints a string or bytes.
    #[inline]
    pub(super) fn put_text(&mut self, kind: Kind, content: Wire<'_>) -> Written {
        if kind == Kind::String {
            return self.put_string(content);
        }
        self.out.push(b'"');
        base64::encode(content.bytes, self.out);
        self.out.push(b'"');
        Ok(())
    }

    /// Prints the default of a kind; of messages that they do not exist, but
    /// those without a notation of their own as empty ones.
    pub(super) fn put_scalar_default(&mut self, kind: Kind) {
        let programs = self.programs;
        match kind {
            Kind::String | Kind::Bytes => self.out.extend_from_slice(b"\"\""),
            Kind::Enum(table) => self.put_enum(table, programs.enums[table as usize].default),
            Kind::Message(message) | Kind::Group(message) => {
                let shape = programs.messages[message as usize].shape;
                let none: &[u8] = if shape == Shape::Object { b"{}" } else { b"null" };
                self.out.extend_from_slice(none);
            }
            kind => self.put_bits(kind, 0),
        }
    }

    /// Prints the one field of a wrapper such as `google.protobuf.Int32Value`.
    pub(super) fn wrapper(&mut self, kind: Kind, mut wire: Wire<'_>) -> Written {
        let mut bits = 0;
        let mut text = Wire::new(&[]);
        while !wire.is_done() {
            let key = wire.key()?;
            if key.number != 1 || key.wire_type != kind.wire_type() {
                wire.skip(key)?;
            } else if matches!(kind, Kind::String | Kind::Bytes) {
                text = wire.length()?;
            } else {
                bits = wire.bits(key.wire_type)?;
            }
        }
        match kind {
            Kind::String | Kind::Bytes => self.put_text(kind, text)?,
            kind => self.put_bits(kind, bits),
        }
        Ok(())
    }

    /// Prints the number of a `google.protobuf.Value`.
    pub(super) fn plain_number(&mut self, bits: u64, wire: &Wire<'_>) -> Result<(), Stop> {
        let number = f64::from_bits(bits);
        if !number.is_finite() {
            return Err(wire.fault(WireProblem::NotFinite).into());
        }
        self.put_double(number);
        Ok(())
    }
}
