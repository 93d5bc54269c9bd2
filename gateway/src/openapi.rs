//! The OpenAPI 3.1 description of everything that the edge serves over REST, made
//! from the snapshot: what the contracts say, their comments included, and
//! nothing written by hand.

mod comments;
mod example;
mod operation;
mod path;
mod rules;
mod types;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::{Map, Value, json};
use transcode::route::Method;

use self::{comments::Comments, path::Paths, types::Types};
use crate::schema::{Route, Snapshot, is_served};

/// The methods that a path item has a place for.
const METHODS: [&str; 8] = ["GET", "PUT", "POST", "DELETE", "OPTIONS", "HEAD", "PATCH", "TRACE"];

/// Makes the document of everything.
#[must_use]
pub fn document(snapshot: &Snapshot) -> Value {
    let description = "Everything behind this edge. The same methods are served over gRPC on the \
                       same port; `grpcurl -plaintext HOST list` shows them.";
    write(snapshot, "Titan", description, |_| true)
}

/// Makes the document of a package, which is a version, or of one service, by its
/// full name; nothing when there is none of that name over REST.
#[must_use]
pub fn document_of(snapshot: &Snapshot, name: &str) -> Option<Value> {
    let description = "A part of what is behind this edge; `/openapi.json` has all of it.";
    let is_known = parts(snapshot).contains(name);
    is_known
        .then(|| write(snapshot, name, description, |route| names(route).contains(&name.into())))
}

/// The names that [`document_of`] knows.
#[must_use]
pub fn parts(snapshot: &Snapshot) -> BTreeSet<String> {
    snapshot.routes().iter().filter(|route| is_described(route)).flat_map(names).collect()
}

/// The package and the service of a route.
fn names(route: &Route) -> [String; 2] {
    let service = route.target.rpc.method.parent_service();
    [service.package_name().to_owned(), service.full_name().to_owned()]
}

fn write(
    snapshot: &Snapshot,
    title: &str,
    description: &str,
    is_part: impl Fn(&Route) -> bool,
) -> Value {
    let mut builder = Builder {
        types: Types::new(snapshot.pool()),
        paths: Paths::default(),
        ids: HashMap::new(),
    };
    let mut items: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
    let routes: Vec<_> =
        snapshot.routes().iter().filter(|route| is_described(route) && is_part(route)).collect();
    for route in &routes {
        let Method::Named(method) = route.binding.method() else { continue };
        let (path, operation) = builder.operation(route);
        let item = items.entry(path).or_default();
        item.entry(method.to_ascii_lowercase()).or_insert(operation);
    }
    let paths: Map<String, Value> =
        items.into_iter().map(|(path, item)| (path, Value::Object(item))).collect();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": title,
            "description": description,
            "version": env!("CARGO_PKG_VERSION"),
        },
        "servers": [{"url": "/"}],
        "tags": tags(&routes, &builder.types.comments),
        "paths": paths,
        "components": {
            "schemas": builder.types.into_schemas(),
            "responses": {"Error": error_response()},
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
            },
        },
    })
}

struct Builder {
    types: Types,
    paths: Paths,
    /// How often each operation id was given out.
    ids: HashMap<String, usize>,
}

/// What can be called from outside by a method that OpenAPI has a place for.
/// Streams of messages are served over gRPC only.
fn is_described(route: &Route) -> bool {
    let rpc = &route.target.rpc;
    let access = &rpc.policy.access;
    let only_services = !access.services.is_empty() && !access.public && !access.wants_token();
    let method = route.binding.method();
    let has_place = matches!(method, Method::Named(method) if METHODS.contains(&&**method));
    is_served(route) && has_place && !only_services
}

fn tags(routes: &[&Route], comments: &Comments) -> Value {
    let mut tags: Vec<Value> = Vec::new();
    for route in routes {
        let service = route.target.rpc.method.parent_service();
        let name = service.full_name();
        if tags.last().is_some_and(|tag| tag["name"] == name) {
            continue;
        }
        let mut tag = json!({"name": name});
        if let Some(text) = comments.of(&service.parent_file(), service.path()) {
            tag["description"] = text.into();
        }
        tags.push(tag);
    }
    tags.into()
}

fn error_response() -> Value {
    json!({
        "description": "A refusal: `google.rpc.Status` with typed details.",
        "content": {"application/json": {"schema": {
            "type": "object",
            "required": ["code", "message", "details"],
            "properties": {
                "code": {
                    "type": "integer",
                    "description": "`google.rpc.Code`: 3 INVALID_ARGUMENT, 5 NOT_FOUND, …",
                },
                "message": {"type": "string", "description": "What is wrong, for people."},
                "details": {
                    "type": "array",
                    "description": "For programs: `google.rpc.ErrorInfo`, `BadRequest`, …",
                    "items": {
                        "type": "object",
                        "required": ["@type"],
                        "properties": {"@type": {"type": "string"}},
                        "additionalProperties": true,
                    },
                },
            },
        }}},
    })
}
