//! The key by which a call's instance is chosen: compiled from the contract, and
//! read from the encoded request or its headers without decoding anything.

use std::{fmt, sync::Arc};

use http::{HeaderMap, HeaderName};
use prost_reflect::{Kind, MessageDescriptor, MethodDescriptor};

use crate::{
    channel::hash,
    proto::{self, hash_key::Source},
    validate::wire::{Raw, Reader},
};

/// What the instance of a call is chosen by, `titan.mesh.v1.HashKey`. It is written
/// out as the contract has it: `field order.customer_id`, `header x-session`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HashKey {
    /// A field of the request.
    Field(FieldKey),
    /// A key of the call's metadata.
    Header(HeaderName),
}

/// A field of a request, by its path. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldKey {
    path: Arc<str>,
    /// Field numbers, outermost first.
    numbers: Arc<[u32]>,
}

impl HashKey {
    pub(super) fn compile(key: &proto::HashKey, method: &MethodDescriptor) -> Result<Self, String> {
        match &key.source {
            None => Err("hash_key names neither a field nor a header".to_owned()),
            Some(Source::Field(_)) if method.is_client_streaming() => {
                Err("hash_key.field needs a method with one request".to_owned())
            }
            Some(Source::Field(path)) => FieldKey::compile(path, method.input()).map(Self::Field),
            Some(Source::Header(name)) => header(name).map(Self::Header),
        }
    }

    /// The key of a call whose key stands in a header, unless it is absent or
    /// empty.
    pub(crate) fn of_headers(&self, headers: &HeaderMap) -> Option<u64> {
        let Self::Header(name) = self else { return None };
        let values = headers.get_all(name).iter().filter(|value| !value.is_empty());
        values
            .map(|value| value.as_bytes())
            .fold(None, |seed, value| Some(hash::bytes(value, seed.unwrap_or_default())))
    }
}

fn header(name: &str) -> Result<HeaderName, String> {
    // Metadata that is binary is written differently by every implementation.
    let usable = !name.starts_with("grpc-") && !name.ends_with("-bin");
    let lower = HeaderName::from_lowercase(name.as_bytes()).ok();
    lower.filter(|_| usable).ok_or_else(|| format!("hash_key.header cannot be {name:?}"))
}

impl FieldKey {
    fn compile(path: &str, request: MessageDescriptor) -> Result<Self, String> {
        let wrong = |why: &str| format!("hash_key.field {path:?} {why}");
        let (mut message, mut numbers) = (Some(request), Vec::new());
        for name in path.split('.') {
            let within = message.take().ok_or_else(|| wrong("goes into what is no message"))?;
            let field = within.get_field_by_name(name).ok_or_else(|| wrong("does not exist"))?;
            if field.is_list() || field.is_map() {
                return Err(wrong("is repeated"));
            }
            numbers.push(field.number());
            match field.kind() {
                Kind::Message(inner) if !field.is_group() => message = Some(inner),
                Kind::Double | Kind::Float | Kind::Message(_) => {
                    return Err(wrong("is of a type that has no equality"));
                }
                _ => {}
            }
        }
        if message.is_some() {
            return Err(wrong("is a message"));
        }
        Ok(Self { path: path.into(), numbers: numbers.into() })
    }

    /// The key of an encoded request, unless it is absent or its type's zero. What
    /// does not decode has no key, and its server refuses it.
    pub(crate) fn of_message(&self, message: &[u8]) -> Option<u64> {
        match last(message, &self.numbers)? {
            Raw::Bits(0) | Raw::Bytes([]) => None,
            Raw::Bits(bits) => Some(hash::bytes(&bits.to_le_bytes(), 0)),
            Raw::Bytes(bytes) => Some(hash::bytes(bytes, 0)),
        }
    }
}

/// The last value at a path, which is the one that counts.
fn last<'a>(message: &'a [u8], numbers: &[u32]) -> Option<Raw<'a>> {
    let (number, rest) = numbers.split_first()?;
    let mut reader = Reader::new(message);
    let mut found = None;
    while let Ok(Some(field)) = reader.field() {
        if field.number != *number {
            continue;
        }
        let here = if rest.is_empty() { Some(field.raw) } else { last(field.raw.bytes(), rest) };
        found = here.or(found);
    }
    found
}

impl fmt::Display for HashKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(field) => write!(f, "field {}", field.path),
            Self::Header(name) => write!(f, "header {name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use prost::Message as _;
    use prost_reflect::DescriptorPool;

    use super::*;
    use crate::proto::{Instance, RegisterRequest};

    fn compile(source: Source) -> Result<HashKey, String> {
        method_key("Register", source)
    }

    fn method_key(method: &str, source: Source) -> Result<HashKey, String> {
        let pool = DescriptorPool::decode(crate::DESCRIPTORS).unwrap();
        let service = pool.get_service_by_name("titan.mesh.v1.RegistryService").unwrap();
        let method = service.methods().find(|known| known.name() == method).unwrap();
        HashKey::compile(&proto::HashKey { source: Some(source) }, &method)
    }

    fn field(path: &str) -> FieldKey {
        match compile(Source::Field(path.to_owned())) {
            Ok(HashKey::Field(field)) => field,
            other => panic!("{path}: {other:?}"),
        }
    }

    fn request(id: &str, pid: u32) -> Vec<u8> {
        let instance = Instance { id: id.to_owned(), pid, ..Instance::default() };
        RegisterRequest { instance: Some(instance) }.encode_to_vec()
    }

    #[test]
    fn equal_fields_are_equal_keys_whatever_else_the_request_says() {
        let (id, pid) = (field("instance.id"), field("instance.pid"));
        assert_eq!(id.of_message(&request("a", 1)), id.of_message(&request("a", 2)));
        assert_ne!(id.of_message(&request("a", 1)), id.of_message(&request("b", 1)));
        assert_eq!(pid.of_message(&request("a", 1)), pid.of_message(&request("b", 1)));
        assert_ne!(pid.of_message(&request("a", 1)), pid.of_message(&request("a", 2)));
    }

    #[test]
    fn what_is_absent_or_empty_or_garbage_has_no_key() {
        let id = field("instance.id");
        for message in [request("", 7), Vec::new(), vec![0xff; 3], vec![0x0a, 0x05, 0x0a]] {
            assert_eq!(id.of_message(&message), None, "{message:?}");
        }
    }

    #[test]
    fn of_a_field_that_comes_twice_the_last_counts_as_it_does_for_who_decodes() {
        let id = field("instance.id");
        let twice = [request("a", 0), request("b", 0)].concat();
        let decoded = RegisterRequest::decode(twice.as_slice()).unwrap().instance.unwrap();
        assert_eq!(id.of_message(&twice), id.of_message(&request(&decoded.id, 0)));
        // A message that comes again is merged, not replaced.
        let merged = [request("a", 0), request("", 5)].concat();
        let decoded = RegisterRequest::decode(merged.as_slice()).unwrap().instance.unwrap();
        assert_eq!(id.of_message(&merged), id.of_message(&request(&decoded.id, 0)));
    }

    #[test]
    fn a_key_that_cannot_be_read_is_refused() {
        for path in [
            "",
            "id",
            "instance",
            "instance.nothing",
            "instance.id.more",
            "instance.labels",
            "instance.services",
            "instance.",
            ".instance.id",
            "instance.start_time",
        ] {
            let refused = compile(Source::Field(path.to_owned()));
            assert!(refused.is_err(), "{path}: {refused:?}");
        }
        for name in ["", "X-Session", "a b", "session-bin", "grpc-timeout", ":path"] {
            assert!(compile(Source::Header(name.to_owned())).is_err(), "{name}");
        }
        assert!(method_key("Watch", Source::Header("x-session".to_owned())).is_ok());
    }

    #[test]
    fn a_header_is_a_key_with_all_of_its_values() {
        let key = compile(Source::Header("x-session".to_owned())).unwrap();
        let headers = |values: &[&'static str]| {
            let values = values.iter().map(|value| http::HeaderValue::from_static(value));
            values.map(|value| (HeaderName::from_static("x-session"), value)).collect::<HeaderMap>()
        };
        let of = |values| key.of_headers(&headers(values));
        assert_eq!(of(&["a"]), of(&["a"]));
        assert_ne!(of(&["a"]), of(&["b"]));
        assert_ne!(of(&["a"]), of(&["a", "b"]));
        assert_eq!((of(&[]), of(&[""])), (None, None));
    }
}
