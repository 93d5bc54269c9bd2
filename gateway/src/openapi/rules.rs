//! The rules of `buf.validate` that JSON Schema can say too. The others are
//! enforced all the same, by the services.

use prost_reflect::{DynamicMessage, FieldDescriptor, Value as Field};
use serde_json::{Map, Value};

use crate::schema::policy::{child, extension};

/// Pairs of a rule and the keyword that says the same.
const TEXT: [(&str, &str); 4] = [
    ("min_len", "minLength"),
    ("max_len", "maxLength"),
    ("len", "minLength"),
    ("len", "maxLength"),
];
const NUMBER: [(&str, &str); 4] = [
    ("gte", "minimum"),
    ("lte", "maximum"),
    ("gt", "exclusiveMinimum"),
    ("lt", "exclusiveMaximum"),
];
const LIST: [(&str, &str); 2] = [("min_items", "minItems"), ("max_items", "maxItems")];
const MAP: [(&str, &str); 2] = [("min_pairs", "minProperties"), ("max_pairs", "maxProperties")];

/// Formats that JSON Schema has a name for.
const FORMATS: [(&str, &str); 7] = [
    ("email", "email"),
    ("hostname", "hostname"),
    ("ipv4", "ipv4"),
    ("ipv6", "ipv6"),
    ("uri", "uri"),
    ("uri_ref", "uri-reference"),
    ("uuid", "uuid"),
];

/// Numbers whose JSON is a number; 64-bit integers are strings.
const NUMBERS: [&str; 8] =
    ["int32", "sint32", "sfixed32", "uint32", "fixed32", "float", "double", "enum"];

/// The rules of a field; none when it has none.
pub(super) fn of(field: &FieldDescriptor) -> Option<DynamicMessage> {
    extension(&field.options(), "buf.validate.field")
}

/// The pattern of a field's text.
pub(super) fn pattern(field: &FieldDescriptor) -> Option<String> {
    let text = child(&of(field)?, "string")?;
    common_pattern(&text)
}

fn common_pattern(text: &DynamicMessage) -> Option<String> {
    string(text, "pattern").filter(|pattern| is_common(pattern))
}

/// Whether a value must be given.
pub(super) fn is_required(rules: &DynamicMessage) -> bool {
    flag(rules, "required")
}

/// Adds the rules for one value.
pub(super) fn value(rules: &DynamicMessage, schema: &mut Map<String, Value>) {
    if let Some(text) = child(rules, "string") {
        copy(&text, &TEXT, schema);
        for (rule, format) in FORMATS {
            if flag(&text, rule) {
                schema.insert("format".to_owned(), format.into());
            }
        }
        if let Some(pattern) = common_pattern(&text) {
            schema.insert("pattern".to_owned(), pattern.into());
        }
    }
    for kind in NUMBERS {
        if let Some(number) = child(rules, kind) {
            copy(&number, &NUMBER, schema);
        }
    }
}

/// Adds the rules for a list; those for its items come back.
pub(super) fn list(
    rules: &DynamicMessage,
    schema: &mut Map<String, Value>,
) -> Option<DynamicMessage> {
    let list = child(rules, "repeated")?;
    copy(&list, &LIST, schema);
    if flag(&list, "unique") {
        schema.insert("uniqueItems".to_owned(), true.into());
    }
    child(&list, "items")
}

/// Adds the rules for a map; those for its keys and values come back.
pub(super) fn map(
    rules: &DynamicMessage,
    schema: &mut Map<String, Value>,
) -> (Option<DynamicMessage>, Option<DynamicMessage>) {
    let Some(map) = child(rules, "map") else { return (None, None) };
    copy(&map, &MAP, schema);
    (child(&map, "keys"), child(&map, "values"))
}

fn copy(rules: &DynamicMessage, names: &[(&str, &str)], schema: &mut Map<String, Value>) {
    for (rule, keyword) in names {
        if !rules.has_field_by_name(rule) {
            continue;
        }
        if let Some(value) = rules.get_field_by_name(rule).and_then(|value| number(&value)) {
            schema.insert((*keyword).to_owned(), value);
        }
    }
}

fn number(value: &Field) -> Option<Value> {
    Some(match value {
        Field::I32(number) => (*number).into(),
        Field::U32(number) => (*number).into(),
        Field::I64(number) => (*number).into(),
        Field::U64(number) => (*number).into(),
        Field::F32(number) => serde_json::Number::from_f64(f64::from(*number))?.into(),
        Field::F64(number) => serde_json::Number::from_f64(*number)?.into(),
        _ => return None,
    })
}

fn flag(rules: &DynamicMessage, name: &str) -> bool {
    rules.get_field_by_name(name).and_then(|value| value.as_bool()).unwrap_or_default()
}

fn string(rules: &DynamicMessage, name: &str) -> Option<String> {
    let value = rules.get_field_by_name(name)?;
    value.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

/// What RE2 and ECMA-262 read alike.
fn is_common(pattern: &str) -> bool {
    !["(?", "\\A", "\\z", "\\Q", "\\C", "\\p", "\\P", "[["].iter().any(|own| pattern.contains(own))
}
