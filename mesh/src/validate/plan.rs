//! What a compiled program consists of: for each message the fields that rules
//! speak about, and for each field what to test.

use super::{
    bytes::Blob,
    number::Number,
    text::Text,
    time::{Mask, Moment},
    wire::{Raw, Wire},
};

/// All messages of a program. They refer to each other by index, so that a
/// message may contain itself.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) messages: Box<[Message]>,
    pub(super) root: usize,
}

#[derive(Debug)]
pub(super) struct Message {
    /// By number.
    pub(super) fields: Box<[Field]>,
    /// Position in `fields` by number, for the small numbers that most have.
    pub(super) near: Box<[Option<u16>]>,
    pub(super) oneofs: Box<[Oneof]>,
    pub(super) exclusive: Box<[Exclusive]>,
}

/// Numbers up to this one are found by a look into a table, which then takes at
/// most 256 bytes per message; greater numbers are rare and searched for.
pub(super) const NEAR: u32 = 63;

impl Message {
    pub(super) fn find(&self, number: u32) -> Option<usize> {
        match self.near.get(number as usize) {
            Some(near) => near.map(usize::from),
            None if number <= NEAR => None,
            None => self.fields.binary_search_by_key(&number, |field| field.number).ok(),
        }
    }
}

#[derive(Debug)]
pub(super) struct Field {
    pub(super) number: u32,
    pub(super) name: Box<str>,
    /// Whether the wire tells "unset" from zero.
    pub(super) explicit: bool,
    pub(super) required: bool,
    /// Rules are not applied to the zero value (`IGNORE_IF_ZERO_VALUE`).
    pub(super) ignore_zero: bool,
    /// Position in [`Message::oneofs`].
    pub(super) oneof: Option<usize>,
    pub(super) shape: Shape,
}

#[derive(Debug)]
pub(super) enum Shape {
    One(Value),
    List(List),
    Map(Box<Map>),
}

#[derive(Debug)]
pub(super) struct List {
    pub(super) item: Value,
    pub(super) size: Rules<Size>,
    pub(super) unique: bool,
}

#[derive(Debug)]
pub(super) struct Map {
    pub(super) key: Value,
    pub(super) value: Value,
    pub(super) size: Rules<Size>,
}

/// A oneof of the language: the last member that was sent is the one that is set.
#[derive(Debug)]
pub(super) struct Oneof {
    pub(super) name: Box<str>,
    pub(super) required: bool,
    /// Positions in [`Message::fields`].
    pub(super) members: Box<[usize]>,
}

/// Fields of which one at most may be set (`MessageRules.oneof`).
#[derive(Debug)]
pub(super) struct Exclusive {
    pub(super) required: bool,
    /// Positions in [`Message::fields`].
    pub(super) members: Box<[usize]>,
    pub(super) too_many: Box<str>,
    pub(super) none: Box<str>,
}

#[derive(Debug)]
pub(super) struct Value {
    pub(super) kind: Kind,
    /// Items, keys and values only; a field has a flag of its own.
    pub(super) ignore_zero: bool,
    pub(super) check: Check,
}

#[derive(Debug)]
pub(super) enum Check {
    Nothing,
    Signed(Rules<Number<i64>>),
    Unsigned(Rules<Number<u64>>),
    Float(Rules<Number<f64>>),
    Text(Rules<Text>),
    Blob(Rules<Blob>),
    /// Position in [`Plan::messages`].
    Message(usize),
    /// Nanoseconds.
    Duration(Rules<Number<i128>>),
    Timestamp(Moment),
    Mask(Rules<Mask>),
    /// The value within a message of `google/protobuf/wrappers.proto`.
    Wrapped(Box<Value>),
}

pub(super) type Rules<T> = Box<[Rule<T>]>;

/// A test and what to say when it fails.
#[derive(Debug)]
pub(super) struct Rule<T> {
    pub(super) id: Box<str>,
    pub(super) text: Box<str>,
    pub(super) test: T,
}

impl<T> Rule<T> {
    pub(super) fn new(id: impl Into<Box<str>>, text: impl Into<Box<str>>, test: T) -> Self {
        Self { id: id.into(), text: text.into(), test }
    }
}

/// A condition on values of type `V`.
pub(super) trait Test<V> {
    fn holds(&self, value: V) -> bool;
}

#[derive(Debug)]
pub(super) enum Size {
    Min(u64),
    Max(u64),
}

impl Test<u64> for Size {
    fn holds(&self, size: u64) -> bool {
        match *self {
            Self::Min(min) => size >= min,
            Self::Max(max) => size <= max,
        }
    }
}

/// What the bits of a value mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
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
    Float,
    Double,
    Bool,
    /// With the number of its first value, which is its zero.
    Enum(i32),
    String,
    Bytes,
    Message,
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "the wire format defines these types by truncation of 64 bits"
)]
impl Kind {
    pub(super) fn wire(self) -> Wire {
        match self {
            Self::Fixed32 | Self::Sfixed32 | Self::Float => Wire::Fixed32,
            Self::Fixed64 | Self::Sfixed64 | Self::Double => Wire::Fixed64,
            Self::String | Self::Bytes | Self::Message => Wire::Bytes,
            _ => Wire::Varint,
        }
    }

    pub(super) fn is_signed(self) -> bool {
        matches!(
            self,
            Self::Int32
                | Self::Int64
                | Self::Sint32
                | Self::Sint64
                | Self::Sfixed32
                | Self::Sfixed64
                | Self::Enum(_)
        )
    }

    pub(super) fn signed(self, bits: u64) -> i64 {
        match self {
            Self::Int32 | Self::Sfixed32 | Self::Enum(_) => (bits as i32).into(),
            Self::Sint32 => {
                let bits = bits as u32;
                (((bits >> 1) as i32) ^ -((bits & 1) as i32)).into()
            }
            Self::Sint64 => ((bits >> 1) as i64) ^ -((bits & 1) as i64),
            _ => bits as i64,
        }
    }

    pub(super) fn unsigned(self, bits: u64) -> u64 {
        match self {
            Self::Uint32 | Self::Fixed32 => (bits as u32).into(),
            Self::Bool => (bits != 0).into(),
            _ => bits,
        }
    }

    pub(super) fn float(self, bits: u64) -> f64 {
        match self {
            Self::Float => f32::from_bits(bits as u32).into(),
            _ => f64::from_bits(bits),
        }
    }

    /// The same bits for equal values; `None` for NaN, which equals nothing.
    pub(super) fn canonical(self, raw: Raw<'_>) -> Option<Raw<'_>> {
        let bits = match self {
            Self::String | Self::Bytes | Self::Message => return Some(raw),
            // Adding zero turns -0.0 into 0.0.
            Self::Float | Self::Double => (self.float(raw.bits()) + 0.0).to_bits(),
            _ if self.is_signed() => self.signed(raw.bits()) as u64,
            _ => self.unsigned(raw.bits()),
        };
        let nan = matches!(self, Self::Float | Self::Double) && f64::from_bits(bits).is_nan();
        (!nan).then_some(Raw::Bits(bits))
    }

    pub(super) fn zero(self) -> Raw<'static> {
        match self.wire() {
            Wire::Bytes => Raw::Bytes(&[]),
            _ => Raw::Bits(0),
        }
    }

    /// -0.0 is not zero, as in every implementation that tracks presence.
    pub(super) fn is_zero(self, raw: Raw<'_>) -> bool {
        match self {
            Self::String | Self::Bytes | Self::Message => raw.bytes().is_empty(),
            Self::Enum(first) => self.signed(raw.bits()) == i64::from(first),
            _ if self.is_signed() => self.signed(raw.bits()) == 0,
            _ => self.unsigned(raw.bits()) == 0,
        }
    }
}
