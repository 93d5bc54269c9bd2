//! A JSON value into a message, by ProtoJSON, strictly: no unknown names, no
//! field twice (by its JSON and its proto name, or two of a oneof), no value of
//! another type. All mistakes are collected with their places.

use std::collections::{HashMap, HashSet};

use prost_reflect::{
    DeserializeOptions, DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, Value,
};
use serde_json::Value as Json;

use super::{
    scalar,
    violation::{Findings, Reason, Step},
};

/// Reads an object into a message, or a well-known type's own notation.
/// Mistakes go into the findings; none means that the result is whole.
pub(super) fn message(
    kind: &MessageDescriptor,
    json: &Json,
    findings: &mut Findings,
) -> Option<DynamicMessage> {
    if is_well_known(kind) {
        return well_known(kind, json, findings);
    }
    let Json::Object(object) = json else {
        findings.add(Reason::InvalidType, "expected an object");
        return None;
    };
    let mut message = DynamicMessage::new(kind.clone());
    let mut seen = HashSet::with_capacity(object.len());
    for (name, json) in object {
        findings.at(Step::Name(name.clone()), |findings| {
            let Some(field) = field_by_name(kind, name) else {
                findings.add(Reason::UnknownField, format!("{} has no such field", kind.name()));
                return;
            };
            if !seen.insert(field.number()) {
                findings.add(Reason::DuplicateField, "given under its other name as well");
                return;
            }
            set_field(&mut message, &field, json, findings);
        });
    }
    Some(message)
}

/// A field by its JSON name, or else by its name in the contract.
pub(super) fn field_by_name(kind: &MessageDescriptor, name: &str) -> Option<FieldDescriptor> {
    kind.get_field_by_json_name(name).or_else(|| kind.get_field_by_name(name))
}

/// Whether a message has a notation of its own in JSON.
pub(super) fn is_well_known(kind: &MessageDescriptor) -> bool {
    kind.full_name().strip_prefix("google.protobuf.").is_some_and(|name| {
        is_wrapper(name)
            || matches!(
                name,
                "Any"
                    | "Duration"
                    | "Empty"
                    | "FieldMask"
                    | "ListValue"
                    | "Struct"
                    | "Timestamp"
                    | "Value"
            )
    })
}

/// The field within a wrapper type such as `google.protobuf.Int32Value`.
pub(super) fn wrapped(kind: &MessageDescriptor) -> Option<FieldDescriptor> {
    let name = kind.full_name().strip_prefix("google.protobuf.")?;
    is_wrapper(name).then(|| kind.get_field(1))?
}

fn is_wrapper(name: &str) -> bool {
    name != "Value" && name.ends_with("Value") && !matches!(name, "ListValue" | "NullValue")
}

fn well_known(
    kind: &MessageDescriptor,
    json: &Json,
    findings: &mut Findings,
) -> Option<DynamicMessage> {
    if let Some(inner) = wrapped(kind) {
        let value = single(&inner.kind(), json, findings)?;
        let mut message = DynamicMessage::new(kind.clone());
        message.set_field(&inner, value);
        return Some(message);
    }
    // Strict JSON has no duplicate names any more; unknown ones are refused by
    // default.
    let options = DeserializeOptions::new();
    match DynamicMessage::deserialize_with_options(kind.clone(), json, &options) {
        Ok(message) => Some(message),
        Err(error) => {
            findings.add(Reason::InvalidValue, format!("not a {}: {error}", kind.name()));
            None
        }
    }
}

fn set_field(
    message: &mut DynamicMessage,
    field: &FieldDescriptor,
    json: &Json,
    findings: &mut Findings,
) {
    if json.is_null() && !takes_null(field) {
        return;
    }
    if let Some(other) = other_of_oneof(message, field) {
        findings.add(Reason::Conflict, format!("`{}` excludes it", other.json_name()));
        return;
    }
    if let Some(value) = self::field(field, json, findings) {
        message.set_field(field, value);
    }
}

/// `null` means absent, but where it is a value of the field's type.
fn takes_null(field: &FieldDescriptor) -> bool {
    let own = match field.kind() {
        Kind::Message(message) => message.full_name() == "google.protobuf.Value",
        Kind::Enum(kind) => kind.full_name() == "google.protobuf.NullValue",
        _ => false,
    };
    own && !field.is_list() && !field.is_map()
}

/// Another field of the same oneof that is set already.
pub(super) fn other_of_oneof(
    message: &DynamicMessage,
    field: &FieldDescriptor,
) -> Option<FieldDescriptor> {
    let oneof = field.containing_oneof()?;
    oneof.fields().find(|other| other != field && message.has_field(other))
}

/// The value of a field, which may be a list or a map.
pub(super) fn field(
    field: &FieldDescriptor,
    json: &Json,
    findings: &mut Findings,
) -> Option<Value> {
    if field.is_map() {
        return map(field, json, findings).map(Value::Map);
    }
    if field.is_list() {
        return list(field, json, findings).map(Value::List);
    }
    single(&field.kind(), json, findings)
}

fn single(kind: &Kind, json: &Json, findings: &mut Findings) -> Option<Value> {
    if let Kind::Message(kind) = kind {
        return message(kind, json, findings).map(Value::Message);
    }
    match scalar::from_json(kind, json) {
        Ok(value) => Some(value),
        Err((reason, description)) => {
            findings.add(reason, description);
            None
        }
    }
}

fn list(field: &FieldDescriptor, json: &Json, findings: &mut Findings) -> Option<Vec<Value>> {
    let Json::Array(items) = json else {
        findings.add(Reason::InvalidType, "expected an array");
        return None;
    };
    let kind = field.kind();
    let values = items.iter().enumerate().filter_map(|(index, item)| {
        findings.at(Step::Index(index), |findings| element(&kind, item, findings))
    });
    Some(values.collect())
}

fn map(
    field: &FieldDescriptor,
    json: &Json,
    findings: &mut Findings,
) -> Option<HashMap<MapKey, Value>> {
    let Json::Object(object) = json else {
        findings.add(Reason::InvalidType, "expected an object");
        return None;
    };
    let kind = field.kind();
    let entry = kind.as_message()?;
    let (key_kind, value_kind) =
        (entry.map_entry_key_field().kind(), entry.map_entry_value_field().kind());
    let mut map = HashMap::with_capacity(object.len());
    for (name, json) in object {
        findings.at(Step::Key(name.clone()), |findings| {
            let key = match scalar::from_text(&key_kind, name) {
                Ok(key) => key.into_map_key(),
                Err((reason, description)) => {
                    findings.add(reason, format!("key: {description}"));
                    None
                }
            };
            let (Some(key), Some(value)) = (key, element(&value_kind, json, findings)) else {
                return;
            };
            // `1` and `01` are the same key.
            if map.insert(key, value).is_some() {
                findings.add(Reason::DuplicateField, "the key is given twice");
            }
        });
    }
    Some(map)
}

/// An element of a list or map, where `null` cannot mean absent.
fn element(kind: &Kind, json: &Json, findings: &mut Findings) -> Option<Value> {
    let null_is_value = match kind {
        Kind::Message(message) => message.full_name() == "google.protobuf.Value",
        Kind::Enum(kind) => kind.full_name() == "google.protobuf.NullValue",
        _ => false,
    };
    if json.is_null() && !null_is_value {
        findings.add(Reason::InvalidType, "null is not an element");
        return None;
    }
    single(kind, json, findings)
}
