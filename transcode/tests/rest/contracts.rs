//! The contracts of these tests, compiled, and requests sent through them.

use std::{path::Path as FilePath, sync::Arc};

use prost_reflect::{DescriptorPool, DynamicMessage, MethodDescriptor};
use serde_json::Value;
use transcode::{
    Reason, Schema, Violation,
    bind::{Request, RequestOptions, Rule},
    route::{Captures, Path},
    routes::{Found, Route, RouteError, Routes},
};

/// Rules and their methods.
pub(crate) struct Api {
    pub(crate) routes: Routes<MethodDescriptor>,
}

/// The contracts of messaging.proto.
pub(crate) fn messaging() -> Api {
    let own = FilePath::new(env!("CARGO_MANIFEST_DIR")).join("tests/rest/proto");
    Api::new(&compile(&own, "messaging.proto"), &[]).unwrap()
}

/// A file `test.proto` by its text, behind the usual imports.
pub(crate) fn text(body: &str, config: &[Rule]) -> Result<Api, RouteError> {
    let header = r#"syntax = "proto3"; package test.v1; import "google/api/annotations.proto";
        import "google/protobuf/wrappers.proto"; import "google/protobuf/timestamp.proto";
        import "google/api/httpbody.proto";"#;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("test.proto"), format!("{header}\n{body}")).unwrap();
    Api::new(&compile(folder.path(), "test.proto"), config)
}

/// Compiles a file that may import those of the repository.
fn compile(folder: &FilePath, file: &str) -> DescriptorPool {
    let shared = FilePath::new(env!("CARGO_MANIFEST_DIR")).join("../proto");
    let mut compiler = protox::Compiler::new([folder, &shared]).unwrap();
    compiler.include_imports(true);
    compiler.open_file(file).unwrap_or_else(|error| panic!("{error:?}"));
    compiler.descriptor_pool()
}

impl Api {
    pub(crate) fn new(pool: &DescriptorPool, config: &[Rule]) -> Result<Api, RouteError> {
        let schema = Arc::new(Schema::compile(pool).unwrap());
        let mut routes = Routes::new(schema);
        for method in pool.services().flat_map(|service| service.methods().collect::<Vec<_>>()) {
            routes.add(&method, config, |_| method.clone())?;
        }
        Ok(Api { routes })
    }

    pub(crate) fn route<'a>(
        &'a self,
        method: &str,
        path: &'a str,
    ) -> (&'a Route<MethodDescriptor>, Captures<'a>) {
        let parsed = Path::parse(path).unwrap_or_else(|error| panic!("{path}: {error}"));
        match self.routes.find(method, parsed) {
            Found::Route(route, captures) => (route, captures),
            other => panic!("{method} {path}: {other:?}"),
        }
    }

    /// The request message, written by prost-reflect's own JSON, which nothing
    /// here shares code with.
    pub(crate) fn send(
        &self,
        method: &str,
        uri: &str,
        body: &str,
    ) -> Result<Value, Vec<Violation>> {
        self.send_with(&RequestOptions::default(), method, uri, body)
    }

    pub(crate) fn send_with(
        &self,
        options: &RequestOptions,
        method: &str,
        uri: &str,
        body: &str,
    ) -> Result<Value, Vec<Violation>> {
        let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
        let (route, captures) = self.route(method, path);
        let request = Request {
            captures,
            query,
            body: body.as_bytes(),
            content_type: "image/png",
            is_form: false,
        };
        let mut out = Vec::new();
        route.binding.request(&request, options, &mut out)?;
        let message = DynamicMessage::decode(route.target.input(), out.as_slice()).unwrap();
        Ok(serde_json::to_value(&message).unwrap())
    }

    /// The one mistake of a request.
    pub(crate) fn refused(&self, method: &str, uri: &str, body: &str) -> (String, Reason) {
        let violations = self.send(method, uri, body).expect_err(&format!("{method} {uri} {body}"));
        assert_eq!(violations.len(), 1, "{method} {uri} {body}: {violations:?}");
        (violations[0].field.clone(), violations[0].reason)
    }
}
