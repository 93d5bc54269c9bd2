//! Query parameters: `application/x-www-form-urlencoded` names and values, and
//! the fields that they name.

use percent_encoding::percent_decode_str;
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, Value};
use serde_json::Value as Json;

use super::{
    read, scalar,
    violation::{Findings, Reason},
};
use crate::route::path::escapes_are_whole;

/// Most parameters of one request; a list has no other bound in a query.
const MAX_PARAMETERS: usize = 256;

/// Deepest field path of a parameter (`a.b.c`); recursive messages have no other.
const MAX_PATH: usize = 16;

/// Parameters that clients and intermediaries add and that mean nothing here,
/// unless the request has a field of that name.
pub(super) fn is_ignored(name: &str) -> bool {
    name.starts_with("utm_") || matches!(name, "$alt" | "access_token")
}

/// A parameter, decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Parameter {
    pub(super) name: String,
    pub(super) value: String,
}

/// Splits and decodes a query.
pub(super) fn parse(query: &str, findings: &mut Findings) -> Vec<Parameter> {
    let mut parameters = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (Some(name), Some(value)) = (decode(name), decode(value)) else {
            let name = decode(name).unwrap_or_else(|| "query".to_owned());
            findings.add_at(name, Reason::InvalidValue, "malformed percent escape, or not UTF-8");
            continue;
        };
        if parameters.len() == MAX_PARAMETERS {
            let description = format!("more than {MAX_PARAMETERS} query parameters");
            findings.add_at(name, Reason::LimitExceeded, description);
            break;
        }
        parameters.push(Parameter { name, value });
    }
    parameters
}

fn decode(text: &str) -> Option<String> {
    if !escapes_are_whole(text) {
        return None;
    }
    let spaces = text.replace('+', " ");
    let decoded = percent_decode_str(&spaces).decode_utf8().ok()?;
    Some(decoded.into_owned())
}

/// The fields that a parameter names, from the request message down; nothing
/// when there is no such field, or one that a query cannot give.
pub(super) fn resolve(input: &MessageDescriptor, name: &str) -> Option<Vec<FieldDescriptor>> {
    let mut fields: Vec<FieldDescriptor> = Vec::new();
    for part in name.split('.') {
        let message = match fields.last() {
            None => input.clone(),
            Some(parent) if parent.is_list() || parent.is_map() => return None,
            Some(parent) => match parent.kind() {
                Kind::Message(message) if !read::is_well_known(&message) => message,
                _ => return None,
            },
        };
        fields.push(read::field_by_name(&message, part)?);
        if fields.len() > MAX_PATH {
            return None;
        }
    }
    takes(fields.last()?).then_some(fields)
}

/// Whether a parameter can give the field: one value, or a list of values.
pub(super) fn takes(field: &FieldDescriptor) -> bool {
    !field.is_map() && takes_text(&field.kind())
}

/// Whether a value of the kind can be written without JSON: scalars, and the
/// well-known types whose JSON is a string or a scalar.
fn takes_text(kind: &Kind) -> bool {
    match kind {
        Kind::Message(message) => {
            read::wrapped(message).is_some()
                || matches!(
                    message.full_name(),
                    "google.protobuf.Timestamp"
                        | "google.protobuf.Duration"
                        | "google.protobuf.FieldMask"
                )
        }
        _ => true,
    }
}

/// One value of a field from text.
pub(super) fn value(kind: &Kind, text: &str) -> Result<Value, scalar::Refusal> {
    let Kind::Message(message) = kind else {
        return scalar::from_text(kind, text);
    };
    if let Some(inner) = read::wrapped(message) {
        let mut wrapper = DynamicMessage::new(message.clone());
        wrapper.set_field(&inner, scalar::from_text(&inner.kind(), text)?);
        return Ok(Value::Message(wrapper));
    }
    DynamicMessage::deserialize(message.clone(), &Json::String(text.to_owned()))
        .map(Value::Message)
        .map_err(|error| (Reason::InvalidValue, format!("not a {}: {error}", message.name())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(query: &str) -> Result<Vec<(String, String)>, usize> {
        let mut findings = Findings::default();
        let parameters = parse(query, &mut findings);
        let pairs = parameters.into_iter().map(|pair| (pair.name, pair.value)).collect();
        findings.into_result(pairs).map_err(|violations| violations.len())
    }

    #[test]
    fn names_and_values_are_decoded_once() {
        let pairs = parsed("a=1&b.c=x+y%2B%26&a=&d&&%61=%2561").unwrap();
        let pairs: Vec<_> = pairs.iter().map(|(name, value)| (&name[..], &value[..])).collect();
        assert_eq!(pairs, [("a", "1"), ("b.c", "x y+&"), ("a", ""), ("d", ""), ("a", "%61")]);
        assert!(parsed("").unwrap().is_empty());
    }

    #[test]
    fn malformed_and_endless_queries_are_refused() {
        assert_eq!(parsed("a=%").unwrap_err(), 1);
        assert_eq!(parsed("%zz=1&b=%ff").unwrap_err(), 2);
        assert_eq!(parsed(&"a=1&".repeat(257)).unwrap_err(), 1);
        assert_eq!(parsed(&"a=1&".repeat(256)).unwrap().len(), 256);
    }
}
