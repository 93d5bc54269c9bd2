//! What the codec needs to know of a message, laid out for one pass: fields by
//! number and by name, their tags, kinds and keys as bytes. Nothing here refers
//! to a descriptor.

mod compile;
mod names;

use std::collections::HashMap;

pub(crate) use compile::{Misshapen, compile};
pub(crate) use names::Names;

/// Every message and enum of a pool; indices in [`Kind`] lead here.
#[derive(Debug)]
pub(crate) struct Programs {
    pub(crate) messages: Vec<Program>,
    pub(crate) enums: Vec<EnumTable>,
    /// Full name to message, for [`crate::Schema::message`] and `Any`.
    pub(crate) by_name: HashMap<Box<str>, u32>,
}

/// One message.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) name: Box<str>,
    pub(crate) shape: Shape,
    /// By number, ascending.
    pub(crate) fields: Box<[Field]>,
    /// By JSON name and by name in the contract, to the index in `fields`.
    pub(crate) names: Names,
    /// Index in `fields` + 1 by number, as far as numbers are small.
    dense: Box<[u16]>,
}

impl Program {
    /// The index of the field with a number.
    #[inline]
    pub(crate) fn by_number(&self, number: u32) -> Option<usize> {
        match self.dense.get(number as usize) {
            Some(0) => None,
            Some(&slot) => Some(usize::from(slot) - 1),
            None => self.fields.binary_search_by_key(&number, |field| field.number).ok(),
        }
    }
}

/// How a message looks in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// An object with a member per field.
    Object,
    /// `google.protobuf.Any`.
    Any,
    /// `google.protobuf.Timestamp`.
    Timestamp,
    /// `google.protobuf.Duration`.
    Duration,
    /// `google.protobuf.FieldMask`.
    FieldMask,
    /// `google.protobuf.Struct`.
    Struct,
    /// `google.protobuf.Value`.
    Value,
    /// `google.protobuf.ListValue`.
    ListValue,
    /// `google.protobuf.Int32Value` and the like: the value of its one field.
    Wrapper,
}

/// One field, or one extension.
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) number: u32,
    pub(crate) kind: Kind,
    pub(crate) label: Label,
    /// What stands before a value (before all of them, where they are packed).
    pub(crate) tag: Tag,
    /// What ends a group.
    pub(crate) end: Tag,
    /// Which of its message's oneofs it belongs to.
    pub(crate) oneof: Option<u16>,
    /// Whether `null` is a value of its type: `Value` and `NullValue`.
    pub(crate) takes_null: bool,
    /// `,"jsonName":`, as printed behind another member.
    pub(crate) json_key: Box<[u8]>,
    /// `,"proto_name":`, as printed behind another member.
    pub(crate) proto_key: Box<[u8]>,
}

impl Field {
    /// Its name in JSON.
    pub(crate) fn json_name(&self) -> &str {
        unquoted(&self.json_key)
    }

    /// Its name in the contract.
    pub(crate) fn proto_name(&self) -> &str {
        unquoted(&self.proto_key)
    }

    /// Its name in JSON, in quotes.
    #[inline]
    pub(crate) fn quoted_json_name(&self) -> &[u8] {
        &self.json_key[1..self.json_key.len() - 1]
    }
}

/// Names are identifiers, or `[extension]`: nothing in them needs an escape.
fn unquoted(key: &[u8]) -> &str {
    std::str::from_utf8(&key[2..key.len() - 2]).expect("made of a string when compiled")
}

/// How often a field occurs, and whether its absence can be told from its default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Label {
    /// Once; its default is the same as its absence.
    Implicit,
    /// Once; set or not.
    Explicit,
    /// Any number of times, in one length-delimited run where packed.
    List { packed: bool },
    /// Entries, each once by key. The kind is the entry's message, whose first
    /// field is the key and whose second is the value.
    Map,
}

/// What a field holds; a number leads to [`Programs`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Double,
    Float,
    Int32,
    Int64,
    Uint32,
    Uint64,
    Sint32,
    Sint64,
    Fixed32,
    Fixed64,
    Sfixed32,
    Sfixed64,
    Bool,
    String,
    Bytes,
    Enum(u32),
    Message(u32),
    /// A message between a start and an end tag instead of behind a length.
    Group(u32),
}

/// How a value is encoded (<https://protobuf.dev/programming-guides/encoding>).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WireType {
    Varint = 0,
    Fixed64 = 1,
    Length = 2,
    Start = 3,
    End = 4,
    Fixed32 = 5,
}

impl WireType {
    /// The type that the lowest bits of a tag say, if they say one.
    #[inline]
    pub(crate) fn of(tag: u8) -> Option<WireType> {
        match tag & 7 {
            0 => Some(WireType::Varint),
            1 => Some(WireType::Fixed64),
            2 => Some(WireType::Length),
            3 => Some(WireType::Start),
            4 => Some(WireType::End),
            5 => Some(WireType::Fixed32),
            _ => None,
        }
    }
}

impl Kind {
    #[inline]
    pub(crate) fn wire_type(self) -> WireType {
        match self {
            Kind::Double | Kind::Fixed64 | Kind::Sfixed64 => WireType::Fixed64,
            Kind::Float | Kind::Fixed32 | Kind::Sfixed32 => WireType::Fixed32,
            Kind::String | Kind::Bytes | Kind::Message(_) => WireType::Length,
            Kind::Group(_) => WireType::Start,
            _ => WireType::Varint,
        }
    }

    /// Whether many of it may share one length.
    #[inline]
    pub(crate) fn is_packable(self) -> bool {
        !matches!(self.wire_type(), WireType::Length | WireType::Start)
    }
}

/// A field's number and wire type, encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tag {
    bytes: [u8; 5],
    len: u8,
}

impl Tag {
    pub(crate) fn new(number: u32, wire_type: WireType) -> Tag {
        let mut rest = number << 3 | wire_type as u32;
        let mut tag = Tag { bytes: [0; 5], len: 0 };
        loop {
            let low = (rest & 0x7f) as u8;
            rest >>= 7;
            let more = if rest == 0 { 0 } else { 0x80 };
            tag.bytes[usize::from(tag.len)] = low | more;
            tag.len += 1;
            if rest == 0 {
                return tag;
            }
        }
    }

    #[inline]
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

/// The values of an enum.
#[derive(Debug)]
pub(crate) struct EnumTable {
    /// By name; the value is an index in `numbers`.
    names: Names,
    /// One per name, in the order of the contract.
    numbers: Box<[i32]>,
    /// By number, ascending: the first name of each, quoted as in JSON.
    by_number: Box<[(i32, Box<[u8]>)]>,
    /// Whether `by_number` holds 0, 1, 2, … without a gap.
    is_dense: bool,
    /// Whether other numbers than these are no value at all (proto2).
    pub(crate) is_closed: bool,
    /// `google.protobuf.NullValue`, which is `null` in JSON.
    pub(crate) is_null: bool,
    /// What a field holds by default: its first value.
    pub(crate) default: i32,
}

impl EnumTable {
    /// The number of a name.
    #[inline]
    pub(crate) fn number(&self, name: &[u8]) -> Option<i32> {
        self.names.get(name).map(|at| self.numbers[at])
    }

    /// The name of a number, in quotes.
    #[inline]
    pub(crate) fn quoted(&self, number: i32) -> Option<&[u8]> {
        let at = if self.is_dense {
            usize::try_from(number).ok()?
        } else {
            self.by_number.binary_search_by_key(&number, |(number, _)| *number).ok()?
        };
        self.by_number.get(at).map(|(_, quoted)| &**quoted)
    }
}
