//! Examples: what a comment gives; for the name of another resource, the example
//! that this resource gives.

use std::collections::HashMap;

use prost_reflect::{DescriptorPool, FieldDescriptor, MessageDescriptor};

use super::comments::Comments;
use crate::schema::policy::extension;

/// Examples of the names of resources, by their type (AIP-122).
pub(super) struct Names(HashMap<String, String>);

impl Names {
    pub(super) fn new(pool: &DescriptorPool, comments: &Comments) -> Names {
        Names(pool.all_messages().filter_map(|kind| of_resource(&kind, comments)).collect())
    }

    /// The example of a field, as its contract writes it.
    pub(super) fn of<'a>(
        &'a self,
        field: &FieldDescriptor,
        comments: &'a Comments,
    ) -> Option<&'a str> {
        let own = comments.example(&field.parent_file(), field.path());
        own.or_else(|| {
            let reference = extension(&field.options(), "google.api.resource_reference")?;
            self.0.get(reference.get_field_by_name("type")?.as_str()?).map(String::as_str)
        })
    }
}

fn of_resource(kind: &MessageDescriptor, comments: &Comments) -> Option<(String, String)> {
    let resource = extension(&kind.options(), "google.api.resource")?;
    let field = kind.get_field_by_name("name")?;
    let example = comments.example(&field.parent_file(), field.path())?;
    Some((resource.get_field_by_name("type")?.as_str()?.to_owned(), example.to_owned()))
}
