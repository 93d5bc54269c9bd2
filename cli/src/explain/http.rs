//! The REST side of a method: its `google.api.http` rule.

use prost_reflect::{DynamicMessage, MethodDescriptor, Value};

use super::Fact;

/// A rule of a method.
pub(crate) struct Binding {
    /// `GET`, or another method, or `*` for any.
    pub(crate) verb: String,
    /// Its path template.
    pub(crate) path: String,
    body: String,
}

/// One fact for each binding.
pub(super) fn facts(bindings: &[Binding], stated_by: &str) -> Vec<Fact> {
    bindings.iter().map(|binding| fact(binding, stated_by)).collect()
}

/// The rules of a method; none when it is called over gRPC alone.
pub(crate) fn bindings(method: &MethodDescriptor) -> Vec<Binding> {
    let options = method.options();
    let extension = method.parent_pool().get_extension_by_name("google.api.http");
    let Some(extension) = extension.filter(|extension| options.has_extension(extension)) else {
        return Vec::new();
    };
    let rule = options.get_extension(&extension);
    let Some(rule) = rule.as_message() else { return Vec::new() };
    let additional = rule.get_field_by_name("additional_bindings");
    let additional = additional.as_deref().and_then(Value::as_list).unwrap_or_default();
    let rules = std::iter::once(rule).chain(additional.iter().filter_map(Value::as_message));
    rules.filter_map(binding).collect()
}

fn binding(rule: &DynamicMessage) -> Option<Binding> {
    let fixed = ["get", "put", "post", "delete", "patch"].into_iter();
    let mut fixed = fixed.filter(|verb| rule.has_field_by_name(verb));
    let (verb, path) = match fixed.next() {
        Some(verb) => (verb.to_ascii_uppercase(), text(rule, verb)),
        None => {
            let custom = rule.get_field_by_name("custom")?;
            let custom = custom.as_message()?;
            (text(custom, "kind"), text(custom, "path"))
        }
    };
    Some(Binding { verb, path, body: text(rule, "body") })
}

/// `POST /v1/projects`, with what its body becomes.
fn fact(Binding { verb, path, body }: &Binding, stated_by: &str) -> Fact {
    let call = format!("{verb} {path}");
    let body = match body.as_str() {
        "" => String::new(),
        "*" => ", the body is the request".to_owned(),
        field => format!(", the body is {field}"),
    };
    Fact {
        name: String::new(),
        text: format!("{call}{body}"),
        value: call.into(),
        source: stated_by.to_owned(),
    }
}

fn text(message: &DynamicMessage, field: &str) -> String {
    let value = message.get_field_by_name(field);
    value.as_deref().and_then(Value::as_str).unwrap_or_default().to_owned()
}
