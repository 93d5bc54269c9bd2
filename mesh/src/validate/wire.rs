//! The protobuf wire format: fields read one after the other, groups skipped.
//! See <https://protobuf.dev/programming-guides/encoding/>.

/// Deepest nesting of groups, as in prost and the reference implementations.
const MAX_GROUP_DEPTH: usize = 100;

/// Why bytes are not a message.
pub(crate) type Fault = &'static str;

const TRUNCATED: Fault = "the message ends in the middle of a field";

/// How a value is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wire {
    Varint,
    Fixed64,
    Bytes,
    Fixed32,
}

/// A value as it was sent; its field's kind tells what the bits mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Raw<'a> {
    Bits(u64),
    Bytes(&'a [u8]),
}

impl<'a> Raw<'a> {
    pub(crate) fn bits(self) -> u64 {
        match self {
            Self::Bits(bits) => bits,
            Self::Bytes(_) => 0,
        }
    }

    pub(crate) fn bytes(self) -> &'a [u8] {
        match self {
            Self::Bits(_) => &[],
            Self::Bytes(bytes) => bytes,
        }
    }
}

/// One occurrence of a field.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found<'a> {
    pub(crate) number: u32,
    pub(crate) wire: Wire,
    pub(crate) raw: Raw<'a>,
}

pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

enum Tag {
    Value(Wire),
    StartGroup,
    EndGroup,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next field; groups are passed over.
    #[inline]
    pub(crate) fn field(&mut self) -> Result<Option<Found<'a>>, Fault> {
        while !self.rest.is_empty() {
            match self.tag()? {
                (number, Tag::Value(wire)) => {
                    let raw = self.value(wire)?;
                    return Ok(Some(Found { number, wire, raw }));
                }
                (number, Tag::StartGroup) => self.skip_group(number)?,
                (_, Tag::EndGroup) => return Err("a group ends that never began"),
            }
        }
        Ok(None)
    }

    #[inline]
    pub(crate) fn value(&mut self, wire: Wire) -> Result<Raw<'a>, Fault> {
        Ok(match wire {
            Wire::Varint => Raw::Bits(self.varint()?),
            Wire::Fixed64 => Raw::Bits(u64::from_le_bytes(self.array()?)),
            Wire::Fixed32 => Raw::Bits(u32::from_le_bytes(self.array()?).into()),
            Wire::Bytes => {
                let len = usize::try_from(self.varint()?).map_err(|_| TRUNCATED)?;
                let (bytes, rest) = self.rest.split_at_checked(len).ok_or(TRUNCATED)?;
                self.rest = rest;
                Raw::Bytes(bytes)
            }
        })
    }

    #[inline]
    fn tag(&mut self) -> Result<(u32, Tag), Fault> {
        let key = u32::try_from(self.varint()?).map_err(|_| "a field number is out of range")?;
        let tag = match key & 7 {
            0 => Tag::Value(Wire::Varint),
            1 => Tag::Value(Wire::Fixed64),
            2 => Tag::Value(Wire::Bytes),
            3 => Tag::StartGroup,
            4 => Tag::EndGroup,
            5 => Tag::Value(Wire::Fixed32),
            _ => return Err("a field has an unknown wire type"),
        };
        match key >> 3 {
            0 => Err("a field number is out of range"),
            number => Ok((number, tag)),
        }
    }

    fn skip_group(&mut self, number: u32) -> Result<(), Fault> {
        let mut open = vec![number];
        while let Some(&innermost) = open.last() {
            match self.tag()? {
                (_, Tag::Value(wire)) => {
                    self.value(wire)?;
                }
                (_, Tag::StartGroup) if open.len() == MAX_GROUP_DEPTH => {
                    return Err("groups are nested too deeply");
                }
                (number, Tag::StartGroup) => open.push(number),
                (number, Tag::EndGroup) if number == innermost => {
                    open.pop();
                }
                (_, Tag::EndGroup) => return Err("a group ends that never began"),
            }
        }
        Ok(())
    }

    #[inline]
    fn varint(&mut self) -> Result<u64, Fault> {
        // Nearly every tag and length fits one byte.
        if let [byte @ 0..0x80, rest @ ..] = self.rest {
            self.rest = rest;
            return Ok((*byte).into());
        }
        self.long_varint()
    }

    fn long_varint(&mut self) -> Result<u64, Fault> {
        let mut value = 0;
        for (index, &byte) in self.rest.iter().take(10).enumerate() {
            value |= u64::from(byte & 0x7f) << (7 * index);
            if byte < 0x80 {
                // The tenth byte has room for one bit.
                if index == 9 && byte > 1 {
                    break;
                }
                self.rest = &self.rest[index + 1..];
                return Ok(value);
            }
        }
        Err(if self.rest.len() < 10 { TRUNCATED } else { "a varint is longer than 64 bits" })
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or(TRUNCATED)?;
        self.rest = rest;
        Ok(*bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(bytes: &[u8]) -> Result<Vec<(u32, Raw<'_>)>, Fault> {
        let mut reader = Reader::new(bytes);
        let mut found = Vec::new();
        while let Some(field) = reader.field()? {
            found.push((field.number, field.raw));
        }
        Ok(found)
    }

    #[test]
    fn every_layout_is_read() {
        let bytes = [
            0x08, 0x96, 0x01, // 1: varint 150
            0x11, 1, 0, 0, 0, 0, 0, 0, 0, // 2: fixed64 1
            0x1a, 2, b'h', b'i', // 3: bytes
            0x25, 2, 0, 0, 0, // 4: fixed32 2
        ];
        assert_eq!(
            fields(&bytes).unwrap(),
            [(1, Raw::Bits(150)), (2, Raw::Bits(1)), (3, Raw::Bytes(b"hi")), (4, Raw::Bits(2))]
        );
    }

    #[test]
    fn groups_are_skipped_with_what_they_hold() {
        let bytes = [0x0b, 0x13, 0x08, 1, 0x14, 0x1a, 1, 7, 0x0c, 0x10, 9];
        assert_eq!(fields(&bytes).unwrap(), [(2, Raw::Bits(9))]);
    }

    #[test]
    fn broken_bytes_are_refused() {
        let cases: &[(&str, &[u8])] = &[
            ("tag without value", &[0x08]),
            ("endless varint", &[0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
            ("65-bit varint", &[0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02]),
            ("short fixed64", &[0x09, 0, 0]),
            ("short fixed32", &[0x0d, 0]),
            ("length past the end", &[0x0a, 5, 1]),
            ("length past memory", &[0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]),
            ("field number 0", &[0x00, 0]),
            ("wire type 6", &[0x0e]),
            ("field number of 33 bits", &[0x80, 0x80, 0x80, 0x80, 0x10, 0]),
            ("group without end", &[0x0b, 0x08, 1]),
            ("end without group", &[0x0c]),
            ("crossed groups", &[0x0b, 0x13, 0x0c, 0x14]),
            ("a thousand groups", &[0x0b; 1000]),
        ];
        for (name, bytes) in cases {
            assert!(fields(bytes).is_err(), "{name}");
        }
    }
}
