//! A message into JSON, by ProtoJSON: camelCase names, 64-bit integers as
//! strings, enums by name, fields with default values left out. Fields come in
//! the order of their numbers and maps in the order of their keys, so equal
//! messages are equal bytes.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use prost_reflect::{
    DynamicMessage, FieldDescriptor, Kind, MapKey, ReflectMessage as _, SerializeOptions, Value,
};
use thiserror::Error;

use super::read::{is_well_known, wrapped};

/// Deepest nesting that is written; `Any` opens a new message at every level, so
/// the limit of the decoder does not bound it.
const MAX_DEPTH: usize = 128;

/// Why a message cannot be written.
#[derive(Debug, Error)]
pub enum WriteError {
    /// The bytes are not a message of the type that the contract names.
    #[error("not a message of the type in the contract")]
    Decode(#[from] prost::DecodeError),
    /// An `Any` of a type that no contract names.
    #[error("no contract names the type `{0}`")]
    UnknownType(String),
    /// A value that its type's JSON notation does not have, such as a time
    /// before the year 1.
    #[error("a value has no JSON notation")]
    Value(#[from] serde_json::Error),
    /// Deeper than 128 levels.
    #[error("nested deeper than {MAX_DEPTH}")]
    TooDeep,
}

type Written = Result<(), WriteError>;

/// Writes a message.
///
/// # Errors
/// See [`WriteError`]; what was written by then is of no use.
pub fn message(out: &mut Vec<u8>, message: &DynamicMessage) -> Written {
    Writer { out, depth: 0 }.message(message)
}

/// Writes the value of one field, as when it is a response's body.
///
/// # Errors
/// As [`message`].
pub fn field(out: &mut Vec<u8>, field: &FieldDescriptor, value: &Value) -> Written {
    Writer { out, depth: 0 }.value(&field.kind(), value)
}

/// Writes a message as the content of an `Any`, with its `@type`.
///
/// # Errors
/// As [`message`].
pub fn any(out: &mut Vec<u8>, type_url: &str, message: &DynamicMessage) -> Written {
    Writer { out, depth: 0 }.any_content(type_url, message)
}

struct Writer<'a> {
    out: &'a mut Vec<u8>,
    depth: usize,
}

impl Writer<'_> {
    fn message(&mut self, message: &DynamicMessage) -> Written {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(WriteError::TooDeep);
        }
        let kind = &message.descriptor();
        if kind.full_name() == "google.protobuf.Any" {
            self.any(message)?;
        } else if let Some(inner) = wrapped(kind) {
            self.value(&inner.kind(), &message.get_field(&inner))?;
        } else if is_well_known(kind) {
            message.serialize_with_options(
                &mut serde_json::Serializer::new(&mut *self.out),
                &SerializeOptions::new(),
            )?;
        } else {
            self.out.push(b'{');
            self.fields(message, true)?;
            self.out.push(b'}');
        }
        self.depth -= 1;
        Ok(())
    }

    fn fields(&mut self, message: &DynamicMessage, mut first: bool) -> Written {
        for (field, value) in message.fields() {
            if !std::mem::take(&mut first) {
                self.out.push(b',');
            }
            self.text(field.json_name())?;
            self.out.push(b':');
            self.value(&field.kind(), value)?;
        }
        Ok(())
    }

    fn value(&mut self, kind: &Kind, value: &Value) -> Written {
        match value {
            Value::Bool(value) => self.json(value),
            Value::I32(value) => self.json(value),
            Value::U32(value) => self.json(value),
            Value::I64(value) => self.text(&value.to_string()),
            Value::U64(value) => self.text(&value.to_string()),
            Value::F32(value) if value.is_finite() => self.json(value),
            Value::F64(value) if value.is_finite() => self.json(value),
            Value::F32(value) => self.text(special(f64::from(*value))),
            Value::F64(value) => self.text(special(*value)),
            Value::String(value) => self.text(value),
            Value::Bytes(value) => self.text(&BASE64_STANDARD.encode(value)),
            Value::EnumNumber(number) => self.enum_value(kind, *number),
            Value::Message(value) => self.message(value),
            Value::List(values) => self.list(kind, values),
            Value::Map(entries) => self.map(kind, entries),
        }
    }

    fn list(&mut self, kind: &Kind, values: &[Value]) -> Written {
        self.out.push(b'[');
        for (at, value) in values.iter().enumerate() {
            if at > 0 {
                self.out.push(b',');
            }
            self.value(kind, value)?;
        }
        self.out.push(b']');
        Ok(())
    }

    fn map(&mut self, kind: &Kind, map: &std::collections::HashMap<MapKey, Value>) -> Written {
        let value_kind = match kind {
            Kind::Message(entry) => entry.map_entry_value_field().kind(),
            other => other.clone(),
        };
        let mut entries: Vec<_> = map.iter().collect();
        entries.sort_unstable_by_key(|(key, _)| *key);
        self.out.push(b'{');
        for (at, (key, value)) in entries.into_iter().enumerate() {
            if at > 0 {
                self.out.push(b',');
            }
            self.text(&key_text(key))?;
            self.out.push(b':');
            self.value(&value_kind, value)?;
        }
        self.out.push(b'}');
        Ok(())
    }

    /// A number that the contract does not name is written as a number.
    fn enum_value(&mut self, kind: &Kind, number: i32) -> Written {
        let Some(kind) = kind.as_enum() else { return self.json(&number) };
        if kind.full_name() == "google.protobuf.NullValue" {
            return self.json(&());
        }
        match kind.get_value(number) {
            Some(value) => self.text(value.name()),
            None => self.json(&number),
        }
    }

    fn any(&mut self, any: &DynamicMessage) -> Written {
        let field = |number| any.get_field_by_number(number);
        let type_url = field(1).as_deref().and_then(Value::as_str).unwrap_or_default().to_owned();
        if type_url.is_empty() {
            self.out.extend_from_slice(b"{}");
            return Ok(());
        }
        let name = type_url.rsplit('/').next().unwrap_or_default();
        let kind = any
            .descriptor()
            .parent_pool()
            .get_message_by_name(name)
            .ok_or_else(|| WriteError::UnknownType(type_url.clone()))?;
        let content = field(2).as_deref().and_then(Value::as_bytes).cloned().unwrap_or_default();
        let content = DynamicMessage::decode(kind, content)?;
        self.any_content(&type_url, &content)
    }

    fn any_content(&mut self, type_url: &str, content: &DynamicMessage) -> Written {
        self.out.extend_from_slice(b"{\"@type\":");
        self.text(type_url)?;
        if is_well_known(&content.descriptor()) {
            self.out.extend_from_slice(b",\"value\":");
            self.message(content)?;
        } else {
            self.depth += 1;
            if self.depth > MAX_DEPTH {
                return Err(WriteError::TooDeep);
            }
            self.fields(content, false)?;
            self.depth -= 1;
        }
        self.out.push(b'}');
        Ok(())
    }

    fn text(&mut self, text: &str) -> Written {
        self.json(text)
    }

    fn json<T: serde::Serialize + ?Sized>(&mut self, value: &T) -> Written {
        Ok(serde_json::to_writer(&mut *self.out, value)?)
    }
}

fn special(number: f64) -> &'static str {
    if number.is_nan() {
        "NaN"
    } else if number > 0.0 {
        "Infinity"
    } else {
        "-Infinity"
    }
}

fn key_text(key: &MapKey) -> String {
    match key {
        MapKey::Bool(key) => key.to_string(),
        MapKey::I32(key) => key.to_string(),
        MapKey::I64(key) => key.to_string(),
        MapKey::U32(key) => key.to_string(),
        MapKey::U64(key) => key.to_string(),
        MapKey::String(key) => key.clone(),
    }
}
