//! The details of a refusal as JSON. A detail that cannot be read never costs the
//! client the refusal itself.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use prost::Message as _;
use prost_reflect::{Kind, MessageDescriptor};
use prost_types::Any;
use serde_json::json;
use tonic_types::pb;
use transcode::WriteOptions;

use crate::schema::Snapshot;

/// Writes a detail with its `@type`; one of a type that no contract names keeps
/// its bytes, for clients that know more than the edge.
pub(super) fn render(
    body: &mut Vec<u8>,
    detail: &Any,
    snapshot: &Snapshot,
    input: Option<&MessageDescriptor>,
) {
    let translated = translate(detail, input);
    let detail = translated.as_ref().unwrap_or(detail);
    let opaque = || {
        let value = BASE64_STANDARD.encode(&detail.value);
        json!({"@type": detail.type_url, "value": value}).to_string().into_bytes()
    };
    body.extend_from_slice(&known(detail, snapshot).unwrap_or_else(opaque));
}

/// Says which request was refused, in the form of a `google.rpc.RequestInfo`.
pub(super) fn request_info(body: &mut Vec<u8>, id: &str) {
    let info = json!({"@type": "type.googleapis.com/google.rpc.RequestInfo", "requestId": id});
    body.extend_from_slice(info.to_string().as_bytes());
}

fn known(detail: &Any, snapshot: &Snapshot) -> Option<Vec<u8>> {
    let any = snapshot.codec().message("google.protobuf.Any")?;
    let mut written = Vec::new();
    let wire = detail.encode_to_vec();
    snapshot.codec().to_json(any, &wire, &WriteOptions::default(), &mut written).ok()?;
    Some(written)
}

/// Services name fields as the contract does; a REST client knows them by their
/// JSON names.
fn translate(detail: &Any, input: Option<&MessageDescriptor>) -> Option<Any> {
    let input = input.filter(|_| detail.type_url.ends_with("/google.rpc.BadRequest"))?;
    let mut request = pb::BadRequest::decode(detail.value.as_slice()).ok()?;
    for violation in &mut request.field_violations {
        violation.field = json_path(input, &violation.field);
    }
    Some(Any { type_url: detail.type_url.clone(), value: request.encode_to_vec() })
}

/// `book.other_genres[2]` → `book.otherGenres[2]`. What does not follow the
/// message's fields is left as it is.
fn json_path(input: &MessageDescriptor, path: &str) -> String {
    let mut kind = Some(input.clone());
    let mut json = String::with_capacity(path.len());
    let mut rest = path;
    while !rest.is_empty() {
        if rest.starts_with('[') {
            let end = end_of_index(rest);
            json.push_str(&rest[..end]);
            rest = &rest[end..];
            // An index into a map leads to the entry's value.
            if let Some(entry) = kind.as_ref().filter(|kind| kind.is_map_entry()) {
                kind = entry.map_entry_value_field().kind().as_message().cloned();
            }
            continue;
        }
        if let Some(next) = rest.strip_prefix('.') {
            json.push('.');
            rest = next;
            continue;
        }
        let (name, next) = rest.split_at(rest.find(['.', '[']).unwrap_or(rest.len()));
        let field = kind.as_ref().and_then(|kind| kind.get_field_by_name(name));
        json.push_str(field.as_ref().map_or(name, |field| field.json_name()));
        kind = field.and_then(|field| match field.kind() {
            Kind::Message(kind) => Some(kind),
            _ => None,
        });
        rest = next;
    }
    json
}

/// A key may hold any character between quotes.
fn end_of_index(rest: &str) -> usize {
    let close = match rest.strip_prefix("[\"") {
        Some(key) => key.find("\"]").map(|at| at + 4),
        None => rest.find(']').map(|at| at + 1),
    };
    close.unwrap_or(rest.len())
}
