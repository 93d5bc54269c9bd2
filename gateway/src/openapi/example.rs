//! Examples: what a comment gives, as JSON of its field; for the name of another
//! resource, the example that this resource gives.

use std::collections::HashMap;

use prost_reflect::{DescriptorPool, FieldDescriptor, Kind, MessageDescriptor};
use serde_json::Value;

use super::comments::Comments;
use crate::schema::policy::extension;

/// Examples of the names of resources, by their type (AIP-122).
pub(super) struct Names(HashMap<String, String>);

impl Names {
    pub(super) fn new(pool: &DescriptorPool, comments: &Comments) -> Names {
        Names(pool.all_messages().filter_map(|kind| of_resource(&kind, comments)).collect())
    }

    /// The example of a field, if its contract has one that is a value of it.
    pub(super) fn of(&self, field: &FieldDescriptor, comments: &Comments) -> Option<Value> {
        if let Some(text) = comments.example(&field.parent_file(), field.path()) {
            return value(field, text);
        }
        let reference = extension(&field.options(), "google.api.resource_reference")?;
        let name = self.0.get(reference.get_field_by_name("type")?.as_str()?)?.clone();
        (field.kind() == Kind::String && !field.is_list()).then(|| name.into())
    }
}

fn of_resource(kind: &MessageDescriptor, comments: &Comments) -> Option<(String, String)> {
    let resource = extension(&kind.options(), "google.api.resource")?;
    let field = kind.get_field_by_name("name")?;
    let example = comments.example(&field.parent_file(), field.path())?;
    Some((resource.get_field_by_name("type")?.as_str()?.to_owned(), example.to_owned()))
}

/// Text is written as it is, everything else as JSON.
fn value(field: &FieldDescriptor, text: &str) -> Option<Value> {
    let is_text = match field.kind() {
        Kind::String | Kind::Bytes | Kind::Enum(_) => true,
        // ProtoJSON writes them as text.
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 | Kind::Uint64 | Kind::Fixed64 => true,
        Kind::Message(kind) => matches!(
            kind.full_name(),
            "google.protobuf.Timestamp"
                | "google.protobuf.Duration"
                | "google.protobuf.FieldMask"
                | "google.protobuf.StringValue"
                | "google.protobuf.BytesValue"
                | "google.protobuf.Int64Value"
                | "google.protobuf.UInt64Value"
        ),
        _ => false,
    };
    if is_text && !field.is_list() && !field.is_map() {
        return Some(text.into());
    }
    serde_json::from_str(text).ok()
}
