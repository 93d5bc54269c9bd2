//! Reading the messages of `buf/validate/validate.proto` from descriptors: each
//! field that is set is handed out by name, so that none can be overlooked.

use prost_reflect::{DynamicMessage, ReflectMessage as _, Value};

/// What is wrong with a rule; the compiler adds the field it stands on.
pub(super) type Problem = String;

/// The fields of `rules` that are set.
pub(super) fn settings(rules: &DynamicMessage) -> Result<Vec<(String, &Value)>, Problem> {
    if let Some((extension, _)) = rules.extensions().next() {
        return Err(unsupported(extension.full_name()));
    }
    if let Some(unknown) = rules.unknown_fields().next() {
        let number = unknown.number();
        return Err(format!("rule number {number} is unknown, its definition is newer"));
    }
    Ok(rules.fields().map(|(field, value)| (field.name().to_owned(), value)).collect())
}

pub(super) fn unsupported(rule: &str) -> Problem {
    format!("`{rule}` is not supported")
}

pub(super) fn wrong_type(rule: &str) -> Problem {
    format!("`{rule}` has a value of an unexpected type")
}

/// The value of a rule such as `in`, read item by item.
pub(super) fn list<T>(
    rule: &str,
    value: &Value,
    read: impl Fn(&Value) -> Option<T>,
) -> Result<Box<[T]>, Problem> {
    let items = value.as_list().ok_or_else(|| wrong_type(rule))?;
    items.iter().map(|item| read(item).ok_or_else(|| wrong_type(rule))).collect()
}

/// A value as it is shown to people.
pub(super) fn show(value: &Value) -> String {
    match value {
        Value::Bool(value) => value.to_string(),
        Value::I32(value) | Value::EnumNumber(value) => value.to_string(),
        Value::I64(value) => value.to_string(),
        Value::U32(value) => value.to_string(),
        Value::U64(value) => value.to_string(),
        Value::F32(value) => value.to_string(),
        Value::F64(value) => value.to_string(),
        Value::String(value) => value.clone(),
        Value::Bytes(value) => value.iter().map(|byte| format!("{byte:02x}")).collect(),
        Value::List(items) => {
            format!("[{}]", items.iter().map(show).collect::<Vec<_>>().join(", "))
        }
        Value::Message(message) => show_message(message),
        Value::Map(_) => String::new(),
    }
}

fn show_message(message: &DynamicMessage) -> String {
    match message.descriptor().full_name() {
        "google.protobuf.Timestamp" => {
            message.transcode_to::<prost_types::Timestamp>().map(|time| time.to_string())
        }
        "google.protobuf.Duration" => {
            message.transcode_to::<prost_types::Duration>().map(|span| span.to_string())
        }
        _ => message.transcode_to::<prost_types::FieldMask>().map(|mask| mask.paths.join(", ")),
    }
    .unwrap_or_default()
}
