//! JSON requests into protobuf and back, by a rule of `google.api.http` and
//! ProtoJSON. The only module that knows how messages are represented in
//! memory; everything else hands bytes in and takes bytes out.
//!
//! A value comes from the path before the body before the query, and two sources
//! that disagree are refused, so that what a policy saw in one place cannot be
//! changed from another. Fields with default values are left out of responses,
//! as ProtoJSON does.

pub mod bind;
pub mod json;
mod mask;
mod query;
mod read;
mod scalar;
pub mod violation;
pub mod write;

use bytes::Bytes;
use prost::Message;
use prost_reflect::{DynamicMessage, FieldDescriptor, MessageDescriptor, ReflectMessage as _};

pub use bind::Request;
pub(crate) use mask::behaviors;
pub use violation::{Reason, Violation};

use crate::schema::Route;

/// The type whose content goes over HTTP as it is.
const HTTP_BODY: &str = "google.api.HttpBody";

/// The body of an HTTP response.
#[derive(Debug, PartialEq, Eq)]
pub struct Rendered {
    /// Its `content-type`.
    pub content_type: String,
    /// Its bytes.
    pub body: Bytes,
}

/// Turns an HTTP request into the encoded request message of its method.
///
/// # Errors
/// Every mistake that was found, by field; at most [`violation::MAX`] of them.
pub fn request(route: &Route, request: &Request<'_>) -> Result<Vec<u8>, Vec<Violation>> {
    bind::message(route, request).map(|message| message.encode_to_vec())
}

/// Turns an encoded response message into the body of an HTTP response.
///
/// # Errors
/// When the bytes are not such a message, or it cannot be written as JSON: the
/// service and its contract disagree.
pub fn response(route: &Route, encoded: Bytes) -> Result<Rendered, write::WriteError> {
    let message = DynamicMessage::decode(route.rpc.method.output(), encoded)?;
    let mut body = Vec::with_capacity(256);
    match &route.binding.response_body {
        None if is_http_body(&route.rpc.method.output()) => return Ok(raw(&message)),
        None => write::message(&mut body, &message)?,
        Some(field) => {
            let value = message.get_field(field);
            match value.as_message() {
                Some(message) if is_http_body(&message.descriptor()) => return Ok(raw(message)),
                _ => write::field(&mut body, field, &value)?,
            }
        }
    }
    Ok(Rendered { content_type: "application/json".to_owned(), body: body.into() })
}

/// Whether a request's body is taken as it is, whatever its content type.
#[must_use]
pub fn takes_raw_body(route: &Route) -> bool {
    use crate::schema::Body;
    match &route.binding.body {
        Body::None => false,
        Body::Whole => is_http_body(&route.rpc.method.input()),
        Body::Field(field) => field.kind().as_message().is_some_and(is_http_body),
    }
}

/// Whether a query parameter can give the field.
pub(crate) fn query_takes(field: &FieldDescriptor) -> bool {
    query::takes(field)
}

fn is_http_body(message: &MessageDescriptor) -> bool {
    message.full_name() == HTTP_BODY
}

fn raw(message: &DynamicMessage) -> Rendered {
    let content_type = message.get_field_by_name("content_type");
    let content_type = content_type.as_deref().and_then(prost_reflect::Value::as_str);
    let data = message.get_field_by_name("data");
    Rendered {
        content_type: content_type
            .filter(|text| !text.is_empty())
            .unwrap_or("application/octet-stream")
            .to_owned(),
        body: data.as_deref().and_then(prost_reflect::Value::as_bytes).cloned().unwrap_or_default(),
    }
}
