//! One HTTP request into one message: body, path and query, each into its
//! fields, and none of them against another.

use prost_reflect::{DynamicMessage, FieldDescriptor, ReflectMessage as _, Value};
use serde_json::Value as Json;

use super::{
    json, mask, query, read,
    violation::{Findings, Reason, Step, Violation},
};
use crate::{
    route::Verb,
    schema::{Body, Route},
};

/// The parts of an HTTP request that become a message.
#[derive(Clone, Copy, Debug, Default)]
pub struct Request<'a> {
    /// Values of the path's variables, in the order of the template.
    pub captures: &'a [String],
    /// The query, without the question mark.
    pub query: &'a str,
    /// The body.
    pub body: &'a [u8],
    /// Its `content-type`, which only a raw body (`google.api.HttpBody`) keeps.
    pub content_type: &'a str,
}

/// Builds the request message.
pub(super) fn message(
    route: &Route,
    request: &Request<'_>,
) -> Result<DynamicMessage, Vec<Violation>> {
    let mut findings = Findings::default();
    let mut message = DynamicMessage::new(route.rpc.method.input());
    let json = bind_body(route, request, &mut message, &mut findings);
    bind_path(route, request, &mut message, &mut findings);
    bind_query(route, request, &mut message, &mut findings);
    if let Some(json) = &json {
        fill_mask(route, json, &mut message);
    }
    findings.into_result(message)
}

fn bind_body(
    route: &Route,
    request: &Request<'_>,
    message: &mut DynamicMessage,
    findings: &mut Findings,
) -> Option<Json> {
    if super::takes_raw_body(route) {
        raw_body(route, request, message);
        return None;
    }
    if route.binding.body == Body::None {
        if !request.body.is_empty() {
            findings.add(Reason::UnexpectedBody, "this method takes no body");
        }
        return None;
    }
    let json = parse_body(route, request.body, findings)?;
    match &route.binding.body {
        Body::None => {}
        Body::Whole => {
            if let Some(read) = read::message(&message.descriptor(), &json, findings) {
                *message = read;
            }
        }
        Body::Field(field) => findings.at(step(field), |findings| {
            // An empty body is an empty message: presence without content.
            if let Some(value) = read::field(field, &json, findings) {
                message.set_field(field, value);
            }
        }),
    }
    Some(json)
}

fn step(field: &FieldDescriptor) -> Step {
    Step::Name(field.json_name().to_owned())
}

fn parse_body(route: &Route, body: &[u8], findings: &mut Findings) -> Option<Json> {
    // No body and a body of spaces are an empty object.
    if body.iter().all(u8::is_ascii_whitespace) {
        return Some(Json::Object(serde_json::Map::new()));
    }
    let parsed = json::parse(body).and_then(|json| match json {
        Json::Null => Err(Violation {
            field: String::new(),
            reason: Reason::InvalidType,
            description: "the body must not be null".to_owned(),
        }),
        json => Ok(json),
    });
    match parsed {
        Ok(json) => Some(json),
        Err(violation) => {
            let field = match &route.binding.body {
                Body::Field(field) => within(field.json_name(), &violation.field),
                _ => violation.field,
            };
            findings.add_at(field, violation.reason, violation.description);
            None
        }
    }
}

fn within(parent: &str, path: &str) -> String {
    match path.chars().next() {
        None => parent.to_owned(),
        Some('[') => format!("{parent}{path}"),
        Some(_) => format!("{parent}.{path}"),
    }
}

fn raw_body(route: &Route, request: &Request<'_>, message: &mut DynamicMessage) {
    let fill = |target: &mut DynamicMessage| {
        let content_type = Value::String(request.content_type.to_owned());
        target.set_field_by_name("content_type", content_type);
        let data = bytes::Bytes::copy_from_slice(request.body);
        target.set_field_by_name("data", Value::Bytes(data));
    };
    match &route.binding.body {
        Body::Field(field) => {
            if let Some(inner) = message.get_field_mut(field).as_message_mut() {
                fill(inner);
            }
        }
        _ => fill(message),
    }
}

fn bind_path(
    route: &Route,
    request: &Request<'_>,
    message: &mut DynamicMessage,
    findings: &mut Findings,
) {
    for (fields, text) in route.binding.variables.iter().zip(request.captures) {
        let Some(leaf) = fields.last() else { continue };
        let name = json_path(fields);
        match query::value(&leaf.kind(), text) {
            Err((reason, description)) => findings.add_at(name, reason, description),
            Ok(value) => match put(message, fields, value.clone()) {
                Put::Done => {}
                Put::Taken(present) if present == value => {}
                Put::Taken(_) => {
                    findings.add_at(name, Reason::Conflict, "the path says otherwise");
                }
                Put::Excluded(other) => {
                    let description = format!("the path excludes `{other}`");
                    findings.add_at(name, Reason::Conflict, description);
                }
            },
        }
    }
}

fn bind_query(
    route: &Route,
    request: &Request<'_>,
    message: &mut DynamicMessage,
    findings: &mut Findings,
) {
    let mut given: Vec<Vec<u32>> = Vec::new();
    for parameter in query::parse(request.query, findings) {
        let Some(fields) = query_fields(route, &parameter.name) else {
            if query::is_ignored(&parameter.name) {
                continue;
            }
            let description = "no such query parameter";
            findings.add_at(parameter.name, Reason::UnknownParameter, description);
            continue;
        };
        let Some(leaf) = fields.last() else { continue };
        let numbers: Vec<_> = fields.iter().map(FieldDescriptor::number).collect();
        let again = given.contains(&numbers);
        if again && !leaf.is_list() {
            findings.add_at(parameter.name, Reason::DuplicateField, "given twice");
            continue;
        }
        given.push(numbers);
        match query::value(&leaf.kind(), &parameter.value) {
            Err((reason, description)) => {
                findings.add_at(json_path(&fields), reason, description);
            }
            Ok(value) => add_parameter(message, &fields, value, findings),
        }
    }
}

/// Body `*` leaves nothing to the query, and a body's field is given by the body
/// alone; only a field that the path has bound may be repeated, if it agrees.
fn query_fields(route: &Route, name: &str) -> Option<Vec<FieldDescriptor>> {
    let fields = query::resolve(&route.rpc.method.input(), name)?;
    if route.binding.variables.contains(&fields) {
        return Some(fields);
    }
    match &route.binding.body {
        Body::None => Some(fields),
        Body::Whole => None,
        Body::Field(body) => (fields.first() != Some(body)).then_some(fields),
    }
}

fn add_parameter(
    message: &mut DynamicMessage,
    fields: &[FieldDescriptor],
    value: Value,
    findings: &mut Findings,
) {
    if fields.last().is_some_and(FieldDescriptor::is_list) {
        push(message, fields, value);
        return;
    }
    match put(message, fields, value.clone()) {
        Put::Done => {}
        Put::Taken(present) if present == value => {}
        Put::Taken(_) => {
            findings.add_at(json_path(fields), Reason::Conflict, "the path says otherwise");
        }
        Put::Excluded(other) => {
            let description = format!("`{other}` excludes it");
            findings.add_at(json_path(fields), Reason::Conflict, description);
        }
    }
}

enum Put {
    Done,
    /// The field has this value already, from a source that comes before.
    Taken(Value),
    /// Another field of its oneof is set; this one.
    Excluded(String),
}

/// Sets a field, unless it is set. A field without presence that holds its
/// default counts as not set, as everywhere in proto3.
fn put(message: &mut DynamicMessage, fields: &[FieldDescriptor], value: Value) -> Put {
    let Some((field, rest)) = fields.split_first() else { return Put::Done };
    if let Some(other) = read::other_of_oneof(message, field) {
        return Put::Excluded(other.json_name().to_owned());
    }
    if !rest.is_empty() {
        return match message.get_field_mut(field).as_message_mut() {
            Some(inner) => put(inner, rest, value),
            None => Put::Done,
        };
    }
    if message.has_field(field) {
        return Put::Taken(message.get_field(field).into_owned());
    }
    message.set_field(field, value);
    Put::Done
}

fn push(message: &mut DynamicMessage, fields: &[FieldDescriptor], value: Value) {
    let Some((field, rest)) = fields.split_first() else { return };
    let slot = message.get_field_mut(field);
    if rest.is_empty() {
        if let Some(list) = slot.as_list_mut() {
            list.push(value);
        }
    } else if let Some(inner) = slot.as_message_mut() {
        push(inner, rest, value);
    }
}

fn json_path(fields: &[FieldDescriptor]) -> String {
    fields.iter().map(FieldDescriptor::json_name).collect::<Vec<_>>().join(".")
}

fn fill_mask(route: &Route, json: &Json, message: &mut DynamicMessage) {
    let is_patch = route.binding.verb == Verb::Exact(http::Method::PATCH);
    let Body::Field(body) = &route.binding.body else { return };
    let Some(mask) = mask::field(&message.descriptor()).filter(|_| is_patch) else { return };
    let kind = body.kind();
    if let Some(kind) = kind.as_message()
        && !message.has_field(&mask)
    {
        message.set_field(&mask, mask::of(kind, json, &mask));
    }
}
