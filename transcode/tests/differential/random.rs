//! Random messages of any type, and texts with random mistakes, by a seed.

use fastrand::Rng;
use prost::Message;
use prost_reflect::{
    DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, ReflectMessage, Value,
};

/// What a message has of its fields: one in this many.
const SPARSE: u64 = 14;

pub(super) struct Random(Rng, Floats);

/// Which floating-point numbers come up. serde_json's default parser, which
/// prost-reflect reads with, is off by a bit for some of many digits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Floats {
    /// Those that it reads exactly.
    Any,
    /// Those that it still does when a digit of them is changed.
    Short,
}

impl Random {
    pub(super) fn new(seed: u64, floats: Floats) -> Random {
        Random(Rng::with_seed(seed), floats)
    }

    /// A message with any of its fields, nested at most that deep.
    pub(super) fn message(&mut self, kind: &MessageDescriptor, depth: usize) -> DynamicMessage {
        let mut message = DynamicMessage::new(kind.clone());
        if self.well_known(kind, &mut message, depth) {
            return message;
        }
        for field in kind.fields() {
            let is_message = matches!(field.kind(), Kind::Message(_));
            if self.0.u64(0..SPARSE) == 0 && (depth > 0 || !is_message) {
                let value = self.field(&field, depth);
                message.set_field(&field, value);
            }
        }
        message
    }

    fn field(&mut self, field: &FieldDescriptor, depth: usize) -> Value {
        let count = self.0.usize(0..4);
        if field.is_map() {
            let kind = field.kind();
            let entry = kind.as_message().unwrap();
            let (key, value) = (entry.map_entry_key_field(), entry.map_entry_value_field());
            let entries =
                (0..count).map(|_| (self.key(&key.kind()), self.value(&value.kind(), depth)));
            return Value::Map(entries.collect());
        }
        if field.is_list() {
            return Value::List((0..count).map(|_| self.value(&field.kind(), depth)).collect());
        }
        self.value(&field.kind(), depth)
    }

    fn key(&mut self, kind: &Kind) -> MapKey {
        self.value(kind, 0).into_map_key().unwrap()
    }

    fn value(&mut self, kind: &Kind, depth: usize) -> Value {
        match kind {
            Kind::Double => Value::F64(self.double()),
            Kind::Float => Value::F32(self.float()),
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => Value::I32(self.integer() as i32),
            Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => Value::I64(self.integer() as i64),
            Kind::Uint32 | Kind::Fixed32 => Value::U32(self.integer() as u32),
            Kind::Uint64 | Kind::Fixed64 => Value::U64(self.integer()),
            Kind::Bool => Value::Bool(self.0.bool()),
            Kind::String => Value::String(self.text()),
            Kind::Bytes => {
                let len = self.0.usize(0..9);
                Value::Bytes((0..len).map(|_| self.0.u8(..)).collect::<Vec<_>>().into())
            }
            Kind::Enum(kind) if kind.full_name() == "google.protobuf.NullValue" => {
                Value::EnumNumber(0)
            }
            Kind::Enum(_) => Value::EnumNumber(self.0.i32(-1..5)),
            Kind::Message(kind) => Value::Message(self.message(kind, depth.saturating_sub(1))),
        }
    }

    /// Small and large ones, and those at the borders.
    fn integer(&mut self) -> u64 {
        let any = self.0.u64(..) >> self.0.u32(0..64);
        match self.0.u8(0..6) {
            0 => 0_u64.wrapping_sub(any),
            1 => *self.0.choice(&[0, 1, u64::MAX, 1 << 31, (1 << 31) - 1, 1 << 63]).unwrap(),
            _ => any,
        }
    }

    fn double(&mut self) -> f64 {
        let any = match self.0.u8(0..3) {
            0 => *self.0.choice(&[f64::INFINITY, f64::NEG_INFINITY, f64::MAX, 5e-324]).unwrap(),
            _ => f64::from_bits(self.0.u64(..)),
        };
        let read = serde_json::from_str::<f64>(&serde_json::to_string(&any).unwrap()).ok();
        let is_usable = self.1 == Floats::Any && (any.is_infinite() || read == Some(any));
        if is_usable { any } else { f64::from(self.0.i32(-1000..1000)) / 8.0 }
    }

    fn float(&mut self) -> f32 {
        let any = match self.0.u8(0..3) {
            0 => *self.0.choice(&[f32::INFINITY, f32::NEG_INFINITY, 3e38, 1e-45]).unwrap(),
            _ => f32::from_bits(self.0.u32(..)),
        };
        let is_usable = self.1 == Floats::Any && !any.is_nan();
        if is_usable { any } else { self.0.i16(-1000..1000).into() }
    }

    fn text(&mut self) -> String {
        const PARTS: [&str; 14] = [
            "a",
            "plain text of some length",
            "\"",
            "\\",
            "\n",
            "\u{1}",
            "\u{7f}",
            "é",
            "😀",
            "/",
            "\u{2028}",
            "{",
            "0",
            "@type",
        ];
        (0..self.0.usize(0..5)).map(|_| *self.0.choice(&PARTS).unwrap()).collect()
    }

    /// Fills a type with a notation of its own so that it has one; false for others.
    fn well_known(
        &mut self,
        kind: &MessageDescriptor,
        message: &mut DynamicMessage,
        depth: usize,
    ) -> bool {
        let Some(name) = kind.full_name().strip_prefix("google.protobuf.") else { return false };
        let mut set = |name: &str, value: Value| message.set_field_by_name(name, value);
        match name {
            "Timestamp" => {
                set("seconds", Value::I64(self.0.i64(-62_135_596_800..253_402_300_800)));
                set("nanos", Value::I32(self.nanos()));
            }
            "Duration" => {
                let sign = if self.0.bool() { 1 } else { -1 };
                set("seconds", Value::I64(i64::from(sign) * self.0.i64(0..315_576_000_000)));
                set("nanos", Value::I32(sign * self.nanos()));
            }
            "FieldMask" => {
                let paths = ["name", "inner.some_name", "a.b.c_d1"];
                let paths = paths[..self.0.usize(0..4)].iter();
                set(
                    "paths",
                    Value::List(paths.map(|path| Value::String((*path).into())).collect()),
                );
            }
            "Value" => {
                let deep = if depth > 0 { 6 } else { 4 };
                let field = kind.get_field(self.0.u32(1..=deep)).unwrap();
                let value = match field.kind() {
                    Kind::Double => Value::F64(f64::from(self.0.i32(..)) / 4.0),
                    kind => self.value(&kind, depth),
                };
                message.set_field(&field, value);
            }
            // prost-reflect prints infinity in a wrapper as `null`.
            "DoubleValue" => set("value", Value::F64(f64::from(self.0.i32(..)) / 4.0)),
            "FloatValue" => set("value", Value::F32(self.0.i16(..).into())),
            "Any" => {
                let types = [
                    "google.protobuf.Duration",
                    "google.protobuf.Int64Value",
                    "everything.v1.Plain",
                ];
                let name = *self.0.choice(&types).unwrap();
                let kind = kind.parent_pool().get_message_by_name(name).unwrap();
                let content = self.message(&kind, 1).encode_to_vec();
                message.set_field_by_name("type_url", Value::String(format!("x.y/{name}")));
                message.set_field_by_name("value", Value::Bytes(content.into()));
            }
            _ => return false,
        }
        debug_assert_eq!(message.descriptor(), *kind);
        true
    }

    fn nanos(&mut self) -> i32 {
        *self.0.choice(&[0, 1, 1000, 250_000_000, 999_999_999]).unwrap()
    }

    /// The text with one thing changed.
    pub(super) fn mistake(&mut self, json: &[u8]) -> Vec<u8> {
        const VALUES: [&str; 24] = [
            "null",
            "true",
            "false",
            "0",
            "-0",
            "1",
            "-1",
            "1.0",
            "1e3",
            "1.5",
            "1e400",
            "\"\"",
            "\"1\"",
            "\"+1\"",
            "\"NaN\"",
            "\"inf\"",
            "\"AA==\"",
            "\"x\"",
            "{}",
            "[]",
            "[null]",
            "{\"a\":1}",
            "2147483648",
            "\"COLOR_RED\"",
        ];
        const BYTES: &[u8] = b"{}[]:,\"\\ \n019-+.eEunx/@\x01\xff";
        let mut json = json.to_vec();
        let at = self.0.usize(0..json.len());
        match self.0.u8(0..6) {
            0 => drop(json.remove(at)),
            1 => json.insert(at, *self.0.choice(BYTES).unwrap()),
            2 => json[at] = *self.0.choice(BYTES).unwrap(),
            3 => {
                let end = (at + self.0.usize(1..20)).min(json.len());
                let again = json[at..end].to_vec();
                json.splice(at..at, again);
            }
            _ => {
                // Another value behind some colon.
                let colons: Vec<usize> =
                    (0..json.len() - 1).filter(|at| json[*at..].starts_with(b"\":")).collect();
                let Some(colon) = self.0.choice(colons) else { return json };
                let end = json[colon + 2..].iter().position(|byte| matches!(byte, b',' | b'}'));
                let end = end.map_or(json.len(), |len| colon + 2 + len);
                json.splice(colon + 2..end, self.0.choice(&VALUES).unwrap().bytes());
            }
        }
        json
    }
}
