//! Where a message has the `etag` of a resource (AIP-154), read from and added to
//! its encoded form.

use prost::{
    bytes::Buf as _,
    encoding::{
        DecodeContext, WireType, decode_key, decode_varint, encode_key, encode_varint, skip_field,
    },
};
use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};

const NAME: &str = "etag";

/// Numbers of the fields from a message down to its resource's etag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Etag(Vec<u32>);

impl Etag {
    /// Of what a response's body shows.
    pub(crate) fn of_response(
        output: &MessageDescriptor,
        shown: Option<&FieldDescriptor>,
    ) -> Option<Etag> {
        match shown {
            None => Some(Etag(vec![own(output)?])),
            Some(field) => within(field),
        }
    }

    /// Of what a request is to change: its own, as deletions have it, or that of
    /// the resource in its body.
    pub(crate) fn of_request(
        input: &MessageDescriptor,
        body: Option<&FieldDescriptor>,
    ) -> Option<Etag> {
        own(input).map(|own| Etag(vec![own])).or_else(|| within(body?))
    }

    /// The etag in an encoded message; nothing when it is empty or absent.
    pub(crate) fn read<'a>(&self, message: &'a [u8]) -> Option<&'a str> {
        let found = find(message, &self.0)?;
        std::str::from_utf8(found).ok().filter(|etag| !etag.is_empty())
    }

    /// Adds an etag to an encoded message: of a field that comes twice the last
    /// counts, and messages that come twice are merged.
    pub(crate) fn append(&self, message: &mut Vec<u8>, etag: &str) {
        let mut value = etag.as_bytes().to_vec();
        for number in self.0.iter().rev() {
            let mut field = Vec::with_capacity(value.len() + 6);
            encode_key(*number, WireType::LengthDelimited, &mut field);
            encode_varint(value.len() as u64, &mut field);
            field.extend_from_slice(&value);
            value = field;
        }
        message.extend_from_slice(&value);
    }
}

fn own(message: &MessageDescriptor) -> Option<u32> {
    let field = message.get_field_by_name(NAME)?;
    (!field.is_list() && field.kind() == Kind::String).then(|| field.number())
}

fn within(field: &FieldDescriptor) -> Option<Etag> {
    if field.is_list() || field.is_map() {
        return None;
    }
    Some(Etag(vec![field.number(), own(field.kind().as_message()?)?]))
}

fn find<'a>(mut message: &'a [u8], path: &[u32]) -> Option<&'a [u8]> {
    let (number, below) = path.split_first()?;
    let mut found = None;
    while message.has_remaining() {
        let (tag, wire) = decode_key(&mut message).ok()?;
        if tag != *number || wire != WireType::LengthDelimited {
            skip_field(wire, tag, &mut message, DecodeContext::default()).ok()?;
            continue;
        }
        let length = usize::try_from(decode_varint(&mut message).ok()?).ok()?;
        let (value, rest) = message.split_at_checked(length)?;
        message = rest;
        found = if below.is_empty() { Some(value) } else { find(value, below).or(found) };
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_etag_that_is_added_is_the_one_that_is_read() {
        for path in [vec![3], vec![1, 9], vec![2, 1_000]] {
            let etag = Etag(path);
            let mut message = vec![0x28, 0x07];
            assert_eq!(etag.read(&message), None);
            etag.append(&mut message, "first");
            etag.append(&mut message, "second");
            message.extend([0x28, 0x08]);
            assert_eq!(etag.read(&message), Some("second"));
            etag.append(&mut message, "");
            assert_eq!(etag.read(&message), None, "an empty one is none");
        }
    }

    #[test]
    fn bytes_that_are_no_message_have_no_etag() {
        let etag = Etag(vec![1, 1]);
        for broken in
            [&[0x0a][..], &[0x0a, 0xff], &[0x0a, 0x05, 0x0a], &[0x0a, 0x02, 0x0a, 0x09], &[0x07]]
        {
            assert_eq!(etag.read(broken), None, "{broken:?}");
        }
    }
}
