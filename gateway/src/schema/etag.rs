//! Where a message has the `etag` of a resource (AIP-154), read from and added to
//! its encoded form.

use std::sync::Arc;

use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};
use transcode::{FieldPath, Schema};

const NAME: &str = "etag";

/// The way from a message to its resource's etag.
#[derive(Debug)]
pub(crate) struct Etag {
    codec: Arc<Schema>,
    path: FieldPath,
}

impl Etag {
    /// Of what a response's body shows.
    pub(crate) fn of_response(
        codec: &Arc<Schema>,
        output: &MessageDescriptor,
        shown: Option<&FieldDescriptor>,
    ) -> Option<Etag> {
        match shown {
            None => own(codec, output),
            Some(field) => within(codec, field),
        }
    }

    /// Of what a request is to change: its own, as deletions have it, or that of
    /// the resource in its body.
    pub(crate) fn of_request(
        codec: &Arc<Schema>,
        input: &MessageDescriptor,
        body: Option<&FieldDescriptor>,
    ) -> Option<Etag> {
        own(codec, input).or_else(|| within(codec, body?))
    }

    /// The etag in an encoded message; nothing when it is empty or absent.
    pub(crate) fn read<'a>(&self, message: &'a [u8]) -> Option<&'a str> {
        let found = self.codec.find(&self.path, message)?;
        std::str::from_utf8(found).ok().filter(|etag| !etag.is_empty())
    }

    /// Adds an etag to an encoded message: of a field that comes twice the last
    /// counts, and messages that come twice are merged.
    pub(crate) fn append(&self, message: &mut Vec<u8>, etag: &str) {
        let added = self.codec.text_to_wire(&self.path, etag, message);
        added.expect("any text is a string");
    }
}

fn own(codec: &Arc<Schema>, message: &MessageDescriptor) -> Option<Etag> {
    has(message).then(|| at(codec, message, NAME))?
}

fn within(codec: &Arc<Schema>, field: &FieldDescriptor) -> Option<Etag> {
    let one = !field.is_list() && !field.is_map();
    let resource = field.kind().as_message().filter(|_| one)?.clone();
    let path = format!("{}.{NAME}", field.name());
    has(&resource).then(|| at(codec, field.parent_message(), &path))?
}

fn at(codec: &Arc<Schema>, message: &MessageDescriptor, names: &str) -> Option<Etag> {
    let path = codec.field_path(codec.message(message.full_name())?, names)?;
    Some(Etag { codec: codec.clone(), path })
}

fn has(message: &MessageDescriptor) -> bool {
    let field = message.get_field_by_name(NAME);
    field.is_some_and(|field| !field.is_list() && field.kind() == Kind::String)
}
