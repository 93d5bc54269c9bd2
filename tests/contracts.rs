//! What every RPC must state: an HTTP binding, its idempotency, a deadline, who
//! may call it, and a comment that a caller can use.
#![allow(clippy::unwrap_used)]

use gateway::schema::{Snapshot, Source};
use mesh::{
    contract::{Access, Contracts},
    validate::{Program, Rejection},
};
use prost::Message as _;
use prost_reflect::{
    DescriptorPool, DynamicMessage, MessageDescriptor, MethodDescriptor, ServiceDescriptor,
};
use prost_types::method_options::IdempotencyLevel;
use serde_json::{Value, json};

fn pool() -> DescriptorPool {
    let mut pool = DescriptorPool::decode(mesh::DESCRIPTORS).unwrap();
    pool.decode_file_descriptor_set(titan::DESCRIPTORS).unwrap();
    pool
}

fn ours(service: &ServiceDescriptor) -> bool {
    service.full_name().starts_with("titan.")
}

/// Contracts of the mesh itself are called by processes, not through the edge.
fn within_the_mesh(service: &ServiceDescriptor) -> bool {
    service.full_name().starts_with("titan.mesh.")
}

fn methods() -> Vec<MethodDescriptor> {
    let pool = pool();
    let services: Vec<_> = pool.services().filter(ours).collect();
    assert!(services.len() >= 9, "the contracts were not found");
    services.iter().flat_map(|service| service.methods().collect::<Vec<_>>()).collect()
}

#[test]
fn every_rpc_has_its_http_binding() {
    let pool = pool();
    let http = pool.get_extension_by_name("google.api.http").unwrap();
    for method in methods() {
        let exposed = !within_the_mesh(method.parent_service());
        let bound = method.options().has_extension(&http);
        assert_eq!(bound, exposed, "{}", method.full_name());
    }
}

/// Otherwise the edge would serve the first of two services and not the second.
#[test]
fn no_two_rpcs_share_a_path_at_the_edge() {
    let pool = pool();
    let services = pool.services().filter(|service| ours(service) && !within_the_mesh(service));
    let services: Vec<_> = services.map(|service| service.full_name().to_owned()).collect();
    let services: Vec<_> = services.iter().map(String::as_str).collect();
    let everything = Source::from_set("titan", &services, titan::DESCRIPTORS).unwrap();
    if let Err(error) = Snapshot::build(&[everything]) {
        panic!("{error}");
    }
}

#[test]
fn every_rpc_states_its_idempotency() {
    for method in methods() {
        let options = method.method_descriptor_proto().options.clone().unwrap_or_default();
        let level = options.idempotency_level.map(IdempotencyLevel::try_from);
        assert!(matches!(level, Some(Ok(_))), "{}", method.full_name());
    }
}

#[test]
fn what_a_get_does_has_no_side_effects() {
    let pool = pool();
    let http = pool.get_extension_by_name("google.api.http").unwrap();
    for method in methods() {
        let options = method.options();
        if !options.has_extension(&http) {
            continue;
        }
        let rule = options.get_extension(&http);
        let is_get = rule.as_message().unwrap().has_field_by_name("get");
        let level = method.method_descriptor_proto().options.as_ref().unwrap().idempotency_level();
        let reads = level == IdempotencyLevel::NoSideEffects;
        assert_eq!(is_get, reads, "{}", method.full_name());
    }
}

#[test]
fn every_rpc_has_a_deadline_and_somebody_who_may_call_it() {
    let contracts = Contracts::load(&[titan::DESCRIPTORS]).unwrap();
    for method in methods() {
        let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
        let compiled = contracts.method(&path).unwrap();
        let lasts = compiled.server_streaming;
        assert_eq!(compiled.deadline.is_none(), lasts, "{path}");
        assert_ne!(compiled.access, Access::default(), "{path} may be called by nobody");
    }
}

#[test]
fn every_rpc_has_a_comment_that_says_more_than_its_name() {
    for method in methods() {
        let file = method.parent_file();
        let path = method.path().to_vec();
        let info = file.file_descriptor_proto().source_code_info.clone().unwrap();
        let comment = info
            .location
            .into_iter()
            .find(|location| location.path == path)
            .and_then(|location| location.leading_comments)
            .unwrap_or_default();
        assert!(comment.split_whitespace().count() >= 3, "{}: {comment}", method.full_name());
    }
}

/// They are what people try first at `/docs`.
#[test]
fn every_example_is_a_value_of_its_field() {
    let pool = pool();
    let services: Vec<_> = pool.services().filter(ours).collect();
    let services: Vec<_> = services.iter().map(ServiceDescriptor::full_name).collect();
    let source = Source::from_set("titan", &services, titan::DESCRIPTORS).unwrap();
    let document = gateway::openapi::document(&Snapshot::build(&[source]).unwrap());
    let schemas = document["components"]["schemas"].as_object().unwrap();
    let mut examples = 0;
    for (name, schema) in schemas {
        let fields = schema["properties"].as_object().into_iter().flatten();
        for (field, example) in fields.map(|(name, schema)| (name, &schema["examples"][0])) {
            if !example.is_null() {
                assert_fits(&pool.get_message_by_name(name).unwrap(), field, example);
                examples += 1;
            }
        }
    }
    assert!(examples >= 50, "{examples}");
}

/// A message of this field alone may lack others, but breaks no rule of this one.
fn assert_fits(kind: &MessageDescriptor, field: &str, example: &Value) {
    let at = format!("{}.{field}", kind.full_name());
    let message = DynamicMessage::deserialize(kind.clone(), json!({field: example}))
        .unwrap_or_else(|error| panic!("{at}: {error}"));
    let Some(rules) = Program::compile(kind).unwrap() else { return };
    let Err(rejection) = rules.check(&message.encode_to_vec()) else { return };
    let Rejection::Invalid(violations) = rejection else { panic!("{at}: {rejection}") };
    let name = kind.get_field_by_json_name(field).unwrap();
    let broken = violations.iter().find(|violation| violation.field.starts_with(name.name()));
    assert!(broken.is_none(), "{at}: {broken:?}");
}
