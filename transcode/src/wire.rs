//! Protobuf's wire format (<https://protobuf.dev/programming-guides/encoding>):
//! varints, tags, lengths, and how to step over a field.

use crate::{
    error::{Fault, WireProblem},
    program::{Kind, Tag, WireType},
};

/// Deepest nesting of unknown groups that is stepped over, as in protobuf's own
/// parsers.
const MAX_GROUPS: usize = 100;

/// Longest varint: 64 bits, seven a byte.
const MAX_VARINT: usize = 10;

/// Appends a varint.
#[inline]
#[allow(clippy::cast_possible_truncation, reason = "seven bits at a time are meant")]
pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    if value < 0x80 {
        out.push(value as u8);
        return;
    }
    let mut bytes = [0; MAX_VARINT];
    let mut len = 0;
    while value >= 0x80 {
        bytes[len] = value as u8 | 0x80;
        value >>= 7;
        len += 1;
    }
    bytes[len] = value as u8;
    out.extend_from_slice(&bytes[..=len]);
}

/// How many bytes a varint takes.
#[inline]
pub(crate) fn varint_len(value: u64) -> usize {
    (70 - (value | 1).leading_zeros() as usize) / 7
}

/// Appends the bits of a number in its kind's encoding: a varint of as many bits
/// as it has (zigzag done already), or four or eight bytes.
#[inline]
#[allow(clippy::cast_possible_truncation, reason = "a kind of 32 bits has no more")]
pub(crate) fn put_bits(out: &mut Vec<u8>, kind: Kind, bits: u64) {
    match kind.wire_type() {
        WireType::Fixed64 => out.extend_from_slice(&bits.to_le_bytes()),
        WireType::Fixed32 => out.extend_from_slice(&(bits as u32).to_le_bytes()),
        _ => put_varint(out, bits),
    }
}

/// Makes room for a length that is not known yet; [`close`] fills it in. One byte
/// is enough for most messages, and longer ones are moved: that costs less than
/// measuring everything beforehand.
#[inline]
pub(crate) fn open(out: &mut Vec<u8>) -> usize {
    out.push(0);
    out.len()
}

/// Writes the length of what was appended since [`open`].
#[inline]
#[allow(clippy::cast_possible_truncation, reason = "below 0x80")]
pub(crate) fn close(out: &mut Vec<u8>, start: usize) {
    let len = out.len() - start;
    if len < 0x80 {
        out[start - 1] = len as u8;
    } else {
        close_long(out, start, len);
    }
}

#[inline(never)]
#[allow(clippy::cast_possible_truncation, reason = "seven bits at a time are meant")]
fn close_long(out: &mut Vec<u8>, start: usize, len: usize) {
    let more = varint_len(len as u64) - 1;
    let end = out.len();
    out.resize(end + more, 0);
    out.copy_within(start..end, start + more);
    let mut rest = len;
    for byte in &mut out[start - 1..start - 1 + more] {
        *byte = rest as u8 | 0x80;
        rest >>= 7;
    }
    out[start - 1 + more] = rest as u8;
}

/// A field's number and how its value is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) number: u32,
    pub(crate) wire_type: WireType,
}

type Read<T> = Result<T, Fault<WireProblem>>;

/// Reads an encoded message, or a part of one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wire<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) at: usize,
    /// Where `bytes` begin in the whole message.
    base: usize,
    /// Whether they are a rearranged copy, in which positions mean nothing.
    is_copy: bool,
}

impl<'a> Wire<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Wire<'a> {
        Wire { bytes, at: 0, base: 0, is_copy: false }
    }

    /// A rearranged copy of a message that begins where `self` does.
    pub(crate) fn copy<'b>(&self, bytes: &'b [u8]) -> Wire<'b> {
        Wire { bytes, at: 0, base: self.base, is_copy: true }
    }

    #[inline]
    pub(crate) fn is_done(&self) -> bool {
        self.at >= self.bytes.len()
    }

    /// Where it stands in the whole message.
    pub(crate) fn position(&self) -> usize {
        if self.is_copy { self.base } else { self.base + self.at }
    }

    #[cold]
    pub(crate) fn fault(&self, problem: WireProblem) -> Fault<WireProblem> {
        Fault { problem, at: self.position() }
    }

    #[inline]
    pub(crate) fn varint(&mut self) -> Read<u64> {
        match self.bytes.get(self.at) {
            Some(&byte) if byte < 0x80 => {
                self.at += 1;
                Ok(u64::from(byte))
            }
            _ => self.long_varint(),
        }
    }

    fn long_varint(&mut self) -> Read<u64> {
        let (mut value, mut shift) = (0, 0);
        let rest = &self.bytes[self.at..];
        for &byte in &rest[..rest.len().min(MAX_VARINT)] {
            // Of the tenth byte one bit counts; protobuf ignores the others.
            value |= u64::from(byte & 0x7f) << shift;
            shift += 7;
            if byte < 0x80 {
                self.at += shift / 7;
                return Ok(value);
            }
        }
        Err(self.fault(WireProblem::Malformed))
    }

    /// Reads a tag: of one byte where the number is below 16.
    #[inline]
    pub(crate) fn key(&mut self) -> Read<Key> {
        if let Some(&tag) = self.bytes.get(self.at)
            && let 8..0x80 = tag
            && let Some(wire_type) = WireType::of(tag)
        {
            self.at += 1;
            return Ok(Key { number: u32::from(tag >> 3), wire_type });
        }
        self.long_key()
    }

    #[inline(never)]
    #[allow(clippy::cast_possible_truncation, reason = "checked to be a u32")]
    fn long_key(&mut self) -> Read<Key> {
        let start = self.at;
        let tag = self.varint()?;
        match WireType::of(tag as u8) {
            Some(wire_type) if (8..=u64::from(u32::MAX)).contains(&tag) => {
                Ok(Key { number: (tag >> 3) as u32, wire_type })
            }
            _ => Err(self.malformed_at(start)),
        }
    }

    /// Steps over a tag if it comes next in its shortest form.
    #[inline]
    pub(crate) fn skip_tag(&mut self, tag: &Tag) -> bool {
        let is_next = self.bytes[self.at..].starts_with(tag.bytes());
        if is_next {
            self.at += tag.bytes().len();
        }
        is_next
    }

    #[cold]
    fn malformed_at(&mut self, at: usize) -> Fault<WireProblem> {
        self.at = at;
        self.fault(WireProblem::Malformed)
    }

    /// The number of bytes given, as a part of their own.
    #[inline]
    fn take(&mut self, len: usize) -> Read<Wire<'a>> {
        let rest = &self.bytes[self.at..];
        let Some(bytes) = rest.get(..len) else {
            return Err(self.fault(WireProblem::Malformed));
        };
        let part = Wire { bytes, at: 0, base: self.position(), is_copy: self.is_copy };
        self.at += len;
        Ok(part)
    }

    /// What stands behind a length.
    #[inline]
    pub(crate) fn length(&mut self) -> Read<Wire<'a>> {
        let start = self.at;
        let len = self.varint()?;
        match usize::try_from(len) {
            Ok(len) => self.take(len),
            Err(_) => Err(self.malformed_at(start)),
        }
    }

    /// A number's bits by its kind's encoding, without knowledge of its sign.
    #[inline]
    pub(crate) fn bits(&mut self, wire_type: WireType) -> Read<u64> {
        match wire_type {
            WireType::Fixed64 => {
                let rest = &self.bytes[self.at..];
                let Some(bytes) = rest.first_chunk() else {
                    return Err(self.fault(WireProblem::Malformed));
                };
                self.at += 8;
                Ok(u64::from_le_bytes(*bytes))
            }
            WireType::Fixed32 => {
                let rest = &self.bytes[self.at..];
                let Some(bytes) = rest.first_chunk() else {
                    return Err(self.fault(WireProblem::Malformed));
                };
                self.at += 4;
                Ok(u64::from(u32::from_le_bytes(*bytes)))
            }
            _ => self.varint(),
        }
    }

    /// Steps over the value behind a key.
    pub(crate) fn skip(&mut self, key: Key) -> Read<()> {
        match key.wire_type {
            WireType::Length => self.length().map(drop),
            WireType::Start => self.group(key.number).map(drop),
            WireType::End => Err(self.fault(WireProblem::Malformed)),
            wire_type => self.bits(wire_type).map(drop),
        }
    }

    /// The content of a group whose start was read.
    pub(crate) fn group(&mut self, number: u32) -> Read<Wire<'a>> {
        let mut content = *self;
        let mut open = vec![number];
        loop {
            let end = self.at;
            let key = self.key()?;
            match key.wire_type {
                WireType::Start if open.len() == MAX_GROUPS => {
                    return Err(self.fault(WireProblem::DepthLimit));
                }
                WireType::Start => open.push(key.number),
                WireType::End if open.pop() != Some(key.number) => {
                    return Err(self.malformed_at(end));
                }
                WireType::End if open.is_empty() => return content.take(end - content.at),
                WireType::End => {}
                _ => self.skip(key)?,
            }
        }
    }

    /// The value behind a key that is length-delimited or a group.
    #[inline]
    pub(crate) fn content(&mut self, key: Key) -> Read<Wire<'a>> {
        match key.wire_type {
            WireType::Start => self.group(key.number),
            _ => self.length(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_survive() {
        for value in [0, 1, 127, 128, 300, 16_383, 16_384, u64::from(u32::MAX), u64::MAX] {
            let mut out = Vec::new();
            put_varint(&mut out, value);
            assert_eq!(out.len(), varint_len(value), "{value}");
            let mut wire = Wire::new(&out);
            assert_eq!(wire.varint().unwrap(), value);
            assert!(wire.is_done());
        }
        assert!(Wire::new(&[0x80; 11]).varint().is_err());
        assert!(Wire::new(&[0x80]).varint().is_err());
    }

    #[test]
    fn lengths_are_filled_in_whatever_their_size() {
        for len in [0, 1, 127, 128, 16_383, 16_384, 3_000_000] {
            let mut out = vec![9];
            let start = open(&mut out);
            out.resize(out.len() + len, 7);
            close(&mut out, start);
            let mut wire = Wire::new(&out[1..]);
            let content = wire.length().unwrap();
            assert!(wire.is_done() && content.bytes.len() == len);
            assert!(content.bytes.iter().all(|byte| *byte == 7));
        }
    }

    #[test]
    fn groups_end_where_they_began() {
        let mut wire = Wire::new(&[0x0b, 0x13, 0x08, 0x01, 0x14, 0x0c, 0x08]);
        let key = wire.key().unwrap();
        assert_eq!(wire.group(key.number).unwrap().bytes, [0x13, 0x08, 0x01, 0x14]);
        assert_eq!(wire.at, 6);
        for broken in [&[0x0b][..], &[0x0b, 0x14], &[0x0c], &[0x0b, 0x08]] {
            let mut wire = Wire::new(broken);
            let key = wire.key().unwrap();
            assert!(wire.skip(key).is_err(), "{broken:?}");
        }
    }
}
