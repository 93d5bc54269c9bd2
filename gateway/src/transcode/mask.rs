//! The update mask of a PATCH that has none: the fields that its body holds, as
//! clients expect who know JSON Merge Patch (AIP-134 and AIP-127).

use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, Value};
use serde_json::Value as Json;

use super::read;

/// `google.api.FieldBehavior` values that a client may send back as it got them
/// but never changes (AIP-203): OUTPUT_ONLY and IDENTIFIER.
const NOT_UPDATABLE: [i32; 2] = [3, 8];

/// The one update mask of a request message; none when it has none or several.
pub(super) fn field(input: &MessageDescriptor) -> Option<FieldDescriptor> {
    let mut masks = input.fields().filter(|field| {
        let kind = field.kind();
        let mask = kind.as_message().map(MessageDescriptor::full_name);
        mask == Some("google.protobuf.FieldMask") && !field.is_list()
    });
    let mask = masks.next()?;
    masks.next().is_none().then_some(mask)
}

/// The mask for a body that becomes a message of this kind.
pub(super) fn of(kind: &MessageDescriptor, body: &Json, mask: &FieldDescriptor) -> Value {
    let mut paths = Vec::new();
    collect(kind, body, "", &mut paths);
    let mut message = match mask.kind() {
        Kind::Message(kind) => DynamicMessage::new(kind),
        _ => unreachable!("`field` returns messages only"),
    };
    let paths = paths.into_iter().map(Value::String).collect();
    message.set_field_by_name("paths", Value::List(paths));
    Value::Message(message)
}

/// Lists, maps and well-known types are replaced as a whole; messages field by
/// field. `null` is named too: it clears the field.
fn collect(kind: &MessageDescriptor, body: &Json, prefix: &str, paths: &mut Vec<String>) {
    let Json::Object(object) = body else { return };
    for (name, value) in object {
        let Some(field) = read::field_by_name(kind, name) else { continue };
        if !is_updatable(&field, prefix.is_empty()) {
            continue;
        }
        let path = format!("{prefix}{}", field.name());
        match (field.kind(), value) {
            (Kind::Message(kind), Json::Object(inner))
                if !field.is_list()
                    && !field.is_map()
                    && !inner.is_empty()
                    && !read::is_well_known(&kind) =>
            {
                collect(&kind, value, &format!("{path}."), paths);
            }
            _ => paths.push(path),
        }
    }
}

/// An etag says which version is meant, it is not a value to write (AIP-154).
fn is_updatable(field: &FieldDescriptor, top: bool) -> bool {
    let etag = top && field.name() == "etag" && field.kind() == Kind::String;
    !etag && !behaviors(field).iter().any(|behavior| NOT_UPDATABLE.contains(behavior))
}

/// The numbers of a field's `google.api.field_behavior`.
pub(crate) fn behaviors(field: &FieldDescriptor) -> Vec<i32> {
    let options = field.options();
    let pool = field.parent_pool();
    let Some(extension) = pool.get_extension_by_name("google.api.field_behavior") else {
        return Vec::new();
    };
    let value = options.get_extension(&extension);
    let values = value.as_list().unwrap_or_default();
    values.iter().filter_map(Value::as_enum_number).collect()
}
