//! What a contract says of a method at the edge beside its bindings:
//! `titan.mesh.v1.Http`.

use prost_reflect::{DynamicMessage, MethodDescriptor, ReflectMessage as _, Value};

use super::{Fact, http::Binding};

/// One fact for each part that applies; none when it is called over gRPC alone.
pub(super) fn facts(method: &MethodDescriptor, bindings: &[Binding], stated_by: &str) -> Vec<Fact> {
    let own = http(&method.options(), "titan.mesh.v1.policy");
    let source = if own.is_some() { stated_by } else { "service default" };
    let http = own.or_else(|| http(&method.parent_service().options(), "titan.mesh.v1.defaults"));
    let has = |verb: &str| bindings.iter().any(|binding| binding.verb == verb);
    let mut facts = Vec::new();
    if has("GET") {
        let cache = http.as_ref().and_then(|http| child(http, "cache"));
        facts.push(match &cache {
            Some(cache) => fact("http.cache", rule(cache), ": answers may be used again", source),
            // What the edge says when nobody says anything.
            None => {
                let default = "private, no-cache".to_owned();
                fact("http.cache", default, ": asked each time", "mesh default")
            }
        });
    }
    if has("POST") && http.as_ref().is_some_and(|http| flag(http, "form")) {
        facts.push(fact("http.form", "true".to_owned(), ": the body may be a form", source));
    }
    facts
}

fn fact(name: &str, value: String, meaning: &str, source: &str) -> Fact {
    Fact {
        name: name.to_owned(),
        text: format!("{value}{meaning}"),
        value: value.into(),
        source: source.to_owned(),
    }
}

/// The rule as `Cache-Control` says it (RFC 9111).
fn rule(cache: &DynamicMessage) -> String {
    if flag(cache, "no_store") {
        return "no-store".to_owned();
    }
    let seconds =
        child(cache, "max_age").and_then(|age| age.get_field_by_name("seconds")?.as_i64());
    let kept = if flag(cache, "private") { "private" } else { "public" };
    match seconds.unwrap_or_default() {
        0 => format!("{kept}, no-cache"),
        seconds => format!("{kept}, max-age={seconds}"),
    }
}

fn http(options: &DynamicMessage, extension: &str) -> Option<DynamicMessage> {
    let extension = options.descriptor().parent_pool().get_extension_by_name(extension)?;
    let has = options.has_extension(&extension);
    let policy = has.then(|| options.get_extension(&extension).into_owned())?;
    child(policy.as_message()?, "http")
}

fn child(message: &DynamicMessage, name: &str) -> Option<DynamicMessage> {
    message.has_field_by_name(name).then(|| message.get_field_by_name(name))??.as_message().cloned()
}

fn flag(message: &DynamicMessage, name: &str) -> bool {
    message.get_field_by_name(name).as_deref().and_then(Value::as_bool).unwrap_or_default()
}
